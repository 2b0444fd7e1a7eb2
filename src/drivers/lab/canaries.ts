/** The control pod of the simulated cluster, which no policy binds: what it reaches is alive. */
import type { Clock } from "../../core/clock.ts";
import { Fault } from "../../core/fault.ts";
import { CANARIES_ALIVE_MIN, CANARIES_FRESH_MS } from "../../core/isolation.ts";
import type { ObservedCanaries } from "../../core/observed.ts";
import type { LabCluster } from "./cluster.ts";
import { LAB_TARGETS } from "./network.ts";
import type { LabControl } from "./objects.ts";

/** Pause before silent canaries are asked again, and how often: together longer than any planner looks away. */
const PAUSE_MS = 5_000;
const TRIES_MAX = 12;

/** One per driver, in its memory: a service that starts anew asks anew. */
export class LabCanaries {
  readonly #cluster: LabCluster;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #told = new Set<() => void>();
  #asking: { after: Set<string>; next: Set<string> | null } | null = null;
  #answer: (LabControl & { after: string[] }) | null = null;

  /** Ends, without an answer, when the signal aborts. */
  constructor(cluster: LabCluster, clock: Clock, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#clock = clock;
    this.#signal = signal;
  }

  /** Begins to ask in the background. What is asked meanwhile is asked once more, after that. */
  ask(after: string[]): void {
    const asking = this.#asking;
    if (asking === null) {
      this.#asking = { after: new Set(after), next: null };
      void this.#run();
    } else if (after.some((uid) => !asking.after.has(uid))) {
      asking.next = new Set([...asking.next ?? [], ...after]);
    }
  }

  /** As the planner sees it. */
  look(): ObservedCanaries {
    const asking = this.#asking, answer = this.#answer;
    return {
      asking: asking === null ? null : { detail: null, after: [...joined(asking)] },
      answer: answer === null ? null : {
        askedAtMs: answer.atMs,
        alive: answer.alive,
        silent: answer.silent,
        after: answer.after,
      },
    };
  }

  /** The newest answer, and after which gates it was asked; null: none. */
  get newest(): { control: LabControl; after: string[] } | null {
    if (this.#answer === null) return null;
    const { after, ...control } = this.#answer;
    return { control, after };
  }

  /** Calls back after each answer. Returns what ends that. */
  onAnswer(told: () => void): () => void {
    this.#told.add(told);
    return () => this.#told.delete(told);
  }

  async #run(): Promise<void> {
    for (let tries = 0; this.#asking !== null && tries < TRIES_MAX && !this.#signal.aborted; tries++) {
      const atMs = this.#clock.now();
      const asking = this.#asking = { after: joined(this.#asking), next: null as Set<string> | null };
      const after = [...asking.after];
      await this.#clock.sleep(this.#cluster.settings.controlMs, this.#signal);
      if (this.#signal.aborted) break;
      const silent = this.#cluster.read(({ state }) => [...state.silent]);
      this.#answer = { atMs, alive: LAB_TARGETS.filter((target) => !silent.includes(target)), silent, after };
      const isEnough = this.#answer.alive.length >= CANARIES_ALIVE_MIN;
      if (isEnough && asking.next === null) this.#asking = null;
      this.#told.forEach((told) => told());
      if (isEnough) tries = 0;
      else await this.#clock.sleep(PAUSE_MS, this.#signal);
    }
    this.#asking = null;
  }
}

function joined({ after, next }: { after: Set<string>; next: Set<string> | null }): Set<string> {
  return new Set([...after, ...next ?? []]);
}

/** The planner has looked; in doubt no data comes near (invariant 6). */
export function isFresh(control: LabControl | null, nowMs: number): boolean {
  return control !== null && control.alive.length >= CANARIES_ALIVE_MIN &&
    nowMs - control.atMs <= CANARIES_FRESH_MS + LATE_MS;
}

/** Between the planner's look and the write lie other steps of the same plan. */
const LATE_MS = 30_000;

/** What is refused while nobody knows whether a leak would show. `what`: "start research/a". */
export function silent(what: string): Fault {
  return new Fault("wait", "canaries-silent", `Cannot ${what}: the canaries have not answered lately`);
}
