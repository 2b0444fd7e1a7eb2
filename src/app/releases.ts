/** What was built, taken down in reverse; one that fails does not keep the others from closing. */
import { toFault } from "../core/fault.ts";
import type { Log } from "../log.ts";

/** A stack of things to release. */
export class Releases {
  readonly #log: Log;
  readonly #stack: { name: string; release: () => Promise<void> }[] = [];
  #running: Promise<void> | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  /** The last one added is released first. */
  add(name: string, release: () => Promise<void>): void {
    this.#stack.push({ name, release });
  }

  /** Releases everything once; repeated calls wait for the same. */
  run(): Promise<void> {
    return this.#running ??= this.#unwind();
  }

  async #unwind(): Promise<void> {
    for (let next = this.#stack.pop(); next !== undefined; next = this.#stack.pop()) {
      try {
        await next.release();
      } catch (thrown) {
        this.#log.error("cannot close", { part: next.name, error: toFault(thrown).message });
      }
    }
  }
}
