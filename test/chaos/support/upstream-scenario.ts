import { MODES } from '../../support/gateway.ts';
import { ChaosRun } from './chaos-run.ts';
import type { FaultName } from './faults.ts';
import type { Outcome, RequestPlan } from './load-client.ts';
import type { Scenario } from './scenario.ts';

/** How requests may end: `ok`, `status 502` …, `stream-error`, `cut`; `timeout` where only the client's patience ends it. */
type Allowed = readonly string[];

interface FaultExpectation {
  readonly fault: FaultName | 'refuse';
  /** At a group whose only deployment has the fault. */
  readonly json: Allowed;
  readonly stream: Allowed;
  /** The fault strikes before an answer can have begun: at a group with a good deployment too, all go well. */
  readonly jsonIsSaved: boolean;
  readonly streamIsSaved: boolean;
}

export interface UpstreamSpec {
  readonly name: string;
  readonly description: string;
  readonly faults: readonly FaultExpectation[];
  readonly seconds?: number;
  readonly qps?: number;
  readonly clients?: number;
  /** Share of requests that meet a fault. Default 0.6. */
  readonly faultShare?: number;
  readonly timeouts?: Readonly<Record<string, number>>;
}

/** Short, so that a scenario sees each of them pass. */
const TIMEOUTS = { request: 6, first_byte: 1.5, stream_first_event: 1.5, stream_idle: 1.5, connect: 2 };
/** A call may take this much longer than `timeouts.request`: the tick, the machine. */
const SLACK_MS = 1500;
/** Nobody listens there. */
const REFUSING_URL = 'http://127.0.0.1:1/v1';

/** A provider with faults beside a good one: the good one's clients notice nothing, the others get a clear end in time. */
export function upstreamScenario(spec: UpstreamSpec): Scenario {
  const timeouts = { ...TIMEOUTS, ...spec.timeouts };
  return {
    name: spec.name,
    description: spec.description,
    modes: MODES,
    seconds: spec.seconds ?? 4,
    run: async (context) => {
      const run = await ChaosRun.start(context, {
        timeouts,
        models: ({ goodUrl, faults }) =>
          spec.faults.flatMap(({ fault }) => {
            const base = fault === 'refuse' ? REFUSING_URL : faults.url(fault);
            return [
              { name: `bad-${fault}`, base },
              { name: `saved-${fault}`, base, params: 'order: 1' },
              { name: `saved-${fault}`, base: goodUrl, params: 'order: 2' },
            ];
          }),
      });
      const names = spec.faults.flatMap(({ fault }) => [`bad-${fault}`, `saved-${fault}`]);
      const limitMs = timeouts.request * 1000 + SLACK_MS;
      const plan = (): RequestPlan => {
        const meetsFault = context.random() < (spec.faultShare ?? 0.6);
        const model = meetsFault ? (names[Math.floor(context.random() * names.length)] ?? 'good') : 'good';
        return { model, stream: context.random() < 0.4, timeoutMs: limitMs };
      };
      await run.underLoad({ qps: spec.qps ?? 250, clients: spec.clients ?? 400, plan });
      for (const outcome of run.outcomes) {
        const problem = judge(spec, outcome);
        if (problem !== null) run.violations.push(problem);
      }
      const told = new Set<string>();
      const violations = run.violations.splice(0).filter((text) => !told.has(text) && told.add(text));
      run.violations.push(...violations.slice(0, 8));
      return run.finish();
    },
  };
}

function judge(spec: UpstreamSpec, outcome: Outcome): string | null {
  const how = endingName(outcome);
  const { model, stream } = outcome.plan;
  const what = `${model} ${stream ? 'stream' : 'json'}`;
  if (model === 'good') return how === 'ok' ? null : `${what}: ${how} ${outcome.detail}`;
  const expectation = spec.faults.find(({ fault }) => model.endsWith(`-${fault}`));
  if (expectation === undefined) return `${what}: of no scenario`;
  const isSaved = model.startsWith('saved-') && (stream ? expectation.streamIsSaved : expectation.jsonIsSaved);
  const allowed = isSaved ? ['ok'] : stream ? expectation.stream : expectation.json;
  const isAllowed = allowed.includes(how) || (model.startsWith('saved-') && how === 'ok');
  return isAllowed
    ? null
    : `${what}: ${how}, not ${allowed.join(' or ')} (${outcome.errorName ?? ''} ${outcome.detail})`;
}

function endingName({ ending, status }: Outcome): string {
  if (ending !== 'complete') return ending;
  return status === 200 ? 'ok' : `status ${status}`;
}
