/** The platform as one simulated process reaches it: the lab, through an API that fails, loses answers and lags. */
import type {
  ApplyContext,
  ApplyResult,
  CheckLine,
  Driver,
  Probe,
  ProbeContext,
  Whose,
} from "../../src/core/driver.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Observed } from "../../src/core/observed.ts";
import type { Action } from "../../src/core/step.ts";
import type { LabCluster } from "../../src/drivers/lab/cluster.ts";
import { LabDriver } from "../../src/drivers/lab/driver.ts";
import type { Interference, LabRequest } from "../../src/drivers/lab/request.ts";
import type { Faults } from "./faults.ts";
import { Dead, type Life, never } from "./life.ts";
import type { Timeline } from "./timeline.ts";

/** Longest that a slow call takes; above the service's own patience for one request. */
const SLOW_MAX_MS = 40_000;
/** A throttled caller is told to come back after this. */
const RETRY_AFTER_MAX_MS = 5_000;
/** After a 410 a watch lists anew, at once or after its longest backoff. */
const LIST_ANEW_MAX_MS = 60_000;

/** Told of each action before it reaches the platform. */
export type BeforeAction = (permitId: string, action: Action) => Promise<void>;

/** Told of what a process is about to learn. */
export interface Learning {
  /** A permit's network is open where it must not be. */
  sees(permitId: string, what: string, life: Life): Promise<void>;
  /** A permit's objects as they were then, whatever the driver made of them. */
  shows(permitId: string, atMs: number, life: Life): Promise<void>;
  /** Something that is not WPS's has changed. */
  tells(permitId: string, life: Life): void;
}

/** What the platform of one process is made of. */
export interface PlatformParts {
  cluster: LabCluster;
  timeline: Timeline;
  life: Life;
  faults: Faults;
  beforeAction: BeforeAction;
  learning: Learning;
}

/** The driver of one process. Requests that were sent arrive, whatever becomes of their sender. */
export class SimulatedPlatform implements Driver {
  readonly name = "lab";
  readonly #parts: PlatformParts;
  readonly #lab: LabDriver;
  readonly #died: Promise<never>;

  constructor(parts: PlatformParts) {
    const { cluster, timeline, life } = parts;
    this.#parts = parts;
    this.#died = new Promise((_, reject) => life.onDeath(() => reject(new Dead())));
    this.#died.catch(() => {});
    this.#lab = new LabDriver({ cluster, clock: timeline, interfere: (request) => this.#interfere(request) });
  }

