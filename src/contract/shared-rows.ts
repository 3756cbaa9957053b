import { invariant } from '../base/invariant.ts';

/*
 * All threads of a sidecar see the same memory, cut into rows of equal size:
 *
 *     row 0 │ id (u64; 0 = free) │ cells of the row's owner … │
 *     row 1 │ …                                               │
 *
 * A row is found by probing linearly from its id, and claimed by one compare-exchange of a free id word. Nothing is locked
 * and nothing moves, so a thread may end at any instruction: a row that it had claimed is an empty one with a name.
 */
const ID_BYTES = 8;

/**
 * Rows that threads find by name without asking each other. A row, once claimed, is that name's until the process ends.
 * 64 bits of SHA-256 stand for a name: with a million rows two names share one in 1 of 37 million sidecars.
 */
export class SharedRows {
  readonly memory: SharedArrayBuffer;
  readonly rowBytes: number;
  readonly capacity: number;
  readonly #ids: BigInt64Array;
  readonly #idsPerRow: number;

  /** @param rowBytes multiple of 8, the id included. @param memory of `capacity × rowBytes`, the capacity a power of two. */
  constructor(memory: SharedArrayBuffer, rowBytes: number) {
    invariant(rowBytes % ID_BYTES === 0 && rowBytes > ID_BYTES, 'rows hold an id and whole words');
    this.memory = memory;
    this.rowBytes = rowBytes;
    this.capacity = memory.byteLength / rowBytes;
    invariant((this.capacity & (this.capacity - 1)) === 0, 'a power of two of rows');
    this.#ids = new BigInt64Array(memory);
    this.#idsPerRow = rowBytes / ID_BYTES;
  }

  static memoryFor(capacity: number, rowBytes: number): SharedArrayBuffer {
    return new SharedArrayBuffer(capacity * rowBytes);
  }

  /**
   * The row of `id` (not 0), claimed if it has none; −1 when the first `maxProbes` rows that may be its are others'. As
   * rows are never freed, an id that was refused once stays so. Not for the path of each request.
   */
  claim(id: bigint, maxProbes: number = this.capacity): number {
    invariant(id !== 0n, 'id 0 marks a free row');
    const mask = this.capacity - 1;
    let row = Number(BigInt.asUintN(32, id)) & mask;
    for (let probes = Math.min(maxProbes, this.capacity); probes > 0; probes -= 1) {
      const at = row * this.#idsPerRow;
      const found = Atomics.load(this.#ids, at);
      if (found === id) return row;
      if (found === 0n) {
        const before = Atomics.compareExchange(this.#ids, at, 0n, id);
        if (before === 0n || before === id) return row;
      }
      row = (row + 1) & mask;
    }
    return -1;
  }

  /** The id of the row, 0 if it is free. */
  idAt(row: number): bigint {
    return Atomics.load(this.#ids, row * this.#idsPerRow);
  }
}

/** The id of a name: the first 64 bits of its SHA-256, given as hex. */
export function rowId(sha256Hex: string): bigint {
  const id = BigInt.asIntN(64, BigInt(`0x${sha256Hex.slice(0, 16)}`));
  return id === 0n ? 1n : id;
}
