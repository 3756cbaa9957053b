const COMPILE_CACHE = 'NODE_COMPILE_CACHE';

/**
 * The environment of a thread that needs none: nothing of what this process knows, but the folder of compiled modules.
 * Without it the thread loads the stripper of types and compiles everything anew: 0.05 s of CPU and 14 MB at every start.
 */
export function threadEnvironment(): Record<string, string> {
  const folder = process.env[COMPILE_CACHE];
  return folder === undefined ? {} : { [COMPILE_CACHE]: folder };
}
