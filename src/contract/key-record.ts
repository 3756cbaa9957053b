/** What the sidecar needs to know of a virtual key, its user and team folded in. Plain JSON. */
export interface KeyRecord {
  /** Hex SHA-256 of the key. The key itself is nowhere. */
  readonly hash: string;
  readonly alias: string | null;
  readonly userId: string | null;
  readonly teamId: string | null;
  /** Names and patterns with `*` that the key may use, after team inheritance; empty = all. */
  readonly models: readonly string[];
  readonly rpmLimit: number | null;
  readonly tpmLimit: number | null;
  readonly maxParallelRequests: number | null;
  /** Unix ms; null = never. */
  readonly expiresAtMs: number | null;
  /** The key, its user or its team is blocked. */
  readonly blocked: boolean;
}
