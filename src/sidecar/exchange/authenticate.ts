import { timingSafeEqual } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { MASTER_KEY, type ResolvedKey } from '../keys/resolved-key.ts';
import type { KeyWaiter } from '../worker/worker-context.ts';
import { clientAddress } from './client-address.ts';
import type { Exchange } from './exchange.ts';
import { readKey } from './read-key.ts';

/** A look-up that many requests wait for is one; beyond this many waiting keys new ones are refused for now. */
const MAX_KEYS_ASKED = 1_000;

/** `ok`: the key is set. `wait`: the control plane is asked, `onResolved` follows. Else the refusal. */
export type Authentication = 'ok' | 'wait' | GatewayError;

/** Finds out who asks. Never an I/O of its own: the key directory is in memory. */
export function authenticate(exchange: Exchange, onResolved: (result: 'ok' | GatewayError) => void): Authentication {
  const { settings, masterKeyHash } = exchange.snapshot;
  const text = readKey(exchange.head.headers, settings.keyHeaderName, exchange.route.kind === 'realtime');
  if (text === null) {
    return gatewayError('missing_key', 'Authentication Error, No api key passed in.');
  }
  const digest = exchange.connection.lastKey.digestOf(text);
  const found = exchange.worker.keys.find(digest, exchange.startedMs);
  // Fast case: a virtual key. The configuration refuses one that is the master key too.
  if (found !== undefined && found !== null) return accept(exchange, found);
  if (masterKeyHash !== null && timingSafeEqual(Buffer.from(digest, 'latin1'), masterKeyHash)) {
    exchange.key = MASTER_KEY;
    return 'ok';
  }
  if (found === null) return unknownKey();
  return lookUp(exchange, digest, onResolved);
}

function accept(exchange: Exchange, key: ResolvedKey): 'ok' | GatewayError {
  const { record } = key;
  if (record.blocked)
    return gatewayError('blocked_key', 'Authentication Error, the API key, its user or its team is blocked.');
  if (record.expiresAtMs !== null && record.expiresAtMs <= exchange.startedUnixMs) {
    return gatewayError('expired_key', 'Authentication Error, the API key has expired.');
  }
  exchange.key = key;
  return 'ok';
}

function lookUp(exchange: Exchange, digest: string, onResolved: (result: 'ok' | GatewayError) => void): Authentication {
  const { worker } = exchange;
  if (!worker.controlConnected) return unresolved();
  if (worker.keys.complete) return unknownKey();
  const address = clientAddress(exchange) ?? '';
  const waitSeconds = worker.lookupLimiter.waitSeconds(address, performance.now());
  if (waitSeconds > 0) {
    return {
      ...gatewayError('rate_limited', 'Too many unknown API keys from this address.'),
      retryAfterSeconds: waitSeconds,
    };
  }
  const hex = Buffer.from(digest, 'latin1').toString('hex');
  const waiter: KeyWaiter = {
    onKeyResolved: (failed) => {
      if (exchange.state !== 'waiting-for-key') return;
      exchange.state = 'reading';
      const nowMs = performance.now();
      const found = failed ? undefined : worker.keys.find(digest, nowMs);
      if (found === null) worker.lookupLimiter.countUnknown(address, nowMs);
      if (found === undefined) onResolved(unresolved());
      else onResolved(found === null ? unknownKey() : accept(exchange, found));
    },
  };
  const waiting = worker.keyWaiters.get(hex);
  if (waiting !== undefined) {
    waiting.push(waiter);
  } else {
    if (worker.keyWaiters.size >= MAX_KEYS_ASKED) {
      return { ...gatewayError('overloaded', 'Too many unknown keys are being looked up.'), retryAfterSeconds: 1 };
    }
    worker.keyWaiters.set(hex, [waiter]);
    worker.host.lookUpKey(hex);
  }
  exchange.state = 'waiting-for-key';
  return 'wait';
}

function unknownKey(): GatewayError {
  return gatewayError(
    'invalid_key',
    'Authentication Error, Invalid proxy server token passed. The key is not known here.',
  );
}

/** 503, never 401: the key may be good. */
function unresolved(): GatewayError {
  return {
    ...gatewayError('control_unavailable', 'The API key is not known here yet and the control plane is away.'),
    retryAfterSeconds: 1,
  };
}
