import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DATA_FILES } from '../../contract/persisted-state.ts';
import { parseCommand, renderHelp, usageError } from '../command-line.ts';
import { JOURNAL_COMMAND } from '../commands.ts';
import { StartError } from '../start-error.ts';
import { auditJournal, type JournalReport } from './journal-audit.ts';

/** `slipstream journal verify`. @returns the exit code. */
export function journalCommand(argv: readonly string[]): number {
  const { values, operands, wantsHelp } = parseCommand(JOURNAL_COMMAND, argv);
  if (wantsHelp) {
    process.stdout.write(renderHelp(JOURNAL_COMMAND));
    return 0;
  }
  if (operands[0] !== 'verify') {
    throw usageError(JOURNAL_COMMAND, 'say what to do with the journal: slipstream journal verify');
  }
  const flag = values['data-dir'];
  const named = typeof flag === 'string' ? flag : process.env['SLIPSTREAM_DATA_DIR'];
  const dataDirectory = resolve(named === undefined || named === '' ? 'data' : named);
  if (!existsSync(join(dataDirectory, DATA_FILES.journal))) {
    throw new StartError(`there is no journal in ${dataDirectory}; name the data directory with --data-dir DIR`);
  }
  const report = auditJournal(dataDirectory);
  const text = values['json'] === true ? JSON.stringify(report, null, 2) : renderReport(dataDirectory, report);
  process.stdout.write(`${text}\n`);
  return report.problemCount === 0 ? 0 : 1;
}

function renderReport(dataDirectory: string, report: JournalReport): string {
  const { tokens, estimatedTokens } = report;
  const rows: readonly (readonly [string, number, string])[] = [
    ['segments', report.segments, `${report.bytes} bytes, ${report.livingProcesses} processes write to them`],
    ['events', report.events, 'each id once'],
    ['  completed', report.completed, ''],
    ['  failed', report.failed, 'answered with an error'],
    ['  aborted', report.aborted, 'the client left, or the answer was broken off'],
    ['open lines', report.openLines, 'requests that ran for longer than journal.open_after'],
    ['  in progress', report.inProgress, ''],
    ['  lost', report.lost, 'their process ended first: counted as aborted, usage estimated'],
    ['torn tails', report.tornTails.length, 'last lines cut off as their process ended; the answers never left'],
    ['being written', report.unfinishedTails, ''],
    ['input tokens', tokens.input, `${estimatedTokens.input} of them estimated`],
    ['output tokens', tokens.output, `${estimatedTokens.output} of them estimated`],
  ];
  const table = rows.map(([name, count, note]) =>
    `  ${name.padEnd(16)}${String(count).padStart(12)}  ${note}`.trimEnd(),
  );
  const torn = report.tornTails.map(({ segment, bytes }) => `torn: ${segment}, ${bytes} bytes dropped`);
  const problems = report.problems.map(
    ({ segment, offset, problem }) => `PROBLEM: ${segment}${offset === null ? '' : ` at byte ${offset}`}: ${problem}`,
  );
  const unnamed = report.problemCount - report.problems.length;
  const verdict =
    report.problemCount === 0
      ? 'The journal is sound.'
      : `${report.problemCount} ${report.problemCount === 1 ? 'problem' : 'problems'}.`;
  return [
    `Journal of ${dataDirectory}`,
    ...table,
    ...torn,
    ...problems,
    ...(unnamed > 0 ? [`… and ${unnamed} more`] : []),
    verdict,
  ].join('\n');
}
