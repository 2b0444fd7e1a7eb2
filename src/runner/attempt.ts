/**
 * One attempt of one job: observe, plan, apply, look again, until nothing differs (DESIGN 2). It knows nothing of
 * transitions: how it ended is returned, and settle.ts decides what follows.
 */
import type { Clock } from "../core/clock.ts";
import { unmet } from "../core/condition.ts";
import type { Driver } from "../core/driver.ts";
import { Fault, toFault } from "../core/fault.ts";
import { type Job, URGENT_PRIORITY_MAX } from "../core/job.ts";
import type { Observed } from "../core/observed.ts";
import type { Permit, VolumeRecord } from "../core/permit.ts";
import type { Site } from "../core/site.ts";
import type { ApplyStep, Plan, Step } from "../core/step.ts";
import type { Wanted } from "../store/job_transitions.ts";
import { type Bell, CLAIM_LOOP } from "./bell.ts";
import type { Ledger } from "./ledger.ts";
import type { Slot, Slots } from "./slots.ts";
import type { Sighting } from "./sighting.ts";
import { nextStretch, type Stretch } from "./stretch.ts";
import type { Vault } from "./vault.ts";
import { applyWave, type StepResult } from "./wave.ts";
import { createWaits, deadlineFault, type Waits } from "./waits.ts";

/** What an attempt works with; all injected. */
export interface AttemptDeps {
  driver: Driver;
  clock: Clock;
  bell: Bell;
  slots: Slots;
  ledger: Ledger;
  site: Site;
  /** The plan for this job: what the permit should be, or the way back of a failed one. */
  makePlan(permit: Permit, records: VolumeRecord[], observed: Observed): Plan;
  /** What to keep of an observation. */
  sight(permit: Permit, records: VolumeRecord[], observed: Observed): Sighting;
  vault: Vault;
  /** Without a change from the platform the wait looks again after this long, in milliseconds. */
  rereadMs: number;
}

/** How an attempt ended. `lost`: somebody else holds the claim, nothing may be written. */
export type AttemptEnd =
  | { kind: "succeeded" }
  | { kind: "superseded" | "cancelled" | "lost" | "stopping" }
  | { kind: "fault"; fault: Fault };

/** Rounds of observe and plan in one attempt; a deletion of 200 members with all waits takes below 50. */
const ROUND_MAX = 5_000;
/** Conflicts in a row that are answered by looking again at once; a busy controller settles within three. */
const CONFLICT_MAX = 8;
/** A pod that starts is told of a dozen times within a second; looks of one wait are at least this far apart. */
const LOOK_PAUSE_MS = 150;
/** The same steps planned again and again although the platform acknowledged them. */
const REPEAT_MAX = 5;

/** Runs the attempt. Never throws; `signal` aborts when the service stops. */
export async function runAttempt(
  deps: AttemptDeps,
  job: Job,
  slot: Slot,
  signal: AbortSignal,
): Promise<AttemptEnd> {
  const held = { slot };
  try {
    return await rounds(deps, job, held, signal);
  } catch (thrown) {
    return signal.aborted ? { kind: "stopping" } : { kind: "fault", fault: toFault(thrown) };
  } finally {
    held.slot.release();
  }
}

interface Held {
  slot: Slot;
}

interface Tally {
  conflicts: number;
  repeats: number;
  lastStretch: string;
  done: number;
  total: number;
}

