/** What many runs showed together. */
import { FAULT_KINDS } from "./faults.ts";
import { JOB_KINDS, JOB_STATES } from "../../src/core/job.ts";
import { VERDICTS } from "../../src/core/event.ts";
import type { Action } from "../../src/core/step.ts";
import type { WireResult } from "./wire.ts";

/** After so many runs everything must have happened at least once. */
export const RUNS_FOR_ALL = 150;

/** Sums over runs. */
export class Tally {
  runs = 0;
  permits = 0;
  messages = 0;
  simulatedMs = 0;
  readonly failed: WireResult[] = [];
  /** By kind: how often it struck, and in how many runs. */
  readonly struck = new Map<string, { times: number; runs: number }>();
  readonly transitions = new Map<string, number>();

  /** Adds one run. */
  add(result: WireResult): void {
    this.runs++;
    this.permits += result.permits;
    this.messages += result.messages;
    this.simulatedMs += result.simulatedMs;
    if (result.failures.length > 0) this.failed.push(result);
    for (const [kind, times] of Object.entries(result.struck)) {
      const known = this.struck.get(kind) ?? { times: 0, runs: 0 };
      this.struck.set(kind, { times: known.times + times, runs: known.runs + 1 });
    }
    for (const [what, times] of Object.entries(result.transitions)) {
      this.transitions.set(what, (this.transitions.get(what) ?? 0) + times);
    }
  }

  /** What should have happened in so many runs and did not: then the runs prove less than they seem to. */
  missing(): string[] {
    const wanted = [
      ...JOB_KINDS.flatMap((kind) => [`job ${kind} succeeded`, `job ${kind} superseded`]),
      ...JOB_STATES.filter((state) => state !== "cancelled").map((state) => `job reconcile ${state}`),
      ...VERDICTS.map((verdict) => `verdict ${verdict}`),
      ...Object.keys(STEPS).map((kind) => `step ${kind} done`),
    ];
    return [
      ...FAULT_KINDS.filter((kind) => !this.struck.has(kind)).map((kind) => `the fault ${kind}`),
      ...wanted.filter((what) => !this.transitions.has(what)),
    ];
  }
}

/**
 * Every action that a plan can have, so that one that is new to the core must be named here; but the replacement of a pod
 * of an outdated template, which no run has: images and templates do not change in them.
 */
const STEPS: Record<Exclude<Action["kind"], "replace-instance">, true> = {
  "cut-network": true,
  "stop": true,
  "remove-workspace": true,
  "ensure-scope": true,
  "ensure-volume": true,
  "rebind-volume": true,
  "taint-volume": true,
  "retain-volume": true,
  "consolidate": true,
  "remove-task": true,
  "destroy-volume": true,
  "ensure-identity": true,
  "start": true,
  "ask-canaries": true,
  "prove-isolation": true,
  "open-network": true,
  "destroy-scope": true,
};
