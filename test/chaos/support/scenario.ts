import type { Cleanup } from '../../../src/cli/bench/cleanup.ts';
import type { Mode } from '../../support/gateway.ts';

/** What a scenario is run with. */
export interface ChaosContext {
  readonly mode: Mode;
  /** `slipstream.threads` */
  readonly threads: number;
  /** How long the load goes on, seconds; faults are spread over it. */
  readonly seconds: number;
  /** 0 ≤ x < 1; the same sequence for the same seed. */
  readonly random: () => number;
  /** Ends, in reverse order and whatever happens, what the scenario has started. */
  readonly cleanup: Cleanup;
  /** A line for the person who watches. */
  note(text: string): void;
}

/** What came of it: figures for the table, and in words what must not be. */
export interface ScenarioReport {
  readonly facts: Readonly<Record<string, number | string>>;
  readonly violations: readonly string[];
}

/** A fault, brought about under load. Each file of test/chaos/ exports one as `scenario`. */
export interface Scenario {
  /** Name of its file. */
  readonly name: string;
  readonly description: string;
  readonly modes: readonly Mode[];
  /** Default for `ChaosContext.seconds`. */
  readonly seconds: number;
  /** Why it can't run on this machine, or null. */
  readonly unavailable?: () => string | null;
  readonly run: (context: ChaosContext) => Promise<ScenarioReport>;
}

/** A small generator (Mulberry32), so that a seed brings a run's moments back. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
