import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

export interface PemFile {
  readonly text: string | null;
  /** Why there is none; never quotes the content. */
  readonly fault: string | null;
}

/** Certificates and keys named in the configuration, each read once per load. */
export class PemFiles {
  readonly #read = new Map<string, PemFile>();

  /** The file at `path`, which must hold at least one certificate that parses. */
  get(path: string): PemFile {
    const absolute = resolve(path);
    let file = this.#read.get(absolute);
    if (file === undefined) {
      file = readPem(absolute);
      this.#read.set(absolute, file);
    }
    return file;
  }
}

function readPem(path: string): PemFile {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    return { text: null, fault: `cannot read ${path} (${code})` };
  }
  try {
    void new X509Certificate(text);
    return { text, fault: null };
  } catch {
    return { text: null, fault: `${path} holds no certificate in PEM form` };
  }
}
