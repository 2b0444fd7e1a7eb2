/**
 * One attempt of one job: observe, plan, apply, look again, until nothing differs (DESIGN 2). It knows nothing of
 * transitions: how it ended is returned, and settle.ts decides what follows.
 */
import { Fault, toFault } from "../core/fault.ts";
import type { Job } from "../core/job.ts";
import type { Observed } from "../core/observed.ts";
import type { ApplyStep, Plan } from "../core/step.ts";
import type { Slot } from "./slots.ts";
import { nextStretch, type Stretch } from "./stretch.ts";
import { applyWave, type StepResult } from "./wave.ts";
import { createWaits } from "./waits.ts";
import { awaitFault, awaitNamed, endedBy, pause } from "./patience.ts";
import { type AttemptDeps, type AttemptEnd, newTally, type Tally, type Walk } from "./walk.ts";

/** Stretches applied in one attempt; a deletion of 200 members takes below 50. Looks of a wait do not count. */
const STRETCH_MAX = 500;
/** Conflicts in a row that are answered by looking again at once; a busy controller settles within three. */
const CONFLICT_MAX = 8;
/** The same steps planned again and again although the platform acknowledged them. */
const REPEAT_MAX = 5;

/** Runs the attempt. Never throws; `signal` aborts when the service stops. */
export async function runAttempt(
  deps: AttemptDeps,
  job: Job,
  slot: Slot,
  signal: AbortSignal,
): Promise<AttemptEnd> {
  const walk: Walk = { deps, job, slot, signal, waits: createWaits(deps.clock, job), tally: newTally() };
  try {
    return await rounds(walk);
  } catch (thrown) {
    return signal.aborted ? { kind: "stopping" } : { kind: "fault", fault: toFault(thrown) };
  } finally {
    walk.slot.release();
  }
}

async function rounds(walk: Walk): Promise<AttemptEnd> {
  const { deps: { ledger, makePlan, sight }, tally, signal } = walk;
  while (tally.stretches <= STRETCH_MAX) {
    if (signal.aborted) return { kind: "stopping" };
    const view = await ledger.look();
    if (view.wanted !== "go on") return endedBy(view.wanted);
    const observed = await observe(walk);
    if (observed instanceof Fault) {
      const end = await awaitFault(walk, observed);
      if (end !== null) return end;
      continue;
    }
    const made = makePlan(view.permit, view.records, observed);
    tally.total = tally.done + made.steps.filter((step) => step.do !== "await").length;
    ledger.observed(sight(view.permit, view.records, observed), tally);
    const stretch = nextStretch(made.steps);
    if (stretch.waves.length === 0 && stretch.awaiting.length === 0) {
      if (made.obstacles.length > 0) throw obstacleFault(made);
      return { kind: "succeeded", version: view.permit.version };
    }
    const end = await goOn(walk, stretch, observed);
    if (end !== null) return end;
  }
  throw new Fault(
    "retry",
    "internal",
    `Cannot finish ${walk.job.permitId}: still not done after ${STRETCH_MAX} rounds of changes`,
    { advice: "Look at the job's steps for what undoes them" },
  );
}

/** Applies what may be applied now, or waits where the same was applied already. Null: look again. */
async function goOn(walk: Walk, stretch: Stretch, observed: Observed): Promise<AttemptEnd | null> {
  const { tally } = walk;
  const signature = stretch.waves.flat().map(({ id }) => id).join("\n");
  const isRepeated = signature === tally.lastStretch;
  if (stretch.waves.length === 0 || (isRepeated && stretch.awaiting.length > 0)) {
    if (stretch.waves.length === 0) tally.lastStretch = "";
    return await awaitNamed(walk, stretch.awaiting, observed);
  }
  tally.repeats = isRepeated ? tally.repeats + 1 : 0;
  tally.lastStretch = signature;
  tally.stretches++;
  if (tally.repeats >= REPEAT_MAX) throw unsettledFault(stretch);
  const outcome = await applyStretch(walk, stretch, observed);
  if (outcome instanceof Fault) return await awaitFault(walk, outcome);
  if (outcome !== null) return outcome;
  walk.waits.clear();
  return tally.repeats === 0 ? null : await pause(walk, walk.deps.rereadMs);
}

/** A Fault of disposition `wait` is returned: the platform says "not yet" and names what. */
async function observe({ deps, job, signal }: Walk): Promise<Observed | Fault> {
  deps.bell.hush(job.permitId);
  try {
    return await deps.driver.observe(job.permitId, signal);
  } catch (thrown) {
    const fault = toFault(thrown);
    if (fault.disposition !== "wait") throw fault;
    return fault;
  }
}

/** Applies wave after wave; a boundary lies between them. Null: look again. A returned Fault is waited for. */
async function applyStretch(
  { deps, job, tally, signal }: Walk,
  stretch: Stretch,
  observed: Observed,
): Promise<AttemptEnd | Fault | null> {
  let ended: StepResult[] = [];
  for (const wave of stretch.waves) {
    refuseFailedTasks(wave, tally);
    const turn = await deps.ledger.turn({ ended, next: wave, progress: tally });
    if (turn.wanted !== "go on") return endedBy(turn.wanted);
    ended = await applyWave(deps, job.permitId, turn.steps, observed, signal);
    tally.done += ended.filter(({ fault }) => fault === null).length;
    const fault = worst(ended);
    if (fault === null) continue;
    await deps.ledger.turn({ ended, next: [], progress: tally });
    if (fault.disposition === "wait") return fault;
    if (fault.reason !== "conflict" || fault.disposition !== "retry" || ++tally.conflicts > CONFLICT_MAX) {
      throw fault;
    }
    // The platform refused, it did not acknowledge: this is no repetition.
    tally.lastStretch = "";
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

function unsettledFault({ waves }: Stretch): Fault {
  const first = waves[0]?.[0];
  return new Fault(
    "retry",
    "internal",
    `Cannot settle ${first?.id ?? "the plan"}: acknowledged ${REPEAT_MAX} times, yet nothing changed`,
    { advice: "Look for a controller or person that undoes it", target: first?.target },
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
