/** Numbers that a seed decides, the same on every machine. */
import type { Random } from "../src/core/clock.ts";

/** FNV-1a over UTF-16 units, 32 bits: spreads labels, nothing more is asked of it. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193);
  }
  return state >>> 0;
}

/** mulberry32. Streams forked by label are independent: a draw in one moves no other. */
export class SeededRandom implements Random {
  readonly #path: string;
  #state: number;

  constructor(path: string | number) {
    this.#path = `${path}`;
    this.#state = hash(this.#path);
  }

  /** A stream of its own. */
  fork(label: string | number): SeededRandom {
    return new SeededRandom(`${this.#path}/${label}`);
  }

  /** See {@link Random}. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** See {@link Random}. */
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => Math.floor(this.next() * 256));
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly [T, ...T[]] | readonly T[]): T {
    const picked = list[Math.floor(this.next() * list.length)];
    if (picked === undefined) throw new Error("Cannot pick from nothing");
    return picked;
  }
}
