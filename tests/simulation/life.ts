/** Whether a simulated process lives: what reaches it, and what it can still do. */
import type { Clock } from "../../src/core/clock.ts";
import type { Timeline } from "./timeline.ts";

/** Leaves a port of a dead process where something must be undone; nobody of it hears of it. */
export class Dead extends Error {
  constructor() {
    super("this process is dead");
  }
}

/**
 * A process that can be frozen (SIGSTOP) and killed (SIGKILL). All its ports go through {@link Life.gate}: a dead one
 * never hears an answer again, so whatever it was about to do does not happen; a frozen one hears it when it thaws.
 */
export class Life {
  #state: "alive" | "frozen" | "dead" = "alive";
  readonly #held: (() => void)[] = [];
  /** Called once, when it dies. */
  readonly #deaths: (() => void)[] = [];

  /** Whether it can act now. */
  get isAlive(): boolean {
    return this.#state === "alive";
  }

  /** Whether it will never act again. */
  get isDead(): boolean {
    return this.#state === "dead";
  }

  /** SIGKILL. */
  kill(): void {
    if (this.#state === "dead") return;
    this.#state = "dead";
    this.#held.length = 0;
    for (const died of this.#deaths.splice(0)) died();
  }

  /** SIGSTOP. */
  freeze(): void {
    if (this.#state === "alive") this.#state = "frozen";
  }

  /** SIGCONT: what came meanwhile comes now, in its order. */
  thaw(): void {
    if (this.#state !== "frozen") return;
    this.#state = "alive";
    for (let next = this.#held.shift(); next !== undefined && this.isAlive; next = this.#held.shift()) next();
  }

  /** Calls back at its death. */
  onDeath(died: () => void): void {
    this.#deaths.push(died);
  }

  /** Does something to the process: now, when it thaws, or never. */
  reach(act: () => void): void {
    if (this.#state === "alive") act();
    else if (this.#state === "frozen") this.#held.push(act);
  }

  /** An answer from outside of the process. */
  gate<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      answer.then((value) => this.reach(() => resolve(value)), (thrown) => this.reach(() => reject(thrown)));
    });
  }
}

/** What never answers. */
export function never<T>(): Promise<T> {
  return new Promise(() => {});
}

/** A process's clock: it may be wrong, and it stands while the process is frozen or dead. */
export class ProcessClock implements Clock {
  /** What the wall clock says beyond the true time, in milliseconds; monotonic sleeps do not heed it. */
  offsetMs = 0;

  constructor(readonly timeline: Timeline, readonly life: Life) {}

  /** See {@link Clock}. */
  now(): number {
    return this.timeline.now() + this.offsetMs;
  }

  /** See {@link Clock}. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.life.gate(this.timeline.sleep(ms, signal));
  }
}
