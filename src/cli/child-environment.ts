import { availableParallelism } from 'node:os';
import type { ChildName } from './child-messages.ts';
import { heapOption } from './heap-limit.ts';

/**
 * What a child's environment holds. A process's environment can be read by its user in /proc and ends up in crash
 * reports, so no secret may be there; the control plane gets the whole of it over its channel.
 */
const PASSED_ON = [
  'PATH',
  'HOME',
  'USER',
  'TMPDIR',
  'TZ',
  'LANG',
  'LC_ALL',
  'TERM',
  'NO_COLOR',
  'LD_LIBRARY_PATH',
  'LD_PRELOAD', // other memory allocators come this way
  'RES_OPTIONS',
  'LOCALDOMAIN',
  'NODE_COMPILE_CACHE',
  'NODE_EXTRA_CA_CERTS',
  'NODE_USE_SYSTEM_CA',
  'NODE_OPTIONS',
  'NODE_V8_COVERAGE',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'OPENSSL_CONF',
  'MALLOC_ARENA_MAX',
  'MALLOC_CONF',
  'UV_THREADPOOL_SIZE',
] as const;

/** libuv gives at most half of its pool to name look-ups, which can block for seconds each. */
const MIN_THREAD_POOL = 8;

export function childEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const passed: Record<string, string> = {
    UV_THREADPOOL_SIZE: String(Math.max(MIN_THREAD_POOL, availableParallelism())),
    // glibc otherwise keeps up to 8 arenas per CPU, each with its own free memory.
    MALLOC_ARENA_MAX: '2',
  };
  for (const name of PASSED_ON) {
    const value = env[name];
    if (value !== undefined) passed[name] = value;
  }
  return passed;
}

/**
 * Of V8, for the sidecar: 4 to 6 % less CPU per request together (bench/micro/whole-request.ts), and no major collections
 * under steady load. `docs/decisions/2026-11-30-engine-options.md` has what each is worth.
 */
const SIDECAR_ENGINE_OPTIONS = [
  '--no-allocation-site-pretenuring',
  '--turbo-inline-js-wasm-calls',
  '--max-inlined-bytecode-size-cumulative=2000',
] as const;

/**
 * Options of Node for one of the processes: those of its engine, the limit of its heap where a container's memory is limited,
 * and the operator's, which win: `SLIPSTREAM_SIDECAR_NODE_OPTIONS="--max-old-space-size=256"`.
 */
export function nodeOptionsFor(
  name: ChildName,
  env: Readonly<Record<string, string | undefined>>,
  limitBytes: number | null,
): readonly string[] {
  const text = env[`SLIPSTREAM_${name.toUpperCase()}_NODE_OPTIONS`] ?? '';
  const heap = heapOption(name, limitBytes, `${env['NODE_OPTIONS'] ?? ''} ${text}`);
  const given = text.split(/\s+/).filter((option) => option !== '');
  const engine = name === 'sidecar' ? SIDECAR_ENGINE_OPTIONS : [];
  return [...engine, ...(heap === null ? [] : [heap]), ...given];
}
