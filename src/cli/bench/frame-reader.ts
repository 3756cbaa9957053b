const FRAME_END = '\n\n';
const CLOCK_MARK = '"t":';
/** As the mock writes it: right-aligned in twenty characters. */
const CLOCK_WIDTH = 20;

/** Takes an event stream apart as it arrives, for the clock in each frame and for whether it came to its end. */
export class FrameReader {
  /** The last frame was one that ends a stream of its protocol. */
  hasEnd = false;
  frameCount = 0;
  /** Arrival of the first frame that has the mock's clock; 0 = none yet. */
  firstFrameAtNs = 0;
  readonly #record: (latencyNs: number) => void;
  #partial = '';

  /** @param record called with arrival minus the mock's clock for each frame that has one. */
  constructor(record: (latencyNs: number) => void) {
    this.#record = record;
  }

  begin(): void {
    this.hasEnd = false;
    this.frameCount = 0;
    this.firstFrameAtNs = 0;
    this.#partial = '';
  }

  read(piece: Buffer, atNs: number): void {
    const text = this.#partial + piece.toString('latin1');
    let start = 0;
    for (;;) {
      const end = text.indexOf(FRAME_END, start);
      if (end < 0) break;
      this.#readFrame(text, start, end, atNs);
      start = end + FRAME_END.length;
    }
    this.#partial = start === 0 ? text : text.slice(start);
  }

  #readFrame(text: string, start: number, end: number, atNs: number): void {
    this.frameCount++;
    this.hasEnd = isEnd(text, start, end);
    const mark = text.lastIndexOf(CLOCK_MARK, end);
    if (mark < start) return;
    if (this.firstFrameAtNs === 0) this.firstFrameAtNs = atNs;
    const clockAt = mark + CLOCK_MARK.length;
    this.#record(atNs - Number(text.slice(clockAt, clockAt + CLOCK_WIDTH)));
  }
}

function isEnd(text: string, start: number, end: number): boolean {
  return (
    (end - start === 12 && text.startsWith('data: [DONE]', start)) ||
    text.startsWith('event: message_stop', start) ||
    text.startsWith('event: response.completed', start)
  );
}
