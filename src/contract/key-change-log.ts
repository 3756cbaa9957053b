import type { KeyChangesMessage } from './control-messages.ts';

/*
 * Beside each key directory lies a log of what changed since it was written: one KeyChangesMessage as JSON per line,
 * appended before it is sent. A sidecar that starts with no control plane reads both, so that a key revoked since does
 * not come back; the directory, which is large, is written anew only now and then.
 */

/** `keys-….log` of `keys-….dir`. */
export function keyChangeLogOf(directoryFileName: string): string {
  return directoryFileName.replace(/\.dir$/, '.log');
}

export function encodeKeyChanges(message: KeyChangesMessage): string {
  return `${JSON.stringify(message)}\n`;
}

/** The messages of a log, in their order; what a killed writer left unfinished at the end is not one. */
export function decodeKeyChanges(text: string): KeyChangesMessage[] {
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as KeyChangesMessage);
}
