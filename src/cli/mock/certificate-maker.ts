import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** X.509 certificates for the mock and for tests, signed here: an `openssl` binary is not on every machine. DER after RFC 5280 §4.1. */
export interface Certificate {
  readonly certPem: string;
  readonly keyPem: string;
  readonly name: string;
  readonly key: KeyObject;
}

export interface CertificateWishes {
  readonly name: string;
  /** DNS names and IPv4 addresses that it is made for. */
  readonly altNames?: readonly string[];
  /** Whose signature it bears; default its own. */
  readonly issuer?: Certificate;
  readonly isAuthority?: boolean;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

const DAY_MS = 86_400_000;

export function makeCertificate(wishes: CertificateWishes): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { notBefore = new Date(Date.now() - DAY_MS), notAfter = new Date(Date.now() + DAY_MS) } = wishes;
  const signer = wishes.issuer?.key ?? privateKey;
  const serial = randomBytes(8);
  serial[0] = 1;
  const body = sequence(
    tagged(0xa0, tagged(0x02, Buffer.of(2))), // version 3
    tagged(0x02, serial),
    ECDSA_WITH_SHA256,
    distinguishedName(wishes.issuer?.name ?? wishes.name),
    sequence(time(notBefore), time(notAfter)),
    distinguishedName(wishes.name),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions(wishes))),
  );
  const signature = tagged(0x03, Buffer.concat([Buffer.of(0), sign('sha256', body, signer)]));
  const der = sequence(body, ECDSA_WITH_SHA256, signature);
  const lines = der.toString('base64').replace(/.{64}/g, '$&\n');
  return {
    certPem: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    name: wishes.name,
    key: privateKey,
  };
}

function extensions({ altNames = [], isAuthority = false }: CertificateWishes): Buffer[] {
  const found: Buffer[] = [];
  if (isAuthority) {
    const value = sequence(tagged(0x01, Buffer.of(0xff)));
    found.push(sequence(objectId('551d13'), tagged(0x01, Buffer.of(0xff)), tagged(0x04, value)));
  }
  if (altNames.length > 0) {
    const names = altNames.map((name) =>
      isIPv4(name) ? tagged(0x87, Buffer.from(name.split('.').map(Number))) : tagged(0x82, Buffer.from(name)),
    );
    found.push(sequence(objectId('551d11'), tagged(0x04, sequence(...names))));
  }
  return found;
}

function tagged(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function objectId(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'));
}

const ECDSA_WITH_SHA256 = sequence(objectId('2a8648ce3d040302'));

function distinguishedName(commonName: string): Buffer {
  return sequence(tagged(0x31, sequence(objectId('550403'), tagged(0x0c, Buffer.from(commonName)))));
}

/** UTCTime: good until 2049. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/\D/g, '');
  return tagged(0x17, Buffer.from(`${digits.slice(2, 14)}Z`));
}
