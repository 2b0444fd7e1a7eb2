/** When something keeps the service from acting: whatever it owes is due only a while after that has ended. */
import type { FaultKind } from "./faults.ts";

/**
 * Faults that keep the service from acting, and for how long at most, in milliseconds; those of an instant are followed
 * by a retry. What is not named here keeps it from nothing that is owed, or ends by an event of its own.
 */
const LASTS_MS: Partial<Record<FaultKind, number>> = {
  "crash-before-write": 0,
  "crash-after-write": 0,
  "crash-in-transaction": 0,
  "crash-after-commit": 0,
  "crash-any-time": 0,
  "commit-lost": 0,
  "commit-unknown": 0,
  "lost-reply": 0,
  "timeout": 0,
  "conflict": 0,
  "gone": 0,
  "server-error": 0,
  // Retry-After of five seconds, and a call of forty at most.
  "throttled": 5_000,
  "slow-call": 40_000,
  // What the other one has claimed is taken up when both are gone.
  "second-instance": 400_000,
  // A retry that was due in a minute is due in an hour: clocks go back by this much, twice (there and back).
  "clock-jump": 2 * 3_600_000,
};

/** How soon something must follow, in milliseconds. */
export interface Bound {
  /** Where nothing hindered it. */
  quickMs: number;
  /** After the last hindrance. */
  slowMs: number;
}

/** What has hindered the service until now. */
export class Hindrance {
  #endMs = -Infinity;

  /** It is hindered until then, at least. */
  until(endMs: number): void {
    this.#endMs = Math.max(this.#endMs, endMs);
  }

  /** A fault has struck. */
  struck(kind: FaultKind, nowMs: number): void {
    const lastsMs = LASTS_MS[kind];
    if (lastsMs !== undefined) this.until(nowMs + lastsMs);
  }

  /** How late what has been owed since then is, in words; null: it is not. */
  late(sinceMs: number, nowMs: number, { quickMs, slowMs }: Bound): string | null {
    const isFree = this.#endMs < sinceMs;
    const waitedMs = nowMs - Math.max(sinceMs, this.#endMs);
    if (waitedMs <= (isFree ? quickMs : slowMs)) return null;
    const seconds = Math.round((nowMs - sinceMs) / 1_000);
    return isFree ? `${seconds} s later` : `${seconds} s later, ${Math.round(waitedMs / 1_000)} s unhindered`;
  }
}
