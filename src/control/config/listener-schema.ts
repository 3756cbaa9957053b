import { z } from 'zod';
import { setting } from './setting-registry.ts';
import { CLIENT_AUTH, TLS_VERSIONS } from '../../contract/listener.ts';
import { choice, flag, text } from './value-schemas.ts';

const fileMode = (): z.ZodType<number> =>
  text()
    .refine((written) => /^0?o?[0-7]{3}$/.test(written), 'must be three octal digits, such as "0660"')
    .transform((written) => Number.parseInt(written.replace('o', ''), 8));

const TLS_VERSION_TEXTS = TLS_VERSIONS.map((version) => version.replace('TLSv', ''));

/** `1.2`, or as OpenSSL writes it. */
const tlsVersion = (): z.ZodType<(typeof TLS_VERSIONS)[number]> =>
  text()
    .refine((written) => TLS_VERSION_TEXTS.includes(written.replace(/^TLSv/i, '')), 'must be 1.2 or 1.3')
    .transform((written) => (written.endsWith('1.3') ? 'TLSv1.3' : 'TLSv1.2'));

/** `slipstream.tls`, and `tls` of an entry of `slipstream.listen`. */
export const tlsSchema = z.strictObject({
  cert_file: setting(text(), {
    description:
      'PEM file with the certificate for clients, the intermediate ones behind it. Without `listen` it turns TLS on.',
    unit: 'path',
    default: null,
    env: ['SSL_CERTFILE_PATH'],
  }),
  key_file: setting(text(), {
    description: 'PEM file with its private key, without a passphrase. Mode 0600 is advised.',
    unit: 'path',
    default: null,
    env: ['SSL_KEYFILE_PATH'],
  }),
  ca_file: setting(text(), {
    description: 'PEM file with the authorities whose certificates clients may show.',
    unit: 'path',
    default: null,
  }),
  client_auth: setting(choice(CLIENT_AUTH), {
    description: 'Whether clients must show a certificate: none, optional (if they do it must be good), required.',
    default: null,
    defaultNote: '`required` with `ca_file`, else `none`',
  }),
  min_version: setting(tlsVersion(), { description: 'Lowest version of TLS: 1.2 or 1.3.', default: '1.2' }),
});

/** One entry of `slipstream.listen`; a single text is its `address`. */
export const listenerSchema = z.preprocess(
  (entry) => (typeof entry === 'string' ? { address: entry } : entry),
  z.strictObject({
    address: setting(text(), {
      description:
        '`host:port`, `[::]:4000` (IPv6, and IPv4 too unless another listener has that port), `:4000`, ' +
        '`unix:/run/slipstream.sock`, or `systemd` or `systemd:NAME` for sockets that systemd passes.',
      default: null,
      defaultNote: 'required',
    }),
    mode: setting(fileMode().optional(), {
      description: "Permissions of a Unix socket's file: who may write to it may connect.",
      default: '"0660"',
    }),
    tls: setting(z.union([flag(), tlsSchema.partial()]).optional(), {
      description:
        'true: TLS as `slipstream.tls` says. A map: the same keys, for this listener; what it leaves out comes from there.',
      default: null,
      defaultNote: '`true` for https://',
    }),
    proxy_protocol: setting(flag().optional(), {
      description: 'Every connection must begin with a PROXY protocol header, version 1 or 2.',
      default: null,
      defaultNote: '`slipstream.proxy_protocol`',
    }),
  }),
);

export type ListenerEntry = z.output<typeof listenerSchema>;
