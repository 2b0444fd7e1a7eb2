/** Clocks and randomness for tests of the API. */
import type { Clock, Random } from "../../src/core/clock.ts";

/** The machine's clock; its sleeps end with their signal and leave no timer behind. */
export const machineClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal?.addEventListener("abort", end, { once: true });
    }),
};

/** A clock that stands still until told otherwise. */
export class SteppedClock implements Clock {
  #nowMs: number;
  readonly #sleepers = new Set<{ atMs: number; wake: () => void }>();

  constructor(nowMs: number = Date.parse("2026-11-22T10:00:00Z")) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const sleeper = {
        atMs: this.#nowMs + ms,
        wake: (): void => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener("abort", sleeper.wake);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      if (signal?.aborted) sleeper.wake();
      else signal?.addEventListener("abort", sleeper.wake, { once: true });
    });
  }

  /** Lets `ms` pass and wakes who slept until then. */
  advance(ms: number): void {
    this.#nowMs += ms;
    for (const sleeper of [...this.#sleepers]) if (sleeper.atMs <= this.#nowMs) sleeper.wake();
  }
}

/** Bytes that count up: request ids differ and tests repeat. */
export function countingRandom(): Random {
  let count = 0;
  return {
    next: () => 0.5,
    bytes(length: number): Uint8Array {
      count++;
      return Uint8Array.from({ length }, (_, at) => at === length - 1 ? count % 256 : 0);
    },
  };
}