  /** See {@link Driver}. */
  observe(permitId: string, signal: AbortSignal): Promise<Observed> {
    const { learning, life } = this.#parts;
    return this.#ask(async () => {
      const observed = await this.#lab.observe(permitId, signal);
      const open = observed.workspaces.find(({ network, instances }) =>
        network.state === "breached" && instances.length > 0
      );
      if (open !== undefined && life.isAlive) await learning.sees(permitId, `a breach of ${open.key}`, life);
      else await learning.shows(permitId, observed.atMs, life);
      return observed;
    });
  }

  /** See {@link Driver}. */
  apply(action: Action, context: ApplyContext): Promise<ApplyResult> {
    const { timeline, beforeAction } = this.#parts;
    return this.#ask(async () => {
      await beforeAction(context.permitId, action);
      return await this.#lab.apply(action, {
        ...context,
        // Made by WebCrypto, outside of JavaScript. A dead process would let time stand for ever.
        hostKey: (holder) => timeline.during(() => Promise.race([context.hostKey(holder), this.#died])),
      });
    });
  }

  /** See {@link Driver}. */
  probe(target: { workspaceKey: string; instanceUid: string }, context: ProbeContext): Promise<Probe> {
    const { learning, life } = this.#parts;
    return this.#ask(async () => {
      const probe = await this.#lab.probe(target, context);
      if (probe.found === "breached" && life.isAlive) {
        await learning.sees(context.permitId, `a way out of ${target.workspaceKey} by a probe`, life);
      }
      return probe;
    });
  }

  /** See {@link Driver}. */
  watch(changed: (permitId: string, whose: Whose) => void, signal: AbortSignal): Promise<void> {
    const { cluster, timeline, life, faults, learning } = this.#parts;
    const tell = (permitId: string, whose: Whose): void => {
      if (whose === "foreign") learning.tells(permitId, life);
      life.reach(() => changed(permitId, whose));
    };
    let isGone = false;
    // As a driver that is told 410 does: what changed meanwhile is told by a list, of what is still there.
    const listAnew = (): void => {
      isGone = false;
      if (signal.aborted || !life.isAlive) return;
      for (const [permitId, whose] of standing(cluster)) tell(permitId, whose);
    };
    return this.#lab.watch((permitId, whose) => {
      if (isGone || faults.strikes("watch-gap")) return;
      if (!faults.strikes("gone")) return tell(permitId, whose);
      isGone = true;
      timeline.at(faults.draw("gone").between(0, LIST_ANEW_MAX_MS), listAnew);
    }, signal);
  }

  /** See {@link Driver}. */
  check(signal: AbortSignal): Promise<CheckLine[]> {
    return this.#lab.check(signal);
  }

  /** See {@link Driver}. */
  list(signal: AbortSignal): Promise<string[]> {
    return this.#ask(() => this.#lab.list(signal));
  }

  /** See {@link Driver}. */
  close(): Promise<void> {
    return this.#lab.close();
  }

  #ask<T>(call: () => Promise<T>): Promise<T> {
    const { life } = this.#parts;
    return life.isDead ? never() : life.gate(call());
  }

  #interfere({ verb }: LabRequest): Interference {
    const { faults, life } = this.#parts;
    const isWrite = verb !== "observe" && verb !== "list" && verb !== "probe";
    if (isWrite) {
      // A request that a dead process had not sent yet does not arrive; one that was on its way does.
      if (life.isDead) return failBefore("timeout", "the process is dead");
      if (faults.strikes("crash-before-write") || faults.dies("before a write")) life.kill();
      if (life.isDead) return failBefore("timeout", "the process is dead");
    }
    if (faults.strikes("timeout")) return failBefore("timeout", "no answer within 30 s");
    if (faults.strikes("server-error")) return failBefore("unavailable", "the server says 500");
    if (faults.strikes("throttled")) return throttled(faults);
    if (!isWrite && faults.strikes("gone")) {
      return failBefore("conflict", "the server says 410: the list's continuation is too old");
    }
    if (isWrite && faults.strikes("conflict")) {
      return failBefore("conflict", "the server says 409: somebody else was faster");
    }
    if (isWrite) {
      const dies = life.isAlive && (faults.strikes("crash-after-write") || faults.dies("after a write"));
      if (dies) life.kill();
      if (faults.strikes("lost-reply")) {
        return { kind: "fail-after", fault: new Fault("retry", "timeout", "Cannot write: no answer came") };
      }
    }
    if (faults.strikes("slow-call")) {
      return { kind: "delay", ms: faults.draw("slow-call").between(100, SLOW_MAX_MS) };
    }
    return { kind: "none" };
  }
}

/** What a list of the watched objects names: each permit that has a namespace, and whose else something in it is. */
function standing(cluster: LabCluster): [string, Whose][] {
  return cluster.read(({ state }) =>
    Object.values(state.scopes).flatMap(({ owned, permitId, policies }): [string, Whose][] => {
      if (!owned || permitId === null) return [];
      return [[permitId, Object.values(policies).every((policy) => policy.owned) ? "ours" : "foreign"]];
    })
  );
}

function failBefore(reason: "timeout" | "unavailable" | "conflict", why: string): Interference {
  return { kind: "fail-before", fault: new Fault("retry", reason, `Cannot ask the platform: ${why}`) };
}

function throttled(faults: Faults): Interference {
  const retryAfterMs = faults.draw("throttled").between(100, RETRY_AFTER_MAX_MS);
  const fault = new Fault("retry", "throttled", "Cannot ask the platform: the server says 429", {
    retryAfterMs,
  });
  return { kind: "fail-before", fault };
}
