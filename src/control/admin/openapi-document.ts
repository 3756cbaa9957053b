import { z } from 'zod';
import { type AdminEndpoint, ENDPOINT_TAGS } from './endpoint.ts';

/** Of the management API; raised when an endpoint or field changes in a way that a script can notice. */
const API_VERSION = '1.0.0';

/** The OpenAPI 3.1 document of the endpoint table. The same table gives the same document. */
export function openApiDocument(endpoints: readonly AdminEndpoint[]): Record<string, unknown> {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Slipstream management API',
      version: API_VERSION,
      description: "Keys, teams, users, models and the audit log, with LiteLLM's paths, fields and replies.",
    },
    security: [{ bearer: [] }],
    tags: ENDPOINT_TAGS.map((tag) => ({ name: tag })),
    paths: pathItems(endpoints),
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'The master key, or a virtual key.' } },
      schemas: { Error: errorSchema(), ...namedSchemas(endpoints) },
    },
  };
}

function pathItems(endpoints: readonly AdminEndpoint[]): Record<string, unknown> {
  const items: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) {
    const path = openApiPath(endpoint.paths[0]);
    items[path] = { ...items[path], [endpoint.method.toLowerCase()]: operation(endpoint) };
  }
  return items;
}

function operation(endpoint: AdminEndpoint): Record<string, unknown> {
  const { paths, tag, access, summary, body } = endpoint;
  const parameters = [...pathParameters(paths[0]), ...queryParameters(endpoint)];
  return {
    operationId: operationId(paths[0]),
    tags: [tag],
    summary,
    ...(access === 'open' ? { security: [] } : {}),
    'x-access': access,
    ...(paths.length > 1 ? { 'x-also-at': paths.slice(1).map(openApiPath) } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body === null ? {} : { requestBody: { required: true, content: json(schemaOf(body, 'input')) } }),
    responses: {
      200: { description: 'Done.', content: json(replySchema(endpoint.reply)) },
      default: { description: 'Refused.', content: json({ $ref: '#/components/schemas/Error' }) },
    },
  };
}

function replySchema(reply: z.ZodType): Record<string, unknown> {
  const { id } = reply.meta() ?? {};
  return id === undefined ? schemaOf(reply, 'output') : { $ref: `#/components/schemas/${id}` };
}

function queryParameters({ query }: AdminEndpoint): unknown[] {
  if (query === null) return [];
  const { properties = {}, required = [] } = schemaOf(query, 'input') as {
    properties?: Record<string, Record<string, unknown>>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    ...(required.includes(name) ? { required: true } : {}),
    ...(description === undefined ? {} : { description }),
    schema,
  }));
}

function pathParameters(path: string): unknown[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

/** `/key/:key/regenerate` → `/key/{key}/regenerate` */
function openApiPath(path: string): string {
  return path.replaceAll(/:(\w+)/g, '{$1}');
}

/** `/key/:key/regenerate` → `key_regenerate` */
function operationId(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && !part.startsWith(':'));
  return parts.join('_').replaceAll(/[^\w]/g, '_');
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, $defs: __, ...rest } = toComponents(z.toJSONSchema(schema, { io, unrepresentable: 'any' }));
  return rest;
}

/** The schemas that have a name of their own, wherever they stand in a reply. */
function namedSchemas(endpoints: readonly AdminEndpoint[]): Record<string, unknown> {
  const named: Record<string, unknown> = {};
  for (const { reply } of endpoints) {
    const schema = toComponents(z.toJSONSchema(reply, { io: 'output', unrepresentable: 'any' }));
    Object.assign(named, schema['$defs']);
    const { id } = reply.meta() ?? {};
    if (id !== undefined) named[id] = schemaOf(reply, 'output');
  }
  return Object.fromEntries(Object.entries(named).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function toComponents(schema: object): Record<string, unknown> {
  const text = JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/');
  return JSON.parse(text) as Record<string, unknown>;
}

function json(schema: unknown): unknown {
  return { 'application/json': { schema } };
}

function errorSchema(): Record<string, unknown> {
  return schemaOf(
    z.object({
      error: z.object({
        message: z.string(),
        type: z.string().nullable(),
        param: z.string().nullable().describe('The field at fault.'),
        code: z.string().describe('The HTTP status, as text.'),
      }),
    }),
    'output',
  );
}
