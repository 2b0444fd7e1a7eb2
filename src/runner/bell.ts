/**
 * Tells whoever listens that something about a permit may have changed. A ring is a hint, never the truth: who wakes
 * looks again. A ring between two waits is remembered; one that nobody listens to is dropped, because who comes later
 * begins with a look.
 */
import type { Clock } from "../core/clock.ts";

/** Rings by permit id; the empty id is the claim loop's own. */
export interface Bell {
  ring(permitId: string): void;
  /** Begins to listen; to be closed. Whatever was committed before is not told. */
  listen(permitId: string): Ear;
}

/** One listener. */
export interface Ear {
  /** Resolves at the next ring, at once for one since the last wait, after `ms`, or when `signal` aborts. Never rejects. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  /** Wakes this listener alone. */
  ring(): void;
  /** Forgets rings so far: who is about to look needs no telling. */
  hush(): void;
  close(): void;
}

/** The key under which the claim loop listens. */
export const CLAIM_LOOP = "";

/** A bell on the given clock. */
export function createBell(clock: Clock): Bell {
  const ears = new Map<string, Set<Ear>>();
  return {
    ring(permitId: string): void {
      for (const ear of ears.get(permitId) ?? []) ear.ring();
    },
    listen(permitId: string): Ear {
      const ear = createEar(clock, () => {
        const others = ears.get(permitId);
        others?.delete(ear);
        if (others?.size === 0) ears.delete(permitId);
      });
      ears.set(permitId, (ears.get(permitId) ?? new Set()).add(ear));
      return ear;
    },
  };
}

function createEar(clock: Clock, close: () => void): Ear {
  let isRung = false;
  let wake: (() => void) | null = null;
  return {
    ring(): void {
      isRung = true;
      wake?.();
    },
    hush(): void {
      isRung = false;
    },
    async wait(ms: number, signal: AbortSignal): Promise<void> {
      if (!isRung && !signal.aborted) {
        const woken = new AbortController();
        const abort = (): void => woken.abort();
        wake = abort;
        signal.addEventListener("abort", abort, { once: true });
        await clock.sleep(ms, woken.signal);
        signal.removeEventListener("abort", abort);
        wake = null;
      }
      isRung = false;
    },
    close,
  };
}
