import type { CommandSpec, FlagSpec } from './command-line.ts';

const CONFIG: FlagSpec = {
  short: 'c',
  value: 'FILE',
  help: "Configuration, LiteLLM's config.yaml",
  env: ['SLIPSTREAM_CONFIG', 'CONFIG_FILE_PATH'],
};
const HOST: FlagSpec = {
  value: 'ADDRESS',
  help: 'Address to listen on',
  env: ['SLIPSTREAM_HOST'],
  byDefault: '0.0.0.0; 127.0.0.1 in the demo',
};
const PORT: FlagSpec = {
  short: 'p',
  value: 'PORT',
  help: 'Port to listen on; 0 takes any free one',
  env: ['SLIPSTREAM_PORT', 'PORT'],
  byDefault: '4000',
};
const LISTEN: FlagSpec = {
  value: 'ADDRESSES',
  help: 'All places to listen on, with commas between: host:port, https://[::]:4443, unix:/run/slipstream.sock, systemd',
  env: ['SLIPSTREAM_LISTEN'],
  byDefault: 'what --host and --port say',
};
const TLS_CERT: FlagSpec = {
  value: 'FILE',
  help: 'PEM file with the certificate; turns TLS on',
  aliases: ['ssl_certfile_path'],
  env: ['SLIPSTREAM_TLS_CERT_FILE', 'SSL_CERTFILE_PATH'],
};
const TLS_KEY: FlagSpec = {
  value: 'FILE',
  help: "PEM file with the certificate's private key",
  aliases: ['ssl_keyfile_path'],
  env: ['SLIPSTREAM_TLS_KEY_FILE', 'SSL_KEYFILE_PATH'],
};
const DATA_DIR: FlagSpec = {
  value: 'DIR',
  help: 'Directory for all that is kept: usage journal, last good configuration, demo key, compile cache',
  env: ['SLIPSTREAM_DATA_DIR'],
  byDefault: './data',
};
const THREADS: FlagSpec = {
  value: 'N',
  help: 'Worker threads that serve requests',
  aliases: ['num_workers', 'num-workers'],
  env: ['SLIPSTREAM_THREADS', 'NUM_WORKERS'],
  byDefault: 'one less than there are CPUs, at least 1',
};
const LOG: FlagSpec = {
  value: 'FORMAT',
  help: 'Format of the log on standard error: json or pretty',
  env: ['SLIPSTREAM_LOG'],
  byDefault: 'pretty on a terminal, else json',
};
const LOG_LEVEL: FlagSpec = {
  value: 'LEVEL',
  help: 'debug, info, warn or error',
  env: ['SLIPSTREAM_LOG_LEVEL', 'LITELLM_LOG'],
  byDefault: 'info',
};
const DEBUG: FlagSpec = { help: 'The same as --log-level debug', aliases: ['detailed_debug'] };
const CONTROL_SOCKET: FlagSpec = {
  value: 'PATH',
  help: 'Unix socket on which the control plane serves sidecars',
  env: ['SLIPSTREAM_CONTROL_SOCKET'],
  byDefault: 'sockets/control.sock in the data directory',
};
const ADMIN_SOCKET: FlagSpec = {
  value: 'PATH',
  help: 'Unix socket on which the control plane serves the admin API',
  env: ['SLIPSTREAM_ADMIN_SOCKET'],
  byDefault: 'sockets/admin.sock in the data directory',
};
const ADMIN_HOST: FlagSpec = {
  value: 'ADDRESS',
  help: 'Address of the management API, where it has one of its own',
  env: ['SLIPSTREAM_ADMIN_HOST'],
  byDefault: '127.0.0.1',
};
const ADMIN_PORT: FlagSpec = {
  value: 'PORT',
  help: 'Port for the management API alone, which the public port then no longer serves; 0 takes any free one',
  env: ['SLIPSTREAM_ADMIN_PORT'],
  byDefault: 'none: the public port serves it',
};
/** Set by the supervisor on the processes it starts. */
const CHILD: FlagSpec = { help: 'This is the process that does the work', hidden: true };

const HEAP_NOTE =
  'SLIPSTREAM_CONTROL_NODE_OPTIONS and SLIPSTREAM_SIDECAR_NODE_OPTIONS hold options of Node for one of the processes, ' +
  'such as --max-old-space-size=256. Without one, where the memory of a container is limited, the heaps get 20 % and 25 % of it.';

export const START_COMMAND: CommandSpec = {
  name: 'start',
  summary: 'Start the gateway: control plane and sidecar, supervised',
  operands: '',
  maxOperands: 0,
  flags: {
    config: CONFIG,
    host: HOST,
    port: PORT,
    listen: LISTEN,
    'tls-cert': TLS_CERT,
    'tls-key': TLS_KEY,
    'data-dir': DATA_DIR,
    threads: THREADS,
    'admin-host': ADMIN_HOST,
    'admin-port': ADMIN_PORT,
    'no-sidecar': {
      help: 'Run everything in one process',
      env: ['SLIPSTREAM_SIDECAR=off'],
      byDefault: 'two processes',
    },
    log: LOG,
    'log-level': LOG_LEVEL,
    debug: DEBUG,
  },
  notes: [
    'Without a configuration a demo is served, on 127.0.0.1 only: a mock provider behind the gateway, with a key that is printed.',
    'SIGTERM and SIGINT stop it once requests in flight are done; a second one, more than a second later, at once. SIGHUP reads the configuration again.',
    HEAP_NOTE,
  ],
};

