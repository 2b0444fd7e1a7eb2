/** The cache behind the read model, as little of Redis as it needs. */

/** One key's new value; null: remove it. */
export interface CacheWrite {
  key: string;
  value: string | null;
}

/** Whether the cache can be written, and why not. `connecting`: the first attempt has not ended yet. */
export type CacheState = { is: "connecting" | "connected" } | { is: "away"; why: string };

/** A cache that comes and goes by itself. */
export interface Cache {
  state(): CacheState;
  /** Calls back with each new state. At each connection, the first included, whatever was there may be gone. */
  onChange(changed: (state: CacheState) => void): void;
  /** Writes all or rejects with an Error; never waits for a cache that is away. */
  write(writes: readonly CacheWrite[]): Promise<void>;
  /** The keys that begin with `prefix`, a part at a time; a key may come twice. */
  keys(prefix: string): AsyncIterable<string[]>;
  /** Lets go at once. Safe to repeat. */
  close(): Promise<void>;
}
