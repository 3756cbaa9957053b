import type { KnipConfig } from 'knip';

/** Unused exports, files and dependencies fail `npm run check`. */
const config: KnipConfig = {
  entry: [
    '*.config.ts',
    'bin/*.js',
    'src/cli/main.ts',
    'src/**/*-thread.ts', // started by URL as worker threads
    'src/**/*.test.ts',
    'test/**/*.test.ts',
    'test/upstream/connect-once.ts', // run as a process of its own
    'test/chaos/*.ts', // loaded by name
    'test/soak/run-soak.ts',
    'test/support/end-with-tests.ts', // loaded by the test runner before each file
    'test/support/postgres-setup.ts', // loaded by the test runner before all files
    'test/chaos/support/{run-chaos,fault-provider-process,ingester-process}.ts',
    'scripts/{check,fix,generate-docs,pack,report-sizes,run-tests}.ts',
    'bench/**/*.ts',
  ],
  project: ['bin/**/*.js', 'src/**/*.ts', 'test/**/*.ts', 'scripts/**/*.ts', 'bench/**/*.ts', '*.config.ts'],
  ignoreExportsUsedInFile: { interface: true, type: true },
  ignoreBinaries: [
    'fsfreeze',
    'losetup',
    'mount',
    'openssl',
    'prlimit',
    'systemd-socket-activate',
    'taskset',
    'umount',
    'unshare',
  ],
  // oxfmt is run by scripts/check.ts by its path.
  ignoreDependencies: ['oxfmt'],
};

export default config;
