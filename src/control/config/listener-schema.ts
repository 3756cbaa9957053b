import { z } from 'zod';
import { setting } from './setting-registry.ts';
import { text } from './value-schemas.ts';

const fileMode = (): z.ZodType<number> =>
  text()
    .refine((written) => /^0?o?[0-7]{3}$/.test(written), 'must be three octal digits, such as "0660"')
    .transform((written) => Number.parseInt(written.replace('o', ''), 8));

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
  }),
);

export type ListenerEntry = z.output<typeof listenerSchema>;
