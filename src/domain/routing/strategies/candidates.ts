/**
 * The places in a group's list that a strategy chooses from: those of the lowest order that are left. Made once per
 * thread and filled anew for each choice, so that a choice allocates nothing.
 */
export class Candidates {
  /** The first `count` are valid. */
  places: Int32Array = new Int32Array(16);
  count = 0;

  clear(): void {
    this.count = 0;
  }

  /** Room for so many; who fills it sets `count`. */
  reserve(size: number): Int32Array {
    if (this.places.length < size) {
      const larger = new Int32Array(2 * size);
      larger.set(this.places);
      this.places = larger;
    }
    return this.places;
  }

  add(place: number): void {
    this.reserve(this.count + 1)[this.count] = place;
    this.count += 1;
  }
}
