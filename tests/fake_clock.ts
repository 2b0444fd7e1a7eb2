/** A clock that only moves when told, or by itself as soon as everything sleeps. */
import { setImmediate } from "node:timers";
import type { Clock } from "../src/core/clock.ts";

/** A Sunday at noon, far from any change of the calendar. */
const START_MS = Date.UTC(2026, 10, 22, 12);

interface Sleeper {
  atMs: number;
  order: number;
  wake: () => void;
}

/** How a {@link FakeClock} behaves. */
export interface FakeClockOptions {
  /** Epoch milliseconds at the beginning. */
  startMs?: number;
  /**
   * Move on by itself to the next sleeper whenever the program has nothing left to do but sleep. Work in progress
   * outside of JavaScript (sockets, files) counts as nothing to do: give it `turns`, or move by hand.
   */
  auto?: boolean;
  /** Turns of the event loop without news before an automatic move. */
  turns?: number;
}

/** Deterministic: sleepers wake in the order of their time, then of their call, each at exactly its own instant. */
export class FakeClock implements Clock {
  #nowMs: number;
  #order = 0;
  #auto: boolean;
  readonly #turns: number;
  readonly #sleepers: Sleeper[] = [];
  #moving = false;
  /** Work outside of JavaScript that time must wait for. */
  readonly #working = new Set<Promise<unknown>>();

  constructor({ startMs = START_MS, auto = false, turns = 1 }: FakeClockOptions = {}) {
    this.#nowMs = startMs;
    this.#auto = auto;
    this.#turns = turns;
  }

  /** See {@link Clock}. */
  now(): number {
    return this.#nowMs;
  }

  /** How many sleep now. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** See {@link Clock}. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const sleeper: Sleeper = { atMs: this.#nowMs + Math.max(0, ms), order: this.#order++, wake: resolve };
    const abort = (): void => {
      this.#remove(sleeper);
      resolve();
    };
    sleeper.wake = () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    };
    signal?.addEventListener("abort", abort, { once: true });
    this.#sleepers.push(sleeper);
    if (this.#auto) this.#moveByItself();
    return promise;
  }

  /** Lets time stand until `work` is done, which must not sleep itself: cryptography and files count as nothing to do. */
  async during<T>(work: Promise<T>): Promise<T> {
    this.#working.add(work);
    try {
      return await work;
    } finally {
      this.#working.delete(work);
    }
  }

  /** Moves on by `ms`, waking whoever is due on the way, and lets each of them run until it sleeps or ends. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (let next = this.#next(endMs); next !== null; next = this.#next(endMs)) {
      this.#wake(next);
      await this.#quiet();
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
    await this.#quiet();
  }

  /** Ends automatic moves: whoever still sleeps goes on sleeping. */
  stop(): void {
    this.#auto = false;
  }

  #next(untilMs: number): Sleeper | null {
    return this.#sleepers.reduce<Sleeper | null>((best, sleeper) => {
      if (sleeper.atMs > untilMs) return best;
      const isEarlier = best === null || sleeper.atMs < best.atMs ||
        (sleeper.atMs === best.atMs && sleeper.order < best.order);
      return isEarlier ? sleeper : best;
    }, null);
  }

  #wake(sleeper: Sleeper): void {
    this.#nowMs = Math.max(this.#nowMs, sleeper.atMs);
    this.#remove(sleeper);
    sleeper.wake();
  }

  #remove(sleeper: Sleeper): void {
    const index = this.#sleepers.indexOf(sleeper);
    if (index >= 0) this.#sleepers.splice(index, 1);
  }

  async #quiet(): Promise<void> {
    for (let turn = 0; turn < this.#turns; turn++) await turnOfLoop();
  }

  /** One move at a time; each waits until nothing but sleep is left to do. */
  #moveByItself(): void {
    if (this.#moving) return;
    this.#moving = true;
    const move = async (): Promise<void> => {
      while (this.#auto && this.#sleepers.length > 0) {
        const before = this.#order;
        await this.#quiet();
        if (this.#working.size > 0) {
          await Promise.allSettled(this.#working);
          continue;
        }
        if (!this.#auto || before !== this.#order) continue;
        const next = this.#next(Infinity);
        if (next !== null) this.#wake(next);
      }
      this.#moving = false;
    };
    void move();
  }
}

/** All promises that can be settled are settled when it resolves. */
function turnOfLoop(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // A timer of 0 ms would take 2 ms of real time; this takes 7 µs.
  setImmediate(resolve);
  return promise;
}
