import type { DeploymentSpec } from '../contract/snapshot.ts';
import { type CompiledConfig, compileConfig } from './config/compile-config.ts';
import { type Environment, loadConfigSource } from './config/config-source.ts';
import { type Finding, Findings, formatFinding, type Position } from './config/findings.ts';
import type { KeyReport } from './config/key-report.ts';
import type { FlagValues, ResolvedSetting } from './config/resolve-settings.ts';

export interface CheckOptions {
  readonly configPath: string;
  readonly env: Environment;
  /** Keys that are not honoured are a failure too. */
  readonly strict: boolean;
  /** Values of flags that `start` would be given, by setting; may be empty. */
  readonly flags: FlagValues;
}

export interface CheckResult {
  /** For standard output, no secret among them. */
  readonly lines: readonly string[];
  /** 0: it would start; 1: it would not, or with `strict` something in it is not honoured. */
  readonly exitCode: 0 | 1;
}

/** `slipstream check`: every setting with its origin, every other key with what becomes of it, all that is wrong. */
export function checkConfig(options: CheckOptions): CheckResult {
  const findings = new Findings();
  const source = loadConfigSource(options.configPath, options.env, findings);
  const config = compileConfig(source, options.flags, 0, findings);
  const { errors, warnings } = findings;
  const notHonoured = warnings.filter(({ kind }) => kind === 'unsupported' || kind === 'unknown');
  const fails = errors.length > 0 || (options.strict && notHonoured.length > 0);
  return {
    lines: [
      ...section('Settings', table(config.settings.map(settingRow))),
      ...section(
        'Deployments',
        table(
          config.deployments.map(({ spec }) => [
            spec.groupName,
            `${spec.provider}/${spec.upstreamModel}`,
            spec.id,
            priceText(spec),
          ]),
        ),
      ),
      ...section('Keys of the file', table(config.keyReports.filter(isListed).map(keyRow))),
      ...section('Warnings', otherWarnings(warnings)),
      ...section('Errors', errors.map(formatFinding)),
      verdict(config, findings, notHonoured.length, options.strict),
    ],
    exitCode: fails ? 1 : 0,
  };
}

/** Of tokens, in dollars per million, as price lists say it. */
function priceText({ price, modelPrices }: DeploymentSpec): string {
  if (modelPrices !== null) return `prices of ${counted(Object.keys(modelPrices).length, 'model')}`;
  if (price === null) return 'price not known';
  const perMillion = (picoUsd = 0): string => `$${String(picoUsd / 1e6)}`;
  const { input, output } = price.prices;
  if (input === undefined && output === undefined) return 'price of the call';
  return `${perMillion(input)} in, ${perMillion(output)} out`;
}

function settingRow(setting: ResolvedSetting): readonly string[] {
  const { origin, isSecret, shown, path } = setting;
  const isSet = origin.source !== 'default' || shown !== null;
  return [path, isSecret && isSet && origin.source !== 'default' ? '(secret)' : (shown ?? '-'), originText(setting)];
}

function originText({ origin }: ResolvedSetting): string {
  switch (origin.source) {
    case 'flag':
      return 'flag';
    case 'environment':
      return `environment: ${origin.name}`;
    case 'file':
      return `${origin.name} (${placeText(origin.position)})`;
    case 'default':
      return 'default';
    default:
      return origin.source satisfies never;
  }
}

/** Sections only hold others; of `slipstream:` every setting is listed with its value. */
function isListed(report: KeyReport): boolean {
  return !/^(?:slipstream|model_list|(?:litellm|general|router)_settings)$/.test(report.path);
}

function keyRow({ status, path, count, note, position }: KeyReport): readonly string[] {
  const times = count > 1 ? ` (${count} times)` : '';
  return [status, `${path}${times}`, placeText(position), note];
}

/** Keys of the file that are not honoured stand in their own table already. */
function otherWarnings(warnings: readonly Finding[]): string[] {
  const isOther = ({ kind, path, position }: Finding): boolean =>
    kind === 'other' || position === null || /\[\d+\]/.test(path);
  return warnings.filter(isOther).map(formatFinding);
}

function verdict(config: CompiledConfig, findings: Findings, notHonoured: number, strict: boolean): string {
  const { errors, warnings } = findings;
  if (errors.length > 0) return `It would not start: ${counted(errors.length, 'error')}.`;
  const { groups, wildcards, deployments } = config.snapshot;
  const parts = [
    counted(deployments.length, 'deployment'),
    counted(groups.length + wildcards.length, 'model group'),
    counted(config.keys.length, 'virtual key'),
    counted(warnings.length, 'warning'),
  ];
  const refusal = strict && notHonoured > 0 ? ` But ${counted(notHonoured, 'thing')} in it would not be honoured.` : '';
  return `It would start: ${parts.join(', ')}.${refusal}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function placeText(position: Position | null): string {
  return position === null ? '-' : `${position.file}:${position.line}:${position.column}`;
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`), ''];
}

/** Rows with their columns aligned; the last one is as long as it likes. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
