import type { DeploymentPrices } from './apply-chunk.ts';

/** How far a segment has been ingested. */
export interface SegmentState {
  readonly segment: string;
  /** Bytes, all of whole lines. */
  readonly position: number;
  /** When its last line was taken, Unix ms; null: it may grow. */
  readonly finishedAtMs: number | null;
}

export interface ChunkRequest {
  /** The journal's directory. */
  readonly directory: string;
  /** Name of the segment's file. */
  readonly segment: string;
  /** `<process>-<worker>.<start>`, which all segments of one writer have in common. */
  readonly writer: string;
  readonly position: number;
  /** It can't grow any more: when its end is reached, it is finished. As judged before this request. */
  readonly isFinal: boolean;
  readonly maxBytes: number;
  /** There is time: the thread stands aside every few lines, so that requests need not wait for it. */
  readonly isUnhurried: boolean;
  readonly nowMs: number;
}

/** What a chunk held. */
export interface ChunkCounts {
  readonly events: number;
  /** Left out, since a row with their id was there. */
  readonly duplicates: number;
  readonly invalidCount: number;
  readonly invalid: readonly { readonly offset: number; readonly problem: string }[];
}

export const NOTHING: ChunkCounts = { events: 0, duplicates: 0, invalidCount: 0, invalid: [] };

export interface ChunkResult extends ChunkCounts {
  /** `stale`: somebody else has ingested from this position; nothing was written. Ask for the state again. */
  readonly outcome: 'written' | 'stale' | 'nothing';
  readonly position: number;
  readonly isAtEnd: boolean;
  readonly isFinished: boolean;
}

/**
 * Where usage goes: each method is one transaction of the database, made in a thread of its own, so that neither parsing
 * nor waiting for the disk holds up the control plane. All reject with `StoreError`, or an error of the file system.
 */
export interface UsageBackend {
  /** Of the segments named, those that have been begun. */
  states(segments: readonly string[]): Promise<SegmentState[]>;
  ingestChunk(request: ChunkRequest): Promise<ChunkResult>;
  /** Writers that have open lines without their event. */
  openWriters(): Promise<string[]>;
  /** Turns what a writer that is gone left open into aborted events. @returns how many. */
  endWriter(writer: string, prices: DeploymentPrices): Promise<number>;
  /** What has been committed is on the disk from here on. Asked before a segment is deleted. @returns false: not yet. */
  makeDurable(): Promise<boolean>;
  /** Deletes the oldest events from before `beforeMs`, at most `limit`. @returns how many. */
  deleteEvents(beforeMs: number, limit: number): Promise<number>;
  /** Forgets segments that were finished before `beforeMs`. Their files must be gone. */
  forgetSegments(beforeMs: number): Promise<void>;
}