export const CONTROL_COMMAND: CommandSpec = {
  name: 'control',
  summary: 'Start only the control plane, for a sidecar in another container that shares the data directory',
  operands: '',
  maxOperands: 0,
  flags: {
    config: CONFIG,
    'data-dir': DATA_DIR,
    threads: THREADS,
    'admin-host': ADMIN_HOST,
    'admin-port': ADMIN_PORT,
    'control-socket': CONTROL_SOCKET,
    'admin-socket': ADMIN_SOCKET,
    log: LOG,
    'log-level': LOG_LEVEL,
    debug: DEBUG,
    child: CHILD,
  },
  notes: [HEAP_NOTE],
};

export const SIDECAR_COMMAND: CommandSpec = {
  name: 'sidecar',
  summary: 'Start only the sidecar, for a control plane in another container that shares the data directory',
  operands: '',
  maxOperands: 0,
  flags: {
    host: { ...HOST, byDefault: '0.0.0.0' },
    port: PORT,
    listen: LISTEN,
    'tls-cert': TLS_CERT,
    'tls-key': TLS_KEY,
    'data-dir': DATA_DIR,
    'control-socket': CONTROL_SOCKET,
    'admin-socket': ADMIN_SOCKET,
    log: LOG,
    'log-level': LOG_LEVEL,
    debug: DEBUG,
    child: CHILD,
  },
  notes: [HEAP_NOTE],
};

export const UPGRADE_COMMAND: CommandSpec = {
  name: 'upgrade',
  summary: 'Replace the processes of the running service by new ones, without losing a request',
  operands: '',
  maxOperands: 0,
  flags: { 'data-dir': DATA_DIR },
  notes: [
    'The new processes run the code that is installed by now and read the whole configuration again, with the settings that are read at start only, such as threads; not host, port and listen, whose sockets stay. Open rate-limit windows go with them. Requests in progress finish in the old sidecar within drain_timeout. The supervisor itself stays the old one. Exit code 0 when the new processes serve, 1 when not: then the old ones still do.',
  ],
};

export const CHECK_COMMAND: CommandSpec = {
  name: 'check',
  summary:
    'Say what a configuration amounts to: what is honoured, ignored, unsupported, and where each value comes from',
  operands: '[FILE]',
  maxOperands: 1,
  flags: {
    config: CONFIG,
    strict: { help: 'Fail on any setting that is not supported' },
  },
  notes: ['Exit code 0 when it would start, with warnings or without; 1 when it would not.'],
};

export const JOURNAL_COMMAND: CommandSpec = {
  name: 'journal',
  summary: 'Read the whole usage journal and say whether it is sound, also while gateways write to it',
  operands: 'verify',
  maxOperands: 1,
  flags: {
    'data-dir': DATA_DIR,
    json: { help: 'Print the report as JSON' },
  },
  notes: [
    'Exit code 0 when every line is a valid event and no id stands twice; 1 otherwise. Lines that were cut off as a process ' +
      'was killed, and requests that it took with it, are reported and are no problem: docs/journal.md.',
  ],
};

export const KEYS_COMMAND: CommandSpec = {
  name: 'keys',
  summary: 'Create, list and revoke virtual keys of a running gateway',
  operands: 'create | list | revoke KEY',
  maxOperands: 2,
  flags: {
    alias: { value: 'NAME', help: 'Name of the key; for list, a part of it' },
    team: { value: 'ID', help: 'Team it belongs to' },
    user: { value: 'ID', help: 'User it belongs to' },
    models: { value: 'NAMES', help: 'Models it may use, with commas between', byDefault: 'all' },
    duration: { value: 'TIME', help: 'How long it is valid: 30s, 15m, 24h, 30d, 1w, 1mo', byDefault: 'for ever' },
    'max-budget': { value: 'USD', help: 'What may be spent with it, in US dollars', byDefault: 'no limit' },
    'rpm-limit': { value: 'N', help: 'Requests per minute', byDefault: 'no limit' },
    'tpm-limit': { value: 'N', help: 'Tokens per minute', byDefault: 'no limit' },
    json: { help: 'Print what the management API answers' },
    url: {
      value: 'URL',
      help: 'Address of the gateway, or of its management API',
      env: ['SLIPSTREAM_URL'],
      byDefault: 'the socket in the data directory',
    },
    config: { ...CONFIG, help: 'Configuration of the gateway, to read the master key from' },
    'data-dir': DATA_DIR,
    'admin-socket': ADMIN_SOCKET,
  },
  notes: [
    'KEY is a key, its hash or its alias. The key that create prints is shown this once: only its hash is stored.',
    'The master key is taken from SLIPSTREAM_MASTER_KEY, LITELLM_MASTER_KEY, the configuration, or the demo.',
  ],
};

export const BACKUP_COMMAND: CommandSpec = {
  name: 'backup',
  summary: 'Copy the SQLite database of the data directory to a file, also while a gateway uses it',
  operands: 'FILE',
  maxOperands: 1,
  flags: { 'data-dir': DATA_DIR },
  notes: [
    'The copy is the database as it is at one moment, without unused space; FILE must not exist. How to restore it, and how to ' +
      'back up PostgreSQL: docs/store.md. Exit code 0 when the whole copy is on the disk.',
  ],
};

/** In the order of the help. `mock` and `bench` bring their own tables. */
export const COMMAND_SUMMARIES: Readonly<Record<string, string>> = {
  start: START_COMMAND.summary,
  control: CONTROL_COMMAND.summary,
  sidecar: SIDECAR_COMMAND.summary,
  upgrade: UPGRADE_COMMAND.summary,
  check: CHECK_COMMAND.summary,
  keys: KEYS_COMMAND.summary,
  journal: JOURNAL_COMMAND.summary,
  backup: BACKUP_COMMAND.summary,
  mock: 'Start a mock provider that speaks the protocols of OpenAI and Anthropic',
  bench: 'Measure what the gateway adds to a request',
};
