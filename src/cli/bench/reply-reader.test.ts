import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { splitEverywhere } from '../../../test/support/split-everywhere.ts';
import { FrameReader } from './frame-reader.ts';
import { ReplyReader, type ReplyProgress } from './reply-reader.ts';

const NONCE = 'nonce-0000000042';
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';
const BODY = `{"id":"chatcmpl-${NONCE}","x":1}`;

interface Reading {
  readonly progress: ReplyProgress;
  readonly status: number;
  readonly bodyBytes: number;
  readonly hasNonce: boolean;
  readonly closes: boolean;
  readonly isCompleteAtClose: boolean;
  readonly frames: number;
  readonly hasEnd: boolean;
  readonly latencies: readonly number[];
}

function read(input: string, isStream = false): Reading {
  return splitEverywhere(input, (pieces) => {
    const latencies: number[] = [];
    const frames = isStream ? new FrameReader((ns) => latencies.push(ns)) : null;
    const reader = new ReplyReader(frames, false);
    reader.begin(Buffer.from(NONCE));
    let progress: ReplyProgress = 'more';
    for (const { chunk, at, end } of pieces) {
      if (progress === 'more') progress = reader.read(Buffer.from(chunk.buffer, chunk.byteOffset + at, end - at), 1000);
      else progress = 'malformed'; // bytes after the end
    }
    const isCompleteAtClose = progress === 'more' && reader.isCompleteAtClose;
    return {
      progress,
      status: reader.status,
      bodyBytes: reader.bodyBytes,
      hasNonce: progress !== 'malformed' && reader.hasNonce,
      closes: reader.closes,
      isCompleteAtClose,
      frames: frames?.frameCount ?? 0,
      hasEnd: frames?.hasEnd ?? false,
      latencies,
    };
  });
}

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

describe('ReplyReader, cut at every byte', () => {
  it('with a content-length', () => {
    const reading = read(`${HEAD}Content-Length: ${BODY.length}\r\n\r\n${BODY}`);
    assert.equal(reading.progress, 'complete');
    assert.deepEqual([reading.status, reading.bodyBytes, reading.hasNonce], [200, BODY.length, true]);
    assert.equal(reading.closes, false);
  });

  it('without its nonce', () => {
    const other = BODY.replace('42', '43');
    const reading = read(`${HEAD}content-length: ${other.length}\r\n\r\n${other}`);
    assert.deepEqual([reading.progress, reading.hasNonce], ['complete', false]);
  });

  it('with an empty body', () => {
    const reading = read(`${HEAD}content-length: 0\r\n\r\n`);
    assert.deepEqual([reading.progress, reading.bodyBytes], ['complete', 0]);
  });

  it('that is shorter or longer than its content-length', () => {
    assert.equal(read(`${HEAD}content-length: ${BODY.length + 1}\r\n\r\n${BODY}`).progress, 'more');
    assert.equal(read(`${HEAD}content-length: ${BODY.length - 1}\r\n\r\n${BODY}`).progress, 'malformed');
  });

  it('chunked, with trailers, and its last chunk missing', () => {
    const chunks = `${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk(BODY.slice(0, 7))}${chunk(BODY.slice(7))}`;
    const reading = read(`${chunks}0\r\nx-a: b\r\n\r\n`);
    assert.deepEqual([reading.progress, reading.bodyBytes, reading.hasNonce], ['complete', BODY.length, true]);
    assert.equal(read(chunks).progress, 'more');
    assert.equal(read(chunks).isCompleteAtClose, false);
  });

  it('delimited by the end of the connection', () => {
    const reading = read(`${HEAD}\r\n${BODY}`);
    assert.deepEqual([reading.progress, reading.isCompleteAtClose, reading.hasNonce], ['more', true, true]);
  });

  it('that closes, or comes after interim ones', () => {
    const plain = `content-length: ${BODY.length}\r\n\r\n${BODY}`;
    assert.equal(read(`${HEAD}Connection: close\r\n${plain}`).closes, true);
    const interim = 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n';
    assert.deepEqual([read(interim + HEAD + plain).progress, read(interim + HEAD + plain).status], ['complete', 200]);
  });

  it('that is no HTTP', () => {
    assert.equal(read('SSH-2.0-x\r\n\r\n').progress, 'malformed');
    assert.equal(read(`${HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n`).progress, 'malformed');
  });

  it('as an event stream: frames, their latencies, their end', () => {
    const stamped = [100, 200].map((t) => `data: {"id":"${NONCE}","t":${String(t).padStart(20)}}\n\n`);
    const frames = [...stamped, ': comment\n\n', 'data: [DONE]\n\n'].map(chunk).join('');
    const reading = read(`${HEAD}transfer-encoding: chunked\r\n\r\n${frames}0\r\n\r\n`, true);
    assert.deepEqual([reading.progress, reading.frames, reading.hasEnd, reading.hasNonce], ['complete', 4, true, true]);
    assert.deepEqual(reading.latencies, [900, 800]);
  });

  it('as an event stream without its last event', () => {
    const frames = chunk(`data: {"id":"${NONCE}","t":${'5'.padStart(20)}}\n\n`);
    const reading = read(`${HEAD}transfer-encoding: chunked\r\n\r\n${frames}0\r\n\r\n`, true);
    assert.deepEqual([reading.progress, reading.hasEnd], ['complete', false]);
  });
});
