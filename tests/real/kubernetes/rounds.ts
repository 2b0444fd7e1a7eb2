/** Runs independent cases side by side and lets each test wait for its own: most of a case on a cluster is waiting. */

/** As many cases at once as two cores and one node's hundred pods bear. */
const AT_ONCE = 6;

interface Case {
  run: () => Promise<void>;
  outcome: PromiseWithResolvers<void>;
}

/** Independent cases. One that is asked for begins at once; from the second on all others begin, too, in their order. */
export class Rounds {
  #waiting: Case[] = [];
  readonly #running = new Set<Promise<void>>();
  #asked = 0;

  /** Adds a case; the answer begins it, unless it has begun, waits for its end and throws what it threw. */
  add(run: () => Promise<void>): () => Promise<void> {
    const added: Case = { run, outcome: Promise.withResolvers<void>() };
    // A failure is told to the test that waits for it, whenever that comes.
    added.outcome.promise.catch(() => {});
    this.#waiting.push(added);
    return () => {
      this.#asked++;
      if (this.#waiting.includes(added)) this.#begin(added);
      this.#fill();
      return added.outcome.promise;
    };
  }

  /** Lets nothing more begin, and waits for what runs: a run of chosen tests asks for few. */
  async stop(): Promise<void> {
    this.#waiting = [];
    await Promise.allSettled(this.#running);
  }

  #fill(): void {
    // A single test that was chosen by name needs no others.
    while (this.#asked > 1 && this.#running.size < AT_ONCE) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#begin(next);
    }
  }

  #begin(begun: Case): void {
    this.#waiting = this.#waiting.filter((other) => other !== begun);
    const ended = begun.run().then(begun.outcome.resolve, begun.outcome.reject).finally(() => {
      this.#running.delete(ended);
      this.#fill();
    });
    this.#running.add(ended);
  }
}
