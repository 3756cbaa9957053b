import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MAX_FRAME_BYTES, type ToControl } from './control-messages.ts';
import { encodeFrame, FrameDecoder, FrameError, type FrameFault } from './frame-codec.ts';

const MESSAGES: readonly ToControl[] = [
  { type: 'hello', protocol: 1, role: 'sidecar', pid: 7, version: 'ü€𝄞' },
  { type: 'resend-keys' },
  { type: 'key-lookup', id: 1, hash: 'a'.repeat(64) },
];

function frameOf(body: string | Uint8Array, length?: number): Buffer {
  const bytes = Buffer.from(body as string);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(length ?? bytes.length);
  return Buffer.concat([header, bytes]);
}

function faultOf(run: () => unknown): FrameFault | 'none' {
  try {
    run();
    return 'none';
  } catch (error) {
    assert.ok(error instanceof FrameError);
    return error.fault;
  }
}

describe('frame codec', () => {
  const stream = Buffer.concat(MESSAGES.map((message) => encodeFrame(message)));

  it('reads the same messages however the stream is split in two', () => {
    for (let at = 0; at <= stream.length; at++) {
      const decoder = new FrameDecoder<ToControl>();
      const messages = [...decoder.push(stream.subarray(0, at)), ...decoder.push(stream.subarray(at))];
      assert.deepEqual(messages, MESSAGES, `split at ${at}`);
      assert.equal(decoder.isInsideFrame, false);
    }
  });

  it('reads byte by byte from a buffer that is reused', () => {
    const decoder = new FrameDecoder<ToControl>();
    const reused = new Uint8Array(1);
    const messages = [...stream].flatMap((byte) => {
      reused[0] = byte;
      return decoder.push(reused);
    });
    assert.deepEqual(messages, MESSAGES);
  });

  it('knows that it is inside a frame from the first header byte on', () => {
    const decoder = new FrameDecoder<ToControl>();
    decoder.push(stream.subarray(0, 1));
    assert.equal(decoder.isInsideFrame, true);
  });

  it('carries a message of many chunks', () => {
    const big: ToControl = { type: 'refused', reason: 'x'.repeat(3_000_000) };
    const frame = encodeFrame(big);
    const decoder = new FrameDecoder<ToControl>();
    const messages: ToControl[] = [];
    for (let at = 0; at < frame.length; at += 65_536) messages.push(...decoder.push(frame.subarray(at, at + 65_536)));
    assert.deepEqual(messages, [big]);
  });

  it('takes no memory for what a header only announces', () => {
    const decoder = new FrameDecoder<ToControl>();
    const before = process.memoryUsage().arrayBuffers;
    decoder.push(frameOf('{', MAX_FRAME_BYTES));
    assert.ok(process.memoryUsage().arrayBuffers - before < 10_000_000);
  });

  const faulty: readonly [name: string, bytes: Buffer, fault: FrameFault][] = [
    ['one byte over the limit', frameOf('', MAX_FRAME_BYTES + 1), 'oversize'],
    ['an empty frame', frameOf(''), 'bad-json'],
    ['JSON cut short', frameOf('{"type":"hel'), 'bad-json'],
    ['an array', frameOf('[]'), 'not-a-message'],
    ['null', frameOf('null'), 'not-a-message'],
    ['an object without a type', frameOf('{}'), 'not-a-message'],
    ['bytes that are no UTF-8', frameOf(new Uint8Array([0x22, 0xff, 0x22])), 'bad-utf8'],
  ];
  for (const [name, bytes, fault] of faulty) {
    it(`refuses ${name}, and everything after it`, () => {
      const decoder = new FrameDecoder<ToControl>();
      assert.equal(
        faultOf(() => decoder.push(bytes)),
        fault,
      );
      assert.equal(
        faultOf(() => decoder.push(stream)),
        fault,
      );
    });
  }

  it('quotes nothing of a frame that does not parse', () => {
    const decoder = new FrameDecoder<ToControl>();
    assert.throws(
      () => decoder.push(frameOf('sk-secret')),
      (error: Error) => !error.message.includes('secret'),
    );
  });
});
