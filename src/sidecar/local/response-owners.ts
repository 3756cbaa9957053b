/** Who made a response, and where. */
export interface ResponseOwner {
  readonly deploymentId: string;
  /** `ResolvedKey.owner` of the key that made it. */
  readonly owner: string;
}

/** About 25 MB at 250 bytes an entry; the oldest are forgotten first. */
const MAX_RESPONSES = 100_000;

/**
 * Responses made through this gateway: `GET /responses/{id}`, `previous_response_id` and their kin go to the deployment
 * that made the response, and only for its owner. One per worker; the main thread spreads and stores what is added.
 */
export class ResponseOwners {
  readonly #owners = new Map<string, ResponseOwner>();

  get(responseId: string): ResponseOwner | undefined {
    return this.#owners.get(responseId);
  }

  add(responseId: string, owner: ResponseOwner): void {
    if (this.#owners.size >= MAX_RESPONSES) {
      const oldest = this.#owners.keys().next();
      if (oldest.done !== true) this.#owners.delete(oldest.value);
    }
    this.#owners.set(responseId, owner);
  }

  get size(): number {
    return this.#owners.size;
  }
}
