/** Offsets kept per key of a table. */
const MEMBER_START = 0;
const VALUE_START = 1;
const VALUE_END = 2;
const COMMA_BEFORE = 3;
const COMMA_AFTER = 4;
const ORDINAL = 5;
const SLOTS = 6;

/** Where the members named by a key table lie in an object; −1 for what is absent or not reached. */
export class JsonMemberPlaces {
  readonly #slots: Int32Array;

  constructor(size: number) {
    this.#slots = new Int32Array(size * SLOTS).fill(-1);
  }

  clear(): void {
    this.#slots.fill(-1);
  }

  /** Forgets the members from position `ordinal` of the object on. */
  clearFrom(ordinal: number): void {
    const slots = this.#slots;
    for (let slot = 0; slot < slots.length; slot += SLOTS) {
      if (slots[slot + ORDINAL]! < ordinal) continue;
      for (let n = 0; n < SLOTS; n += 1) slots[slot + n] = -1;
    }
  }

  /** A member begins; of a repeated one only the last is kept. */
  add(key: number, memberStart: number, commaBefore: number, ordinal: number): void {
    const slot = key * SLOTS;
    this.#slots[slot + MEMBER_START] = memberStart;
    this.#slots[slot + VALUE_START] = -1;
    this.#slots[slot + VALUE_END] = -1;
    this.#slots[slot + COMMA_BEFORE] = commaBefore;
    this.#slots[slot + COMMA_AFTER] = -1;
    this.#slots[slot + ORDINAL] = ordinal;
  }

  setValueStart(key: number, offset: number): void {
    this.#slots[key * SLOTS + VALUE_START] = offset;
  }

  setValueEnd(key: number, offset: number): void {
    this.#slots[key * SLOTS + VALUE_END] = offset;
  }

  setCommaAfter(key: number, offset: number): void {
    this.#slots[key * SLOTS + COMMA_AFTER] = offset;
  }

  memberStart(key: number): number {
    return this.#slots[key * SLOTS + MEMBER_START]!;
  }

  valueStart(key: number): number {
    return this.#slots[key * SLOTS + VALUE_START]!;
  }

  valueEnd(key: number): number {
    return this.#slots[key * SLOTS + VALUE_END]!;
  }

  commaBefore(key: number): number {
    return this.#slots[key * SLOTS + COMMA_BEFORE]!;
  }

  commaAfter(key: number): number {
    return this.#slots[key * SLOTS + COMMA_AFTER]!;
  }

  ordinal(key: number): number {
    return this.#slots[key * SLOTS + ORDINAL]!;
  }
}
