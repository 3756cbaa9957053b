import type { Bytes } from '../base/bytes.ts';
import { isDigit } from './byte-class.ts';
import { CommaList } from './comma-list.ts';
import { type FramingId, HeaderId, isFramingId } from './header-id.ts';
import type { HeaderTable } from './header-table.ts';
import type { RefusalRule } from './refusals.ts';

/** How the end of a body is found (RFC 9112 §6.3). */
export type Framing = 'none' | 'length' | 'chunked' | 'until-close' | 'upgraded';

/**
 * What the header lines say about framing and the connection, read in one pass over their ids. Header lines that
 * contradict each other or themselves are refused here, for requests and replies alike.
 */
export class MessageFacts {
  /** −1 without a Content-Length. */
  contentLength: number = -1;
  isChunked: boolean = false;
  saysClose: boolean = false;
  saysKeepAlive: boolean = false;
  /** Connection has options other than `close`, `keep-alive` and `upgrade`: see connection-options.ts. */
  namesHeaders: boolean = false;
  /** Connection names `upgrade`, and there is an Upgrade header. */
  saysUpgrade: boolean = false;
  hostCount: number = 0;
  /** Of the last Host line; −1 without one. */
  hostIndex: number = -1;
  expectation: 'none' | 'continue' | 'other' = 'none';
  #codingCount: number = 0;
  #hasUpgradeHeader: boolean = false;
  #hasUpgradeOption: boolean = false;

  /** Reads a head; answers the rule it breaks, or null. */
  read(headers: HeaderTable, minor: 0 | 1): RefusalRule | null {
    this.#clear();
    for (let index = 0; index < headers.count; index++) {
      const id = headers.id(index);
      if (isFramingId(id)) {
        const broken = this.#readLine(headers, index, id);
        if (broken !== null) return broken;
      }
    }
    this.saysUpgrade = this.#hasUpgradeHeader && this.#hasUpgradeOption;
    if (this.#codingCount === 0) return null;
    if (this.contentLength !== -1) return 'length_and_coding';
    return minor === 0 ? 'coding_before_1_1' : null;
  }

  #clear(): void {
    this.contentLength = -1;
    this.isChunked = false;
    this.saysClose = false;
    this.saysKeepAlive = false;
    this.namesHeaders = false;
    this.saysUpgrade = false;
    this.hostCount = 0;
    this.hostIndex = -1;
    this.expectation = 'none';
    this.#codingCount = 0;
    this.#hasUpgradeHeader = false;
    this.#hasUpgradeOption = false;
  }

  #readLine(headers: HeaderTable, index: number, id: FramingId): RefusalRule | null {
    switch (id) {
      case HeaderId.Host:
        this.hostCount++;
        this.hostIndex = index;
        return null;
      case HeaderId.ContentLength:
        if (this.contentLength !== -1) return 'length_repeated';
        this.contentLength = decimal(headers.bytes, headers.valueStart(index), headers.valueEnd(index));
        return this.contentLength === -1 ? 'bad_length' : null;
      case HeaderId.TransferEncoding:
        this.#codingCount++;
        if (this.#codingCount > 1) return 'coding_repeated';
        this.isChunked = headers.valueEquals(index, 'chunked');
        return this.isChunked ? null : otherCodingRule(headers, index);
      case HeaderId.Connection:
        this.#readConnection(headers, index);
        return null;
      case HeaderId.Upgrade:
        this.#hasUpgradeHeader = true;
        return null;
      case HeaderId.Expect:
        this.#readExpect(headers, index);
        return null;
      default:
        return id satisfies never;
    }
  }

  #readConnection(headers: HeaderTable, index: number): void {
    // Fast case: one option, as nearly all send it.
    if (headers.valueEquals(index, 'keep-alive')) {
      this.saysKeepAlive = true;
      return;
    }
    const list = new CommaList(headers, index);
    while (list.next()) {
      if (list.elementEquals('close')) this.saysClose = true;
      else if (list.elementEquals('keep-alive')) this.saysKeepAlive = true;
      else if (list.elementEquals('upgrade')) this.#hasUpgradeOption = true;
      else this.namesHeaders = true;
    }
  }

  #readExpect(headers: HeaderTable, index: number): void {
    const list = new CommaList(headers, index);
    while (list.next()) {
      if (!list.elementEquals('100-continue')) this.expectation = 'other';
      else if (this.expectation === 'none') this.expectation = 'continue';
    }
  }
}

/**
 * A coding list that isn't exactly `chunked`. One that ends in a single `chunked` is framed well but asks for a coding
 * that we don't have (501, RFC 9112 §6.1); anything else leaves the length of the message unknown (400, §6.3).
 */
function otherCodingRule(headers: HeaderTable, index: number): RefusalRule {
  const list = new CommaList(headers, index);
  let chunkedCount = 0;
  let endsChunked = false;
  while (list.next()) {
    endsChunked = list.elementEquals('chunked');
    if (endsChunked) chunkedCount++;
  }
  return endsChunked && chunkedCount === 1 && list.count > 1 ? 'unknown_coding' : 'bad_coding';
}

/** 1*DIGIT up to 2^53 − 1, else −1: no sign, list, space, fraction or exponent (RFC 9110 §8.6). */
function decimal(bytes: Bytes, start: number, end: number): number {
  if (start === end) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (!isDigit(byte)) return -1;
    value = value * 10 + (byte - 0x30);
    if (value > Number.MAX_SAFE_INTEGER) return -1;
  }
  return value;
}
