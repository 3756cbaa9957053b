import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { ListenerTls } from '../../contract/listener.ts';

/** What the files of a listener hold. Goes to worker threads by message, never into logs or onto disk. */
export interface TlsMaterial {
  readonly certPem: string;
  readonly keyPem: string;
  readonly caPem: string | null;
}

export interface TlsFiles {
  readonly material: TlsMaterial;
  /** Of the server's certificate. */
  readonly expiresAt: Date;
}

/** Reason, in words that name a file and quote nothing of it. */
export class TlsFileError extends Error {
  override readonly name = 'TlsFileError';
}

/**
 * Reads the files and tries them: certificate, key and authorities are usable, and belong together.
 *
 * @throws {TlsFileError}
 */
export function readTlsFiles({ certFile, keyFile, caFile }: ListenerTls): TlsFiles {
  const certPem = readText(certFile);
  const keyPem = readText(keyFile);
  const caPem = caFile === null ? null : readText(caFile);
  const expiresAt = certificateIn(certPem, certFile).validToDate;
  if (caPem !== null) certificateIn(caPem, caFile!);
  try {
    createSecureContext({ cert: certPem, key: keyPem, ...(caPem === null ? {} : { ca: caPem }) });
  } catch (error) {
    throw new TlsFileError(contextFault(error, certFile, keyFile));
  }
  return { material: { certPem, keyPem, caPem }, expiresAt };
}

/** Changes when any of the files is replaced or written to. */
export function tlsFilesStamp({ certFile, keyFile, caFile }: ListenerTls): string {
  return [certFile, keyFile, caFile].map((path) => (path === null ? '' : stampOf(path))).join();
}

function stampOf(path: string): string {
  // Of what a symbolic link points to: Kubernetes and certbot swap the link.
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? '-' : `${stat.dev}.${stat.ino}.${stat.size}.${stat.mtimeNs}`;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    throw new TlsFileError(`cannot read ${path} (${codeOf(error)})`);
  }
}

function certificateIn(pem: string, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new TlsFileError(`${path} holds no certificate in PEM form`);
  }
}

/** Never the error's own text, which may quote the PEM. */
function contextFault(error: unknown, certFile: string, keyFile: string): string {
  const code = codeOf(error);
  if (code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH') return `the key in ${keyFile} is not that of ${certFile}`;
  if (/BAD_DECRYPT|INTERRUPTED|PASSPHRASE|BAD_PASSWORD/.test(code)) return `the key in ${keyFile} has a passphrase`;
  if (/PEM|DECODER|NO_START_LINE|UNSUPPORTED/.test(code)) return `${keyFile} holds no private key in PEM form`;
  return `${certFile} and ${keyFile} can't be used (${code})`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
}
