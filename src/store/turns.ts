/** A fair, bounded queue for one thing at a time: the writers of a database. */
import { Fault } from "../core/fault.ts";

/** A backlog beyond this means that the disk cannot keep up: 10 000 small commits are seconds of it. */
const WAITING_MAX = 10_000;

interface Waiter {
  go(): void;
  refuse(why: Fault): void;
}

/** First come, first served. */
export class Turns {
  #waiting: Waiter[] = [];
  #taken = false;
  #ended = false;
  #whenFree: (() => void) | null = null;

  /**
   * Waits for its turn and returns what ends it, to be called exactly once. Fault `unavailable` after
   * {@link end} or when too many wait already.
   */
  async next(): Promise<() => void> {
    if (this.#ended) throw closed();
    if (this.#taken) {
      if (this.#waiting.length >= WAITING_MAX) {
        throw new Fault("retry", "unavailable", `Cannot write: ${WAITING_MAX} writers wait already`, {
          advice: "Look at the speed of the disk under state.directory",
        });
      }
      await new Promise<void>((go, refuse) => this.#waiting.push({ go, refuse }));
    }
    this.#taken = true;
    return () => this.#pass();
  }

  /** Refuses whoever waits and comes later; resolves when the turn in progress has ended. */
  async end(): Promise<void> {
    this.#ended = true;
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(closed());
    if (this.#taken) await new Promise<void>((resolve) => this.#whenFree = resolve);
  }

  #pass(): void {
    const waiter = this.#waiting.shift();
    // Still taken when somebody waits: nobody can slip in before the waiter runs.
    if (waiter !== undefined) return waiter.go();
    this.#taken = false;
    this.#whenFree?.();
  }
}

function closed(): Fault {
  return new Fault("retry", "unavailable", "Cannot write: the database is closed, the service is stopping");
}
