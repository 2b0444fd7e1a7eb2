/** The machine's own clock and randomness: what production passes where tests pass theirs. */
import type { Clock, Random } from "./core/clock.ts";

/** setTimeout takes at most this; a longer sleep is slept in parts. */
const TIMEOUT_MAX_MS = 2 ** 31 - 1;
/** crypto.getRandomValues divides by this: enough for 48 bits. */
const RANDOM_DIVISOR = 2 ** 48;

function sleepPart(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Wall clock; sleeps end early when the signal aborts. */
export const MACHINE_CLOCK: Clock = {
  now: () => Date.now(),
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    for (let rest = Math.max(0, ms); !signal?.aborted; rest -= TIMEOUT_MAX_MS) {
      await sleepPart(Math.min(rest, TIMEOUT_MAX_MS), signal);
      if (rest <= TIMEOUT_MAX_MS) return;
    }
  },
};

/** The operating system's randomness. */
export const MACHINE_RANDOM: Random = {
  next(): number {
    const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
    return ((high & 0xffff) * 2 ** 32 + low) / RANDOM_DIVISOR;
  },
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
};
