import type { Bytes } from '../base/bytes.ts';
import { FieldSectionParser } from './field-section-parser.ts';
import { HeaderId } from './header-id.ts';
import type { ParserLimits } from './limits.ts';
import type { RefusalRule } from './refusals.ts';
import { ScanResult, SectionReader } from './section-reader.ts';

/**
 * Fields that a trailer section must not hold, since they steer framing, routing, authentication, request handling or
 * how the content is read (RFC 9110 §6.5.1). All other trailers are dropped; these show that someone hopes they are not.
 */
const FORBIDDEN: Uint8Array = forbiddenIds();

/** The trailer section of a chunked body: checked like a head, bounded, dropped. */
export class TrailerSection {
  readonly #fields: FieldSectionParser;
  readonly #reader: SectionReader;
  refusal: RefusalRule | null = null;

  constructor(limits: ParserLimits) {
    this.#fields = new FieldSectionParser(limits.maxHeaders);
    this.#reader = new SectionReader(this.#fields, limits.maxTrailerBytes);
  }

  begin(): void {
    this.#reader.begin();
    this.#fields.begin();
  }

  /** As `SectionReader.read`. */
  read(chunk: Bytes, at: number, end: number): number {
    const position = this.#reader.read(chunk, at, end);
    if (position === ScanResult.Refused) {
      const { refusal } = this.#fields;
      this.refusal = refusal === 'head_too_large' ? 'trailers_too_large' : refusal;
    }
    if (position < 0) return position;

    const { table } = this.#fields;
    for (let index = 0; index < table.count; index++) {
      if (FORBIDDEN[table.id(index)] === 1) {
        this.refusal = 'forbidden_trailer';
        return ScanResult.Refused;
      }
    }
    return position;
  }
}

function forbiddenIds(): Uint8Array {
  const forbidden = new Uint8Array(Object.keys(HeaderId).length);
  for (const id of [
    HeaderId.Host,
    HeaderId.ContentLength,
    HeaderId.TransferEncoding,
    HeaderId.Connection,
    HeaderId.Upgrade,
    HeaderId.Expect,
    HeaderId.KeepAlive,
    HeaderId.Te,
    HeaderId.Trailer,
    HeaderId.ProxyConnection,
    HeaderId.ProxyAuthenticate,
    HeaderId.ProxyAuthorization,
    HeaderId.Authorization,
    HeaderId.ApiKey,
    HeaderId.XApiKey,
    HeaderId.XGoogApiKey,
    HeaderId.OcpApimSubscriptionKey,
    HeaderId.XLitellmApiKey,
    HeaderId.Cookie,
    HeaderId.SetCookie,
    HeaderId.WwwAuthenticate,
    HeaderId.ContentType,
    HeaderId.ContentEncoding,
    HeaderId.ContentRange,
    HeaderId.MaxForwards,
    HeaderId.Range,
    HeaderId.CacheControl,
    HeaderId.RetryAfter,
    HeaderId.Location,
    HeaderId.Date,
    HeaderId.Vary,
    HeaderId.Age,
    HeaderId.Expires,
  ]) {
    forbidden[id] = 1;
  }
  return forbidden;
}
