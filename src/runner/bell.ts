/**
 * Tells waiting attempts that something about their permit may have changed. A ring is a hint, never the truth:
 * who wakes looks again. A ring that nobody waits for is remembered until the next wait, so none is missed.
 */
import type { Clock } from "../core/clock.ts";

/** Rings and waits by permit id; the empty id is the claim loop's own. */
export interface Bell {
  ring(permitId: string): void;
  /** Forgets a ring that nobody waited for: who is about to look needs no telling. */
  hush(permitId: string): void;
  /** Resolves at the next ring for this permit, after `ms`, or when `signal` aborts. Never rejects. */
  wait(permitId: string, ms: number, signal: AbortSignal): Promise<void>;
}

/** The key under which the claim loop waits. */
export const CLAIM_LOOP = "";

/** A bell on the given clock. */
export function createBell(clock: Clock): Bell {
  const waiting = new Map<string, () => void>();
  const rung = new Set<string>();
  return {
    ring(permitId: string): void {
      const wake = waiting.get(permitId);
      if (wake === undefined) rung.add(permitId);
      else wake();
    },
    hush(permitId: string): void {
      rung.delete(permitId);
    },
    async wait(permitId: string, ms: number, signal: AbortSignal): Promise<void> {
      if (rung.delete(permitId) || signal.aborted) return;
      const woken = new AbortController();
      const wake = (): void => woken.abort();
      waiting.set(permitId, wake);
      signal.addEventListener("abort", wake, { once: true });
      await clock.sleep(ms, woken.signal);
      signal.removeEventListener("abort", wake);
      if (waiting.get(permitId) === wake) waiting.delete(permitId);
      rung.delete(permitId);
    },
  };
}
