import { defineConfig, type OxlintOverride } from 'oxlint';
import { HOT_LAYERS, LAYERS, PURE_LAYERS } from './scripts/layers.ts';

const TESTS = ['**/*.test.ts', '**/*-test-support.ts', 'test/**/*.ts'];

/** Modules of a hot layer that run at start or stop, never per request, and may therefore be asynchronous. */
const START_UP_MODULES = [
  'src/sidecar/**/*-main.ts',
  'src/sidecar/listeners.ts',
  'src/sidecar/**/start-*.ts',
  'src/sidecar/**/stop-*.ts',
];

const FILE_LINES = 600; // warned about from 400 on by scripts/report-sizes.ts
const FUNCTION_LINES = 60;
const HOT_FUNCTION_LINES = 120;

interface ImportPattern {
  regex: string;
  message: string;
}

const ONLY_RELATIVE: ImportPattern = {
  regex: '^[^.]',
  message: 'a pure layer imports only relative files: no node:*, no npm package',
};

const NO_PACKAGE: ImportPattern = {
  regex: '^([^.n]|n[^o]|no[^d]|nod[^e]|node[^:])', // neither ./ nor node:, without look-ahead: the linter's regex has none
  message: 'the request path uses no npm package',
};

const NO_TOOLS: ImportPattern = {
  regex: '^(\\.\\./)+(test|bench|scripts|ui)/',
  message: 'the product does not import its tools',
};

/** Nothing between a socket and its bytes is someone else's code (docs/decisions/2026-11-22-runtime-dependencies.md). */
const FOR_PRODUCT: Readonly<Record<string, readonly ImportPattern[]>> = {
  base: [NO_TOOLS, ONLY_RELATIVE],
  domain: [NO_TOOLS, ONLY_RELATIVE],
  contract: [NO_TOOLS, NO_PACKAGE],
  http1: [NO_TOOLS, NO_PACKAGE],
  runtime: [NO_TOOLS, NO_PACKAGE],
  sidecar: [NO_TOOLS, NO_PACKAGE],
};

export default defineConfig({
  plugins: ['eslint', 'typescript', 'unicorn', 'oxc', 'import', 'promise', 'node'],
  ignorePatterns: ['node_modules', 'dist/', '.tsbuild/', 'data/', 'ui/', 'bench/results/', '**/fixtures/'],
  options: { typeAware: true, denyWarnings: true, reportUnusedDisableDirectives: 'error' },
  categories: { correctness: 'error', suspicious: 'error' },
  rules: {
    // Promises: nothing is dropped on the floor, nothing but an Error is thrown.
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/prefer-promise-reject-errors': 'error',
    'typescript/return-await': ['error', 'in-try-catch'],

    // Types: total handling, no escape.
    'typescript/switch-exhaustiveness-check': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-import-type-side-effects': 'error',
    'typescript/no-namespace': 'error',
    'typescript/parameter-properties': 'error',
    eqeqeq: 'error',

    // Modules.
    'import/no-cycle': 'error',
    'import/no-default-export': 'error',
    'oxc/no-barrel-file': ['error', { threshold: 0 }],
    'unicorn/filename-case': ['error', { case: 'kebabCase' }],

    // Sizes.
    'max-lines': ['error', { max: FILE_LINES }],
    'max-lines-per-function': ['error', { max: FUNCTION_LINES, skipBlankLines: true, skipComments: true }],
    'max-params': ['error', { max: 4 }],

    'no-console': 'error',
    'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx', 'hack'], location: 'start' }],

    // Off, each for its reason.
    'no-underscore-dangle': 'off', // names that come from a wire format
    'no-await-in-loop': 'off', // often exactly what is meant
    'no-shadow': 'off', // short local names repeat
    'require-await': 'off', // an interface may want a promise
    'unicorn/no-array-sort': 'off', // sorts a copy at hand
    'unicorn/consistent-function-scoping': 'off', // a helper next to its only use reads better
    'promise/always-return': 'off',
    'import/no-unassigned-import': 'off',
    'import/no-named-as-default-member': 'off', // `fc` of fast-check, `fs` in tests that patch it
    'typescript/no-unsafe-type-assertion': 'off', // bytes and JSON from outside are asserted after a check
    'typescript/no-unnecessary-type-parameters': 'off',
  },
  overrides: [
    ...Object.keys(LAYERS).flatMap((layer) => [
      restrictImports(layer, { files: [`src/${layer}/**/*.ts`] }),
      restrictImports(
        layer,
        { files: [`src/${layer}/**/*.ts`], excludeFiles: TESTS },
        ...(FOR_PRODUCT[layer] ?? [NO_TOOLS]),
      ),
    ]),
    {
      files: PURE_LAYERS.map((layer) => `src/${layer}/**/*.ts`),
      excludeFiles: TESTS,
      rules: {
        'no-restricted-properties': [
          'error',
          { object: 'Date', property: 'now', message: 'the domain has no clock: take the time as an argument' },
          { object: 'Math', property: 'random', message: 'the domain has no randomness: take it as an argument' },
          { object: 'performance', property: 'now', message: 'the domain has no clock: take the time as an argument' },
        ],
      },
    },
    {
      files: HOT_LAYERS.map((layer) => `src/${layer}/**/*.ts`),
      rules: {
        'max-lines-per-function': ['error', { max: HOT_FUNCTION_LINES, skipBlankLines: true, skipComments: true }],
        'max-params': ['error', { max: 5 }],
      },
    },
    {
      // Promises and web streams cost 3 to 24 times a synchronous parser per event (style habit 16).
      files: HOT_LAYERS.map((layer) => `src/${layer}/**/*.ts`),
      excludeFiles: [...TESTS, ...START_UP_MODULES],
      rules: {
        'oxc/no-async-await': 'error',
        'no-restricted-globals': [
          'error',
          { name: 'TransformStream', message: 'web streams are too slow for the request path' },
          { name: 'ReadableStream', message: 'web streams are too slow for the request path' },
          { name: 'WritableStream', message: 'web streams are too slow for the request path' },
          { name: 'fetch', message: 'the request path has its own client' },
        ],
      },
    },
    { files: ['scripts/**/*.ts', 'bench/**/*.ts', 'src/cli/**/*.ts'], rules: { 'no-console': 'off' } },
    {
      files: TESTS,
      rules: {
        'max-lines': 'off',
        'max-lines-per-function': 'off',
        'max-params': 'off',
        'no-console': 'off',
        // node:test's describe() and it() return promises that the runner itself awaits.
        'typescript/no-floating-promises': [
          'error',
          {
            allowForKnownSafeCalls: [
              { from: 'package', package: 'node:test', name: ['test', 'it', 'describe', 'suite'] },
            ],
          },
        ],
      },
    },
    { files: ['*.config.ts'], rules: { 'import/no-default-export': 'off' } },
  ],
});

function restrictImports(
  layer: string,
  files: Pick<OxlintOverride, 'files' | 'excludeFiles'>,
  ...more: ImportPattern[]
): OxlintOverride {
  const allowed = LAYERS[layer] ?? [];
  const forbidden = Object.keys(LAYERS).filter((other) => other !== layer && !allowed.includes(other));
  const patterns = [{ regex: '(^|/)index\\.ts$', message: 'import the file itself: no barrels' }, ...more];
  if (forbidden.length > 0) {
    patterns.push({
      regex: `^(\\.\\./)+(src/)?(${forbidden.join('|')})/`,
      message: `src/${layer} may import only from: ${allowed.join(', ') || 'itself'}`,
    });
  }
  return { ...files, rules: { 'no-restricted-imports': ['error', { patterns }] } };
}
