/** Whose request goes next, and which are sent again: cutting access comes before everything else. */
import type { Clock } from "../../core/clock.ts";
import { Fault } from "../../core/fault.ts";
import { URGENT_PRIORITY_MAX } from "../../core/job.ts";
import { createSlots, type Slot, type Slots, takeSlot } from "../../core/slots.ts";

/**
 * Requests under way at once in the lane of what only takes access away. With the ordinary ones it stays below the 49
 * seats that an API server's default fairness gives to a user of no group of its own: there, too, a cut does not queue.
 */
export const URGENT_REQUESTS = 16;
/**
 * Calls for what only takes access away: with half of them failing, a look of 13 reads comes about 19 times out of 20.
 * Each may be repeated; what it did before its answer was lost shows as a conflict.
 */
export const URGENT_TRIES = 8;
/** Pause before the second of them, in milliseconds; doubles. All together some 2.5 s. */
const URGENT_PAUSE_MS = 20;
/**
 * Longest Retry-After that is obeyed between them, in milliseconds. Fairness queues ask for 1 s; who asks for more is not
 * obeyed, because somebody may still get in meanwhile.
 */
const URGENT_RETRY_AFTER_MAX_MS = 1_000;

/** The requests under way to one API server, bounded. */
export class Turns {
  readonly #slots: Slots;

  /** `parallel`: ordinary requests at once. */
  constructor(parallel: number) {
    this.#slots = createSlots(parallel, URGENT_REQUESTS);
  }

  /** A place among those under way, to be released; throws the signal's reason when that aborts first. */
  async take(priority: number, signal: AbortSignal): Promise<Slot> {
    return await takeSlot(this.#slots, priority, signal);
  }
}

/**
 * Calls once, or for what only takes access away a few times, as long as the server, or the way to it, does not do its
 * part. The last failure leaves; `signal` ends the pauses, and then it is the one that was answered.
 */
export async function insist<T>(
  { clock, priority, signal }: { clock: Clock; priority: number; signal: AbortSignal },
  call: () => Promise<T>,
): Promise<T> {
  const triesMax = priority <= URGENT_PRIORITY_MAX ? URGENT_TRIES : 1;
  let answered: Fault | null = null;
  for (let tries = 1;; tries++) {
    try {
      return await call();
    } catch (thrown) {
      if (signal.aborted) throw answered ?? thrown;
      if (tries >= triesMax || !isPassing(thrown)) throw thrown;
      answered = thrown;
      const askedMs = Math.min(thrown.retryAfterMs ?? 0, URGENT_RETRY_AFTER_MAX_MS);
      await clock.sleep(Math.max(URGENT_PAUSE_MS * 2 ** (tries - 1), askedMs), signal);
    }
  }
}

function isPassing(thrown: unknown): thrown is Fault {
  return thrown instanceof Fault && thrown.disposition === "retry" &&
    (thrown.reason === "unavailable" || thrown.reason === "throttled");
}
