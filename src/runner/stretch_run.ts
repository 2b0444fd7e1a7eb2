/** Carries out a stretch, wave after wave, with a step boundary between them (DESIGN 6). */
import type { Clock } from "../core/clock.ts";
import type { Driver } from "../core/driver.ts";
import { Fault } from "../core/fault.ts";
import type { Job } from "../core/job.ts";
import type { Observed } from "../core/observed.ts";
import { type ApplyStep, trialOf } from "../core/step.ts";
import type { Wanted } from "../store/job_transitions.ts";
import { type Alarm, tellReached } from "./breach.ts";
import type { Guard } from "./guard.ts";
import type { Ledger } from "./ledger.ts";
import type { Precedence } from "./precedence.ts";
import type { Stretch } from "./stretch.ts";
import type { Tally } from "./tally.ts";
import type { Vault } from "./vault.ts";
import { applyWave, isBrokenOff, isTaking, type StepResult } from "./wave.ts";

/** What carrying out works with. */
export interface StretchDeps {
  driver: Driver;
  clock: Clock;
  vault: Vault;
  ledger: Ledger;
  job: Job;
  tally: Tally;
  /** Consolidations that this attempt has started, by {@link trialOf}; it is added to. */
  tried: Set<string>;
  /** Workspaces whose last cut in this attempt ended with a fault; kept up to date. */
  uncut: Set<string>;
  guard: Guard;
  precedence: Precedence;
  alarm: Alarm;
}

/** How a stretch ended: all of it acknowledged, broken off at a boundary, or with the fault that needs most. */
export type StretchEnd =
  | { kind: "acknowledged" }
  | { kind: "unwanted"; wanted: Exclude<Wanted, "go on"> }
  | { kind: "fault"; fault: Fault; step: ApplyStep };

/**
 * Applies wave after wave. After a fault nothing is given any more, but what only takes access away still goes: a guard
 * or a volume that cannot be mended, or one workspace that cannot be cut, leaves nobody else with access.
 */
export async function applyStretch(
  deps: StretchDeps,
  stretch: Stretch,
  observed: Observed,
): Promise<StretchEnd> {
  const { ledger, job, tally } = deps;
  const failed = failedConsolidation(stretch.waves.flat(), deps.tried);
  if (failed !== null) return failed;
  let ended: StepResult[] = [];
  const failures: StepResult[] = [];
  for (const [index, wave] of stretch.waves.entries()) {
    if (failures.length > 0 && !wave.every(isTaking)) continue;
    const forbidden = await forbiddenBy(deps, observed, stretch.waves.slice(0, index + 1), wave);
    if (forbidden !== null) {
      failures.push(forbidden);
      continue;
    }
    const turn = await ledger.turn({ ended, next: wave, progress: tally.progress() });
    if (turn.wanted !== "go on") return { kind: "unwanted", wanted: turn.wanted };
    for (const { action } of wave) {
      if (action.kind === "consolidate") deps.tried.add(trialOf(action.consolidation));
    }
    ended = await applyWave(deps, job, turn.steps, observed);
    await tellReached(deps, job.permitId, ended);
    tally.applied(ended.filter(({ fault }) => fault === null).map(({ step }) => step.id));
    noteCuts(ended, deps.uncut);
    failures.push(...ended.filter(({ fault }) => fault !== null));
  }
  const { wanted } = await ledger.turn({ ended, next: [], progress: tally.progress() });
  if (wanted !== "go on" && failures.some(isBrokenOff)) return { kind: "unwanted", wanted };
  const worst = worstOf(failures);
  if (worst !== null && wanted !== "lost") return worst;
  return wanted === "go on" ? { kind: "acknowledged" } : { kind: "unwanted", wanted };
}

/** A wave that the guard forbids is not begun, so no step of it is on record; its job says why. */
async function forbiddenBy(
  { guard, clock }: StretchDeps,
  observed: Observed,
  waves: ApplyStep[][],
  wave: ApplyStep[],
): Promise<StepResult | null> {
  const fault = await guard(observed, waves.flat());
  const [step] = wave;
  if (fault === null || step === undefined || wave.every(isTaking)) return null;
  return { recordId: -1, step, endedAtMs: clock.now(), result: null, fault };
}

function noteCuts(ended: StepResult[], uncut: Set<string>): void {
  for (const { step, fault } of ended) {
    if (step.kind !== "cut-network") continue;
    if (fault === null) uncut.delete(step.target);
    else uncut.add(step.target);
  }
}

/** A consolidation that failed while this attempt watched is this attempt's fault, not a reason to loop. */
function failedConsolidation(steps: ApplyStep[], tried: ReadonlySet<string>): StretchEnd | null {
  for (const step of steps) {
    const { action } = step;
    if (action.kind !== "consolidate" || action.task?.state !== "failed") continue;
    const { key, message } = action.task;
    if (!tried.has(trialOf(action.consolidation))) continue;
    const fault = new Fault(
      "retry",
      "consolidation-failed",
      `Cannot consolidate ${key}: ${message ?? "the task failed without a word"}`,
      { advice: "The uploads are untouched; mend what the message names, then run wps jobs retry" },
    );
    return { kind: "fault", fault, step };
  }
  return null;
}

/** Stalled before retry before wait: the one that needs most. */
function worstOf(results: StepResult[]): Extract<StretchEnd, { kind: "fault" }> | null {
  for (const disposition of ["cancelled", "stalled", "retry", "wait"] as const) {
    for (const { fault, step } of results) {
      if (fault?.disposition === disposition) return { kind: "fault", fault, step };
    }
  }
  return null;
}
