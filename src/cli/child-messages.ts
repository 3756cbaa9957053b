import type { SharedState } from '../sidecar/worker/shared-state.ts';
import type { BoundListenerSpec, ConfiguredListener, TlsWishes } from '../contract/listener.ts';
import type { LogFormat, LogLevel } from '../runtime/logger.ts';

/** The configuration, or what the demo's starter had to say about it, is at fault (EX_CONFIG of sysexits.h). */
export const EXIT_CONFIG = 78;

/** Descriptor of the first listening socket in the sidecar; the others follow. */
export const FIRST_LISTEN_FD = 3;

export interface LogSettings {
  readonly level: LogLevel;
  readonly format: LogFormat;
}

/** Goes over the channel, never through argv or the child's environment: `env` holds every secret there is. */
export interface ControlChildOptions {
  readonly dataDirectory: string;
  /** Null: the demo, for which the control plane starts a mock provider in its own process. */
  readonly configPath: string | null;
  readonly controlSocketPath: string;
  readonly adminSocketPath: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly threads: number | null;
  readonly adminHost: string | null;
  readonly adminPort: number | null;
  /** Report host, port and `sidecar` of the configuration before anything else is done. */
  readonly reportsSettings: boolean;
  readonly log: LogSettings;
}

export interface SidecarChildOptions {
  readonly dataDirectory: string;
  readonly controlSocketPath: string;
  readonly adminSocketPath: string;
  /** In the order of their descriptors. */
  readonly listeners: readonly BoundListenerSpec[];
  /** Another sidecar serves: be ready to, say `prepared`, and accept nothing before `take-over`. */
  readonly awaitsTakeOver: boolean;
  readonly log: LogSettings;
}

/** What a configuration says about the processes; the supervisor itself reads no YAML. */
export interface ConfiguredProcesses {
  readonly host: string | null;
  readonly port: number | null;
  /** Of `slipstream.listen`; null: that says nothing. */
  readonly listeners: readonly ConfiguredListener[] | null;
  readonly tls: TlsWishes;
  /** Where a listener does not say. */
  readonly proxyProtocol: boolean;
  readonly sidecar: boolean;
  /** Null where nothing is said. */
  readonly threads: number | null;
}

export type ToChild =
  | { readonly type: 'start-control'; readonly options: ControlChildOptions }
  | { readonly type: 'start-sidecar'; readonly options: SidecarChildOptions }
  | { readonly type: 'reload' }
  /** Readiness false, `connection: close` on every answer; answered by `stop-listening`. */
  | { readonly type: 'drain' }
  /** The supervisor has closed its copy of the socket. */
  | { readonly type: 'finish-drain' }
  /** Another sidecar goes on from here: stop accepting, answer `handed-over`, finish what is in progress, exit. */
  | { readonly type: 'hand-over' }
  /** What the sidecar before this one handed over; empty when it could not. */
  | { readonly type: 'take-over'; readonly state: SharedState }
  /** The sidecar before this one has exited. */
  | { readonly type: 'predecessor-ended' }
  | { readonly type: 'stop' };

export type FromChild =
  /** First message: it listens to messages now. */
  | { readonly type: 'hello' }
  | { readonly type: 'heartbeat' }
  | { readonly type: 'settings'; readonly settings: ConfiguredProcesses }
  /** `demoKey` only from the control plane of a demo. */
  | { readonly type: 'ready'; readonly demoKey: string | null }
  | { readonly type: 'stop-listening' }
  | { readonly type: 'prepared' }
  | { readonly type: 'handed-over'; readonly state: SharedState }
  /** listen(2) said that the address of that listener is taken: someone bound it in the same moment. */
  | { readonly type: 'port-taken'; readonly listener: number };

export type ChildName = 'control' | 'sidecar';
