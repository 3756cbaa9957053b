/**
 * One small integer per header that some part of the gateway looks at. The framing headers come first, so that a
 * comparison or two skip all others; the families at the end stand for every header with that prefix that has no id itself.
 */
export const HeaderId = {
  Unknown: 0,

  // What decides where a message ends and what happens to its connection: see message-facts.ts.
  Host: 1,
  ContentLength: 2,
  TransferEncoding: 3,
  Connection: 4,
  Upgrade: 5,
  Expect: 6,

  // Other hop-by-hop headers (RFC 9110 §7.6.1 and the older ones still seen).
  KeepAlive: 7,
  Te: 8,
  Trailer: 9,
  ProxyConnection: 10,
  ProxyAuthenticate: 11,
  ProxyAuthorization: 12,

  // Where a key may stand.
  Authorization: 13,
  ApiKey: 14,
  XApiKey: 15,
  XGoogApiKey: 16,
  OcpApimSubscriptionKey: 17,
  XLitellmApiKey: 18,
  Cookie: 19,

  ContentType: 20,
  ContentEncoding: 21,
  ContentRange: 22,
  Accept: 23,
  AcceptEncoding: 24,
  AcceptLanguage: 25,
  AcceptCharset: 26,
  UserAgent: 27,
  Origin: 28,
  Referer: 29,
  Range: 30,
  MaxForwards: 31,
  Forwarded: 32,
  Via: 33,

  AnthropicVersion: 34,
  AnthropicBeta: 35,
  AnthropicOrganizationId: 36,
  OpenaiBeta: 37,
  OpenaiOrganization: 38,
  OpenaiProject: 39,
  OpenaiProcessingMs: 40,
  OpenaiVersion: 41,
  IdempotencyKey: 42,
  Traceparent: 43,
  Tracestate: 44,
  Baggage: 45,
  XRequestId: 46,
  RequestId: 47,
  XForwardedFor: 48,
  XForwardedProto: 49,
  XForwardedHost: 50,
  XRealIp: 51,

  SetCookie: 52,
  AltSvc: 53,
  StrictTransportSecurity: 54,
  Date: 55,
  Server: 56,
  RetryAfter: 57,
  RetryAfterMs: 58,
  XShouldRetry: 59,
  Location: 60,
  Allow: 61,
  CacheControl: 62,
  Pragma: 63,
  Expires: 64,
  Age: 65,
  Vary: 66,
  Etag: 67,
  LastModified: 68,
  ContentDisposition: 69,
  WwwAuthenticate: 70,
  CfRay: 71,
  CfCacheStatus: 72,
  XContentTypeOptions: 73,
  AccessControlExposeHeaders: 74,
  AccessControlAllowOrigin: 75,

  SecWebsocketProtocol: 76,
  SecWebsocketKey: 77,
  SecWebsocketAccept: 78,
  SecWebsocketVersion: 79,
  SecWebsocketExtensions: 80,

  // Families.
  XLitellm: 81,
  XSlipstream: 82,
  XStainless: 83,
  XRatelimit: 84,
  AnthropicRatelimit: 85,
  XOther: 86,
} as const;

export type HeaderId = (typeof HeaderId)[keyof typeof HeaderId];

type FramingName = 'Host' | 'ContentLength' | 'TransferEncoding' | 'Connection' | 'Upgrade' | 'Expect';

/** The headers that bear on framing and on the connection. */
export type FramingId = (typeof HeaderId)[FramingName];

export function isFramingId(id: HeaderId): id is FramingId {
  return id <= HeaderId.Expect && id !== HeaderId.Unknown;
}

/** Families in the order in which they are tried: the official SDKs send seven `x-stainless-`; `x-` takes what is left. */
export const HEADER_FAMILIES: readonly (readonly [prefix: string, id: HeaderId])[] = [
  ['x-stainless-', HeaderId.XStainless],
  ['x-ratelimit-', HeaderId.XRatelimit],
  ['x-litellm-', HeaderId.XLitellm],
  ['x-slipstream-', HeaderId.XSlipstream],
  ['x-', HeaderId.XOther],
  ['anthropic-ratelimit-', HeaderId.AnthropicRatelimit],
];

/** Lower-case name of each id: `XApiKey` is `x-api-key`. Empty for `Unknown` and the families, whose names vary. */
export const HEADER_NAMES: readonly string[] = headerNames();

function headerNames(): string[] {
  const names = Array.from({ length: Object.keys(HeaderId).length }, () => '');
  const nameless = new Set<number>([HeaderId.Unknown, ...HEADER_FAMILIES.map(([, id]) => id)]);
  for (const [key, id] of Object.entries(HeaderId)) {
    if (!nameless.has(id)) names[id] = key.replace(/(?!^)([A-Z])/g, '-$1').toLowerCase();
  }
  return names;
}