async function rounds(deps: AttemptDeps, job: Job, held: Held, signal: AbortSignal): Promise<AttemptEnd> {
  const { ledger } = deps;
  const waits = createWaits(deps.clock, job);
  const tally: Tally = { conflicts: 0, repeats: 0, lastStretch: "", done: 0, total: 0 };
  for (let round = 1; round <= ROUND_MAX; round++) {
    if (signal.aborted) return { kind: "stopping" };
    const view = await ledger.look();
    if (view.wanted !== "go on") return endedBy(view.wanted);
    const observed = await observe(deps, job, signal, waits);
    if (observed === null) {
      const end = await pause(deps, job, held, waits.intervalMs(deps.rereadMs), signal);
      if (end !== null) return end;
      continue;
    }
    const made = deps.makePlan(view.permit, view.records, observed);
    tally.total = tally.done + made.steps.filter((step) => step.do !== "await").length;
    ledger.observed(deps.sight(view.permit, view.records, observed), tally);
    const stretch = nextStretch(made.steps);
    if (stretch.waves.length === 0 && stretch.awaiting.length === 0) {
      if (made.obstacles.length > 0) throw obstacleFault(made);
      return { kind: "succeeded" };
    }
    if (stretch.waves.length > 0) {
      guardRepeats(tally, stretch, round);
      const end = await applyStretch(deps, job, stretch, observed, tally, signal);
      if (end !== null) return end;
      waits.clear();
      if (tally.repeats > 0) await deps.bell.wait(job.permitId, deps.rereadMs, signal);
      continue;
    }
    tally.lastStretch = "";
    const end = await awaitNamed(deps, job, held, stretch, observed, waits, signal);
    if (end !== null) return end;
  }
  throw new Fault(
    "retry",
    "internal",
    `Cannot finish ${job.permitId}: still not done after ${ROUND_MAX} looks`,
  );
}

function endedBy(wanted: Exclude<Wanted, "go on">): AttemptEnd {
  return { kind: wanted === "cancel-requested" ? "cancelled" : wanted };
}

/** Null: the platform says "not yet" and names what; the wait is recorded and bounded like any other. */
async function observe(
  deps: AttemptDeps,
  job: Job,
  signal: AbortSignal,
  waits: Waits,
): Promise<Observed | null> {
  deps.bell.hush(job.permitId);
  try {
    return await deps.driver.observe(job.permitId, signal);
  } catch (thrown) {
    const fault = toFault(thrown);
    if (fault.disposition !== "wait") throw fault;
    await deps.ledger.waiting(fault.message, waits.since("gone", fault.message));
    if (waits.isOver("gone", deps.site.waits)) throw deadlineFault("gone", fault.message);
    return null;
  }
}

/** Applies wave after wave; a boundary lies between them. Null: look again. */
async function applyStretch(
  deps: AttemptDeps,
  job: Job,
  stretch: Stretch,
  observed: Observed,
  tally: Tally,
  signal: AbortSignal,
): Promise<AttemptEnd | null> {
  let ended: StepResult[] = [];
  for (const wave of stretch.waves) {
    refuseFailedTasks(wave, tally);
    const turn = await deps.ledger.turn({ ended, next: wave, progress: tally });
    if (turn.wanted !== "go on") {
      return endedBy(turn.wanted);
    }
    ended = await applyWave(deps, job.permitId, turn.steps, observed, signal);
    tally.done += ended.filter(({ fault }) => fault === null).length;
    const fault = worst(ended);
    if (fault === null) continue;
    await deps.ledger.turn({ ended, next: [], progress: tally });
    if (fault.reason === "conflict" && fault.disposition === "retry" && ++tally.conflicts <= CONFLICT_MAX) {
      return null;
    }
    if (fault.disposition !== "wait") throw fault;
    return null;
  }
  tally.conflicts = 0;
  const { wanted } = await deps.ledger.turn({ ended, next: [], progress: tally });
  return wanted === "go on" ? null : endedBy(wanted);
}

/** A consolidation that failed while this attempt watched is this attempt's fault, not a reason to loop. */
function refuseFailedTasks(wave: ApplyStep[], tally: Tally): void {
  for (const { action } of wave) {
    if (action.kind !== "consolidate" || action.task?.state !== "failed" || tally.done === 0) continue;
    throw new Fault(
      "retry",
      "consolidation-failed",
      `Cannot consolidate ${action.task.key}: ${action.task.message ?? "the task failed without a word"}`,
      { advice: "The uploads are untouched; mend what the message names, then run wps jobs retry" },
    );
  }
}

