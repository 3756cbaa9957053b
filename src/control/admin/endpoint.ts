import { z } from 'zod';
import type { KeyRecord } from '../../contract/key-record.ts';
import type { AdminServices } from './admin-services.ts';

/** Who calls: holds the master key, or a virtual key. */
export type Caller = { readonly role: 'admin' } | { readonly role: 'key-holder'; readonly record: KeyRecord };

export interface AdminCall<Query, Body> {
  /** Of an open endpoint: nobody asked who it is. */
  readonly caller: Caller;
  /** Parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  /** Header `litellm-changed-by`: on whose behalf, for the audit log. */
  readonly changedBy: string | null;
}

/** Who may call: anyone, the holder of any key (the endpoint itself says of what), or the master key only. */
export type Access = 'open' | 'key-holder' | 'admin';

export const ENDPOINT_TAGS = ['keys', 'teams', 'users', 'models', 'audit', 'spend', 'gateway'] as const;

interface EndpointText {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Fastify's patterns; the first is the one that is documented. */
  readonly paths: readonly [string, ...string[]];
  readonly tag: (typeof ENDPOINT_TAGS)[number];
  readonly access: Access;
  readonly summary: string;
}

/** One row of the endpoint table: routes, checks and the OpenAPI document are made from it. */
export interface AdminEndpoint extends EndpointText {
  readonly query: z.ZodObject | null;
  readonly body: z.ZodObject | null;
  /** Fields of the body that are taken and mean nothing yet: named in a header of the reply. */
  readonly inert: ReadonlySet<string>;
  readonly reply: z.ZodType;
  handle(call: AdminCall<never, never>, services: AdminServices): unknown;
}

interface EndpointSpec<
  Query extends z.ZodObject,
  Body extends z.ZodObject,
  Reply extends z.ZodType,
> extends EndpointText {
  readonly query?: Query;
  readonly body?: Body;
  /** Whose names are those of inert fields. */
  readonly inert?: Readonly<Record<string, unknown>>;
  /** What it does not name is not sent: no field slips out by accident. */
  readonly reply: Reply;
  readonly handle: (
    call: AdminCall<z.output<Query>, z.output<Body>>,
    services: AdminServices,
  ) => z.input<Reply> | Promise<z.input<Reply>>;
}

const nothing = z.object({});

export function endpoint<
  Reply extends z.ZodType,
  Query extends z.ZodObject = typeof nothing,
  Body extends z.ZodObject = typeof nothing,
>(spec: EndpointSpec<Query, Body, Reply>): AdminEndpoint {
  return Object.freeze({
    ...spec,
    query: spec.query ?? null,
    body: spec.body ?? null,
    inert: new Set(Object.keys(spec.inert ?? {})),
  });
}
