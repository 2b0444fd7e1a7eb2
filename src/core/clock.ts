/** Time as a parameter: production passes the machine's, tests and the simulation pass their own. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Resolves after `ms`, or at once when `signal` aborts; it never rejects, the caller looks at the signal. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Randomness as a parameter, for the same reason. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** `length` random bytes; production's are cryptographically strong. */
  bytes(length: number): Uint8Array;
}

/** Renders epoch milliseconds as an ISO 8601 instant in UTC. */
export function toInstant(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
