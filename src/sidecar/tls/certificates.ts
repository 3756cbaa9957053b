import { randomBytes } from 'node:crypto';
import type { BoundListenerSpec } from '../../contract/listener.ts';
import type { Logger } from '../../runtime/logger.ts';
import { readTlsFiles, type TlsMaterial, TlsFileError, tlsFilesStamp } from './tls-files.ts';

/** A listener's certificate as workers take it into use. */
export interface Certificate extends TlsMaterial {
  /** 48 bytes that all workers encrypt session tickets with, so that any of them resumes a session. */
  readonly ticketKeys: Uint8Array;
}

/** Network and container file systems may report no change: the files are looked at, which costs 20 µs. */
const LOOK_INTERVAL_MS = 2_000;

interface Watched {
  readonly index: number;
  readonly listener: BoundListenerSpec;
  certificate: Certificate | null;
  /** Of the files when they were last tried. */
  stamp: string;
}

/**
 * The certificates of all listeners, on the main thread: read at start, when a file changes and when asked. Files that
 * can't be used change nothing; the log says so once.
 */
export class Certificates {
  readonly #watched: readonly Watched[];
  readonly #logger: Logger;
  readonly #onChange: (index: number, certificate: Certificate) => void;
  readonly #timer: NodeJS.Timeout | null;

  /** @param onChange gets each new certificate and its listener's number; the first ones are in `current`. */
  constructor(
    listeners: readonly BoundListenerSpec[],
    onChange: (index: number, certificate: Certificate) => void,
    logger: Logger,
  ) {
    this.#logger = logger;
    this.#onChange = onChange;
    this.#watched = listeners.flatMap((listener, index) =>
      listener.tls === null ? [] : [{ index, listener, certificate: null, stamp: '' }],
    );
    for (const watched of this.#watched) this.#load(watched);
    this.#timer = this.#watched.length === 0 ? null : setInterval(() => this.look(), LOOK_INTERVAL_MS).unref();
  }

  /** Those in use, by number of their listener. A listener whose files can't be used has none yet. */
  get current(): readonly (readonly [index: number, certificate: Certificate])[] {
    return this.#watched.flatMap(({ index, certificate }) => (certificate === null ? [] : [[index, certificate]]));
  }

  /** Reads files that have changed. */
  look(): void {
    for (const watched of this.#watched) {
      if (tlsFilesStamp(watched.listener.tls!) !== watched.stamp) this.#reload(watched);
    }
  }

  /** Reads all files again (SIGHUP). */
  reload(): void {
    for (const watched of this.#watched) this.#reload(watched);
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #reload(watched: Watched): void {
    const before = watched.certificate;
    this.#load(watched);
    const after = watched.certificate;
    if (after === null || after === before) return;
    this.#logger.info('certificate taken into use', { listener: watched.listener.name });
    this.#onChange(watched.index, after);
  }

  #load(watched: Watched): void {
    const { listener, certificate } = watched;
    const tls = listener.tls!;
    watched.stamp = tlsFilesStamp(tls);
    try {
      const { material, expiresAt } = readTlsFiles(tls);
      if (certificate !== null && isSame(certificate, material)) return;
      if (expiresAt.getTime() <= Date.now()) {
        this.#logger.warn('the certificate has expired', { listener: listener.name, expired: expiresAt.toISOString() });
      }
      // New keys for each certificate: a ticket must not outlive what was verified when it was given out.
      watched.certificate = { ...material, ticketKeys: randomBytes(48) };
    } catch (error) {
      if (!(error instanceof TlsFileError)) throw error;
      const consequence =
        certificate === null ? 'TLS connections are dropped until there is one' : 'the old one stays in use';
      this.#logger.error(`no new certificate: ${error.message}; ${consequence}`, { listener: listener.name });
    }
  }
}

function isSame(a: TlsMaterial, b: TlsMaterial): boolean {
  return a.certPem === b.certPem && a.keyPem === b.keyPem && a.caPem === b.caPem;
}