/** Stalled before retry before wait: the one that needs most. */
function worst(results: StepResult[]): Fault | null {
  const faults = results.flatMap(({ fault }) => fault === null ? [] : [fault]);
  for (const disposition of ["cancelled", "stalled", "retry", "wait"] as const) {
    const found = faults.find((fault) => fault.disposition === disposition);
    if (found !== undefined) return found;
  }
  return null;
}

function guardRepeats(tally: Tally, stretch: Stretch, round: number): void {
  const signature = stretch.waves.flat().map(({ id }) => id).join("\n");
  tally.repeats = signature === tally.lastStretch ? tally.repeats + 1 : 0;
  tally.lastStretch = signature;
  if (tally.repeats < REPEAT_MAX) return;
  const first = stretch.waves[0]?.[0];
  throw new Fault(
    "retry",
    "internal",
    `Cannot settle ${first?.id ?? "plan"}: acknowledged ${round} times, yet nothing changed`,
  );
}

function obstacleFault(made: Plan): Fault {
  const [first, ...rest] = made.obstacles;
  const more = rest.length === 0 ? "" : ` (and ${rest.length} more obstacles)`;
  return new Fault("stalled", first?.reason ?? "internal", `${first?.message ?? "Cannot go on"}${more}`, {
    advice: first?.advice ?? "Run wps status",
    target: first?.target ?? "permit",
  });
}

/** Waits for what the await steps name, giving the slot back meanwhile. Null: look again. */
async function awaitNamed(
  deps: AttemptDeps,
  job: Job,
  held: Held,
  stretch: Stretch,
  observed: Observed,
  waits: Waits,
  signal: AbortSignal,
): Promise<AttemptEnd | null> {
  const names = stretch.awaiting.map((step) => ({ step, open: openConditions(step, observed) }));
  const text = names.flatMap(({ open }) => open).join("; ").slice(0, WAITING_TEXT_MAX);
  for (const { step, open } of names) {
    if (step.do !== "await" || open.length === 0) continue;
    waits.since(step.wait, step.id);
    if (waits.isOver(step.wait, deps.site.waits, step.id)) throw deadlineFault(step.wait, open.join("; "));
  }
  waits.keepOnly(stretch.awaiting.map(({ id }) => id));
  if (text !== "") await deps.ledger.waiting(text, waits.earliest());
  const soonest = waits.untilDeadlineMs(deps.site.waits);
  return await pause(deps, job, held, Math.min(waits.intervalMs(deps.rereadMs), soonest), signal);
}

/** Longer lists of waits are cut in the job's row; the plan names them all. */
const WAITING_TEXT_MAX = 1_000;

function openConditions(step: Step, observed: Observed): string[] {
  return step.after.flatMap((condition) => unmet(condition, observed));
}

/**
 * Null: go on. Whether the job is still wanted is asked before a slot is: a halt or deletion must not queue behind
 * an attempt that only waits to learn that it is superseded.
 */
async function pause(
  deps: AttemptDeps,
  job: Job,
  held: Held,
  ms: number,
  signal: AbortSignal,
): Promise<AttemptEnd | null> {
  const restUntilMs = deps.clock.now() + LOOK_PAUSE_MS;
  held.slot.release();
  deps.bell.ring(CLAIM_LOOP);
  await deps.bell.wait(job.permitId, ms, signal);
  for (;;) {
    if (signal.aborted) return { kind: "stopping" };
    const wanted = await deps.ledger.wanted();
    if (wanted !== "go on") return endedBy(wanted);
    const restMs = restUntilMs - deps.clock.now();
    if (restMs <= 0) break;
    await deps.clock.sleep(restMs, signal);
  }
  const slot = await deps.slots.acquire(job.priority <= URGENT_PRIORITY_MAX, signal);
  if (slot === null) return { kind: "stopping" };
  held.slot = slot;
  return null;
}
