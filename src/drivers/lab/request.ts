/** One call to the simulated API: it takes time, can be interfered with, and can be cancelled before it acts. */
import type { Clock } from "../../core/clock.ts";
import type { Fault } from "../../core/fault.ts";
import type { Action } from "../../core/step.ts";
import type { LabCluster } from "./cluster.ts";
import { cancelled } from "./faults.ts";
import type { World } from "./world.ts";

/** What an interference is asked about. */
export interface LabRequest {
  /** Null: the call concerns no single permit. */
  permitId: string | null;
  verb: Action["kind"] | "observe" | "list" | "probe";
  /** The object meant, e.g. "statefulset research-a-1b64"; one action may make several requests. */
  what: string;
}

/** What happens to a request beside what it does. `fail-after`: it was done, and the caller is told that it failed. */
export type Interference =
  | { kind: "none" }
  | { kind: "delay"; ms: number }
  | { kind: "fail-before"; fault: Fault }
  | { kind: "fail-after"; fault: Fault };

/** Decides about each request; simulations draw from their seed here. */
export type Interfere = (request: LabRequest) => Interference;

/** Nothing goes wrong. */
export const NO_INTERFERENCE: Interfere = (): Interference => ({ kind: "none" });

/** What requests need of their driver. */
export interface RequestPath {
  cluster: LabCluster;
  clock: Clock;
  interfere: Interfere;
  /** Makes an acknowledged change survive the process; resolves when it does. */
  persist(): Promise<void>;
}

/** The calls of one action or observation. */
export class Requests {
  constructor(
    readonly path: RequestPath,
    readonly permitId: string | null,
    readonly verb: LabRequest["verb"],
    readonly signal: AbortSignal,
  ) {}

  /** Reads at one instant in the middle of the call. Throws a cancelled Fault when the signal aborts before it. */
  read<T>(what: string, look: (world: World) => T): Promise<T> {
    return this.#call(what, () => Promise.resolve(this.path.cluster.read(look)));
  }

  /** Writes to one namespace at one instant in the middle of the call; `mutate` throws a Fault to refuse. */
  write<T>(what: string, scope: string, mutate: (world: World) => T): Promise<T> {
    return this.#call(what, async () => {
      const result = this.path.cluster.write(scope, mutate);
      await this.path.persist();
      return result;
    });
  }

  async #call<T>(what: string, act: () => Promise<T>): Promise<T> {
    const { interfere, cluster: { settings: { latencyMs } } } = this.path;
    const interference = interfere({ permitId: this.permitId, verb: this.verb, what });
    await this.#pass(latencyMs / 2 + (interference.kind === "delay" ? interference.ms : 0));
    if (interference.kind === "fail-before") throw interference.fault;
    const result = await act();
    if (interference.kind === "fail-after") throw interference.fault;
    // What was done stays done: an abort from here on is the next call's matter.
    if (latencyMs > 0) await this.path.clock.sleep(latencyMs / 2, this.signal);
    return result;
  }

  async #pass(ms: number): Promise<void> {
    if (ms > 0 && !this.signal.aborted) await this.path.clock.sleep(ms, this.signal);
    if (this.signal.aborted) throw cancelled(this.verb);
  }
}
