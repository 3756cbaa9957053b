/**
 * The places in a group's list that a strategy chooses from: those of the lowest order that are left. Made once per
 * thread and filled anew for each choice, so that a choice allocates nothing.
 */
export class Candidates {
  /** Ascending; the first `count` are valid. */
  places: Int32Array = new Int32Array(16);
  count = 0;

  clear(): void {
    this.count = 0;
  }

  add(place: number): void {
    if (this.count === this.places.length) {
      const larger = new Int32Array(2 * this.places.length);
      larger.set(this.places);
      this.places = larger;
    }
    this.places[this.count] = place;
    this.count += 1;
  }
}
