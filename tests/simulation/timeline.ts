/** Simulated time: one line for the whole world. It moves only when nobody has anything left to do but wait. */
import { setImmediate } from "node:timers";
import type { Clock } from "../../src/core/clock.ts";

interface Timer {
  atMs: number;
  order: number;
  wake(): void;
  isOff: boolean;
}

/** A Sunday at noon, far from any change of the calendar. */
export const START_MS = Date.UTC(2026, 10, 22, 12);

/** The world's own clock: cluster, broker and people live by it. Processes have clocks of their own, see life.ts. */
export class Timeline implements Clock {
  #nowMs = START_MS;
  #order = 0;
  /** A binary heap by (atMs, order). */
  readonly #heap: Timer[] = [];
  /** Work outside of JavaScript (cryptography) that time must wait for. */
  #native = 0;
  #nativeEnded: (() => void) | null = null;
  #nativeTail: Promise<unknown> = Promise.resolve();

  /** See {@link Clock}. */
  now(): number {
    return this.#nowMs;
  }

  /** Milliseconds since the beginning. */
  get elapsedMs(): number {
    return this.#nowMs - START_MS;
  }

  /** See {@link Clock}. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const off = this.at(ms, () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      });
      const abort = (): void => {
        off();
        resolve();
      };
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Calls back after `ms`; what is returned takes it off. */
  at(ms: number, wake: () => void): () => void {
    const timer: Timer = {
      atMs: this.#nowMs + Math.max(0, Math.ceil(ms)),
      order: this.#order++,
      wake,
      isOff: false,
    };
    this.#push(timer);
    return () => void (timer.isOff = true);
  }

  /**
   * Lets time stand during work outside of JavaScript, one piece after the other: which of two threads is done first
   * must not decide anything.
   */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#native++;
    const mine = this.#nativeTail.then(work);
    this.#nativeTail = mine.catch(() => {});
    try {
      return await mine;
    } finally {
      this.#native--;
      if (this.#native === 0) this.#nativeEnded?.();
    }
  }

  /** Moves on until `untilMs`, or until `isOver` says so after a moment. */
  async run(untilMs: number, isOver: () => boolean = () => false): Promise<void> {
    for (;;) {
      await this.quiet();
      if (isOver()) return;
      const next = this.#pop(untilMs);
      if (next === null) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.wake();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Everything that can happen at this instant has happened when it resolves. */
  async quiet(): Promise<void> {
    await turnOfLoop();
    while (this.#native > 0) {
      await new Promise<void>((resolve) => this.#nativeEnded = resolve);
      await turnOfLoop();
    }
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let index = heap.push(timer) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, timer)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = timer;
  }

  #pop(untilMs: number): Timer | null {
    const heap = this.#heap;
    for (;;) {
      const [first] = heap;
      if (first === undefined || (!first.isOff && first.atMs > untilMs)) return null;
      const last = heap.pop();
      if (last !== undefined && last !== first) this.#sink(last);
      if (!first.isOff) return first;
    }
  }

  #sink(timer: Timer): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const [one, other] = [heap[left], heap[left + 1]];
      const child = other !== undefined && one !== undefined && isBefore(other, one) ? left + 1 : left;
      const below = heap[child];
      if (below === undefined || isBefore(timer, below)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = timer;
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}

/** All promises that can be settled are settled when it resolves. A timer of 0 ms takes 2 ms, this 7 µs. */
function turnOfLoop(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
