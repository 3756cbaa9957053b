import { exportWindows, importWindows } from '../limits/window-handover.ts';
import type { SharedMemory } from './shared-memory.ts';

/** What one sidecar hands to the next: parts of its shared memory, in base64, by name. JSON, since it crosses processes. */
export type SharedState = Readonly<Record<string, string>>;

/** A part of the shared memory that outlives a sidecar. */
interface SharedPart {
  readonly export: (shared: SharedMemory) => Uint8Array;
  /** The bytes may come from another version: what it does not understand, a part ignores. */
  readonly import: (shared: SharedMemory, bytes: Uint8Array) => void;
}

const PARTS: Readonly<Record<string, SharedPart>> = {
  limits: { export: exportWindows, import: importWindows },
};

export function exportShared(shared: SharedMemory): SharedState {
  const entries = Object.entries(PARTS).map(([name, part]): [string, string] => [
    name,
    Buffer.from(part.export(shared)).toString('base64'),
  ]);
  return Object.fromEntries(entries);
}

/** Parts that this version does not know are left out. */
export function importShared(shared: SharedMemory, state: SharedState): void {
  for (const [name, part] of Object.entries(PARTS)) {
    const text = state[name];
    if (text !== undefined) part.import(shared, Buffer.from(text, 'base64'));
  }
}
