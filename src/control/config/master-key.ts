import { createHash } from 'node:crypto';

const MIN_LENGTH = 16;
/** The examples of LiteLLM's documentation: found on about one exposed installation in ten. */
const WELL_KNOWN = new Set(['sk-1234', 'sk-12345', 'sk-123456', 'sk-1234567890', 'sk-1234567890abcdef']);

/** Why this can't be the master key, or null. Never quotes it. */
export function masterKeyFault(key: string | null): string | null {
  if (key === null) return 'no master key is set';
  if (WELL_KNOWN.has(key)) return 'the master key is a well-known example';
  if (key.length < MIN_LENGTH) return `the master key has fewer than ${MIN_LENGTH} characters`;
  return /^[\x21-\x7e]+$/.test(key) ? null : 'the master key has characters that a header cannot carry';
}

/** Hex SHA-256: what keys are known by everywhere. */
export function hashKey(key: string): string {
  return createHash('sha256').update(key, 'utf8').digest('hex');
}
