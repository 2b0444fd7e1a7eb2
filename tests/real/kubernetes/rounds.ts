/** Runs independent cases side by side and lets each test wait for its own: most of a case on a cluster is waiting. */

/** As many cases at once as two cores and one node's hundred pods bear. */
const AT_ONCE = 6;

/** Cases that begin when the first is asked for, in the order in which they were added. */
export class Rounds {
  readonly #queue: { run: () => Promise<void>; settle: (outcome: Promise<void>) => void }[] = [];
  #running = 0;
  #begun = false;

  /** Adds a case; the answer waits for its end and throws what it threw. */
  add(run: () => Promise<void>): () => Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#queue.push({ run, settle: (outcome) => resolve(outcome) });
    // A failure is told to the test that waits for it, whenever that comes.
    promise.catch(() => {});
    return () => {
      this.#begun = true;
      this.#next();
      return promise;
    };
  }

  #next(): void {
    while (this.#begun && this.#running < AT_ONCE) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#running++;
      const outcome = next.run().finally(() => {
        this.#running--;
        this.#next();
      });
      outcome.catch(() => {});
      next.settle(outcome);
    }
  }
}
