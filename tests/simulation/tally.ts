/** What many runs showed together. */
import { FAULT_KINDS } from "./faults.ts";
import { FLAGS, STATUSES } from "./history.ts";
import { JOB_KINDS, JOB_STATES } from "../../src/core/job.ts";
import { VERDICTS } from "../../src/core/event.ts";
import type { Action } from "../../src/core/step.ts";
import type { WireResult } from "./wire.ts";

/** In the seeds 1 to this one, whose histories are always the same, everything must have happened at least once. */
export const RUNS_FOR_ALL = 130;

type Status = typeof STATUSES[number];

/** Sums over runs. */
export class Tally {
  runs = 0;
  permits = 0;
  messages = 0;
  simulatedMs = 0;
  dataMs = 0;
  excusedMs = 0;
  /** The run in which most of the time of pods with data was excused, as a share. */
  excusedMost = { seed: "", share: 0 };
  readonly failed: WireResult[] = [];
  /** By kind: how often it struck, and in how many runs. */
  readonly struck = new Map<string, { times: number; runs: number }>();
  readonly transitions = new Map<string, number>();
  /** Of the seeds 1 to {@link RUNS_FOR_ALL} those that were played. */
  readonly #numbered = new Set<string>();

  /** Adds one run. */
  add(result: WireResult): void {
    this.runs++;
    if (/^[1-9]\d*$/.test(result.seed) && Number(result.seed) <= RUNS_FOR_ALL) {
      this.#numbered.add(result.seed);
    }
    this.permits += result.permits;
    this.messages += result.messages;
    this.simulatedMs += result.simulatedMs;
    this.dataMs += result.dataMs;
    this.excusedMs += result.excusedMs;
    const share = result.excusedMs / Math.max(1, result.dataMs);
    if (share > this.excusedMost.share) this.excusedMost = { seed: result.seed, share };
    if (result.failures.length > 0) this.failed.push(result);
    for (const [kind, times] of Object.entries(result.struck)) {
      const known = this.struck.get(kind) ?? { times: 0, runs: 0 };
      this.struck.set(kind, { times: known.times + times, runs: known.runs + 1 });
    }
    for (const [what, times] of Object.entries(result.transitions)) {
      this.transitions.set(what, (this.transitions.get(what) ?? 0) + times);
    }
  }

  /** What happened, a line each, for a person. */
  lines(): string[] {
    const byName = <T>([a]: [string, T], [b]: [string, T]): number => a < b ? -1 : 1;
    const line = (what: string, times: number, more: string): string =>
      `${what.padEnd(34)} ${`${times}`.padStart(8)} times${more}`;
    const turns = [...this.transitions].filter(([what]) => what.startsWith("phase ")).sort(byName);
    const others = [...this.transitions].filter(([what]) => !what.startsWith("phase ")).sort(byName);
    const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
    return [
      ...[...this.struck].sort(byName).map(([kind, { times, runs }]) =>
        line(kind, times, ` in ${runs} runs`)
      ),
      ...others.map(([what, times]) => line(what, times, "")),
      `phases, each turn from one to another with the runs that had it: ${turns.length} of ${
        STATUSES.length ** 2
      } turns`,
      ...turns.map(([what, times]) => `  ${what.slice("phase ".length)}: ${times}`),
      `excused, because somebody else had opened a way out: ${
        percent(this.excusedMs / Math.max(1, this.dataMs))
      } of the time in which pods had data; at most ${
        percent(this.excusedMost.share)
      } of it in one run (seed ${this.excusedMost.seed})`,
    ];
  }

  /** Whether all of the seeds were played in which everything must have happened. */
  get isWhole(): boolean {
    return this.#numbered.size === RUNS_FOR_ALL;
  }

  /** What should have happened in so many runs and did not: then the runs prove less than they seem to. */
  missing(): string[] {
    const wanted = [
      ...JOB_KINDS.flatMap((kind) => [`job ${kind} succeeded`, `job ${kind} superseded`]),
      ...JOB_STATES.map((state) => `job reconcile ${state}`),
      ...VERDICTS.map((verdict) => `verdict ${verdict}`),
      ...Object.keys(STEPS).map((kind) => `step ${kind} done`),
      ...STATUSES.flatMap((from) => TURNS[from].map((to) => `phase ${from} > ${to}`)),
      ...FLAGS.map((type) => `event ${type}`),
      "permit expired",
      "second ingress",
    ];
    return [
      ...FAULT_KINDS.filter((kind) => !this.struck.has(kind)).map((kind) => `the fault ${kind}`),
      ...wanted.filter((what) => !this.transitions.has(what)),
    ];
  }
}

/**
 * The turns that are asserted: those of DESIGN 4's way, back to rework and out of it, and each other one that was accepted at
 * least three times in the seeds 1 to {@link RUNS_FOR_ALL}. The rest are jumps that those seeds draw once or not at all, or
 * that come too late to be accepted: one more lost message and they would be missing. Longer runs have and count them.
 */
const TURNS: Record<Status, readonly Status[]> = {
  AWAITING_INGRESS: STATUSES,
  DATA_PREPARATION_PENDING: [
    "DATA_PREPARATION_PENDING",
    "DATA_PREPARATION_REVIEW_PENDING",
    "WORKSPACE_SETUP_PENDING",
    "WORKSPACE_SETUP_REWORK",
    "ANALYSIS_ACTIVE",
  ],
  DATA_PREPARATION_REVIEW_PENDING: [
    "AWAITING_INGRESS",
    "DATA_PREPARATION_REVIEW_PENDING",
    "DATA_PREPARATION_REWORK",
    "WORKSPACE_SETUP_PENDING",
  ],
  DATA_PREPARATION_REWORK: [
    "AWAITING_INGRESS",
    "DATA_PREPARATION_PENDING",
    "WORKSPACE_SETUP_PENDING",
    "ANALYSIS_ACTIVE",
  ],
  WORKSPACE_SETUP_PENDING: [
    "DATA_PREPARATION_PENDING",
    "DATA_PREPARATION_REVIEW_PENDING",
    "WORKSPACE_SETUP_PENDING",
    "WORKSPACE_SETUP_REVIEW_PENDING",
    "ANALYSIS_ACTIVE",
  ],
  WORKSPACE_SETUP_REVIEW_PENDING: ["WORKSPACE_SETUP_PENDING", "WORKSPACE_SETUP_REWORK", "ANALYSIS_ACTIVE"],
  WORKSPACE_SETUP_REWORK: [
    "AWAITING_INGRESS",
    "DATA_PREPARATION_PENDING",
    "WORKSPACE_SETUP_PENDING",
    "WORKSPACE_SETUP_REVIEW_PENDING",
  ],
  ANALYSIS_ACTIVE: [
    "AWAITING_INGRESS",
    "DATA_PREPARATION_PENDING",
    "WORKSPACE_SETUP_PENDING",
    "WORKSPACE_SETUP_REWORK",
    "ARCHIVED",
  ],
  ARCHIVED: [],
};

/** Every action that a plan can have, so that one that is new to the core must be named here. */
const STEPS: Record<Action["kind"], true> = {
  "replace-instance": true,
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
