/**
 * One attempt of one job: observe, plan, apply, look again, until nothing differs (DESIGN 2). It knows nothing of
 * transitions: how it ended is returned, and settle.ts decides what follows.
 */
import { unmet } from "../core/condition.ts";
import { Fault, toFault } from "../core/fault.ts";
import { isHastened, type Job, JOB_PRIORITY } from "../core/job.ts";
import { obeyedMs } from "../core/retry.ts";
import type { Observed } from "../core/observed.ts";
import type { Slot } from "../core/slots.ts";
import type { AwaitStep, Plan } from "../core/step.ts";
import { troubleOf } from "../core/trouble.ts";
import { tellBreach } from "./breach.ts";
import { endedBy, hold, pause, recordWaits } from "./patience.ts";
import { openPrecedence } from "./precedence.ts";
import { nextStretch, type Stretch, takesAway } from "./stretch.ts";
import { applyStretch } from "./stretch_run.ts";
import { createTally } from "./tally.ts";
import { createWaits, type NamedWait, waitId, waitOf } from "./waits.ts";
import type { AttemptDeps, AttemptEnd, Walk } from "./walk.ts";
import { isTaking } from "./wave.ts";

/** Stretches applied in one attempt; a deletion of 200 members takes below 50. Waits are bounded by their deadlines. */
const STRETCH_MAX = 5_000;
/** Conflicts in a row that are answered by looking again; a busy controller settles within three. */
const CONFLICT_MAX = 8;
/** Pause after the second conflict in a row and each further one, in milliseconds. */
const CONFLICT_PAUSE_MS = 100;
/** The same steps planned again and again although the platform acknowledged them. */
const REPEAT_MAX = 5;

/** Runs the attempt. Never throws; `signal` aborts when the service stops. The slot is given back at the end. */
export async function runAttempt(
  deps: AttemptDeps,
  job: Job,
  slot: Slot,
  signal: AbortSignal,
): Promise<AttemptEnd> {
  const ear = deps.bell.listen(job.permitId);
  const precedence = openPrecedence(deps, job, signal);
  const held = { slot };
  try {
    const before = await deps.ledger.before();
    const tally = createTally(before);
    const waits = createWaits(deps.clock, deps.site.waits, before.waits);
    return await rounds({ deps, job, ear, held, signal, precedence, tally, waits, lookMs: 0, refused: null });
  } catch (thrown) {
    if (signal.aborted) return { kind: "stopping" };
    const fault = toFault(thrown);
    return fault.reason === "lease-lost" ? { kind: "lost" } : { kind: "fault", fault };
  } finally {
    held.slot.release();
    precedence.close();
    ear.close();
  }
}

async function rounds(walk: Walk): Promise<AttemptEnd> {
  const { deps: { ledger, makePlan, sight, rereadMs }, signal, tally, waits } = walk;
  const trials: Trials = {
    conflicts: 0,
    repeats: 0,
    last: "",
    tried: new Set(),
    uncut: new Set(),
    taken: new Set(),
  };
  for (let stretches = 0; stretches < STRETCH_MAX;) {
    if (signal.aborted) return { kind: "stopping" };
    // Before the wish is read, not only before the platform is: a ring after that may be of a newer wish.
    walk.ear.hush();
    const view = await ledger.look();
    if (view.wanted !== "go on") return endedBy(view.wanted);
    const observed = await observe(walk);
    if (observed === null) {
      const end = await pause(walk, waits.intervalMs(rereadMs));
      if (end !== null) return end;
      continue;
    }
    await tellBreach(walk.deps, view.permit, observed);
    await walk.deps.noteBroken(view, observed);
    const made = makePlan(view, observed, {
      insist: stretches === 0,
      uncut: trials.uncut,
      tried: trials.tried,
    });
    tally.planned(made.steps);
    ledger.observed(sight(view.permit, view.records, observed), tally.progress());
    endWaits(walk, made);
    const stretch = nextStretch(made.steps);
    if (stretch.waves.length === 0 && stretch.awaiting.length === 0) {
      if (made.obstacles.length > 0) throw obstacleFault(made);
      return { kind: "succeeded", version: view.permit.version };
    }
    if (isHastened(walk.job) && !takesAway(stretch)) {
      const end = await ease(walk);
      if (end !== null) return end;
      continue;
    }
    const isWaiting = stretch.waves.length === 0;
    // What is planned anew after a wait was undone by somebody, it did not fail to come about.
    if (isWaiting) trials.last = "";
    const end = isWaiting
      ? await hold(walk, stretch.awaiting.map((step) => namedWait(step, observed)))
      : await advance(walk, stretch, observed, trials);
    if (end === "acknowledged") {
      stretches++;
      const ended = await letCome(walk, stretch, observed);
      if (ended !== null) return ended;
    } else if (end !== null) return end;
  }
  const message = `Cannot finish ${walk.job.permitId}: still not done after ${STRETCH_MAX} stretches`;
  throw new Fault("retry", "internal", message);
}

/** What the job was urgent for is done: from here on it gives, and queues with those that give. Null: look again. */
async function ease(walk: Walk): Promise<AttemptEnd | null> {
  await walk.deps.ledger.eased();
  walk.job = { ...walk.job, priority: JOB_PRIORITY[walk.job.kind] };
  return walk.held.slot.lane === "general" ? null : await pause(walk, 0);
}

/** Null: the platform says "not yet" and names what, which is a wait like any other; or a halt goes first, and rang. */
async function observe(walk: Walk): Promise<Observed | null> {
  const { deps: { driver, clock }, job, precedence, signal } = walk;
  const beginMs = clock.now();
  try {
    return await precedence.heed((within) =>
      precedence.orLeave(driver.observe(job.permitId, within, job.priority))
    );
  } catch (thrown) {
    if (precedence.isOvertaken() && !signal.aborted) return null;
    const fault = toFault(thrown);
    if (fault.disposition !== "wait") throw fault;
    await recordWaits(walk, [waitOf(fault, "platform")]);
    return null;
  } finally {
    walk.lookMs = clock.now() - beginMs;
  }
}

/** Ends the waits that the plan no longer has, except for what the platform put off a moment ago. */
function endWaits({ deps: { ledger }, waits, refused }: Walk, made: Plan): void {
  const ids = new Set(made.steps.filter((step) => step.do === "await").map(({ id }) => id));
  if (refused !== null) ids.add(waitId(refused));
  ledger.waited(waits.keepOnly(ids), "waited");
}

/** What has been tried without getting on. */
interface Trials {
  conflicts: number;
  repeats: number;
  last: string;
  /** Consolidations that were started. */
  tried: Set<string>;
  /** Workspaces whose cut ended with a fault. */
  uncut: Set<string>;
  /** What only takes access away of stretches with a fault, by step id: see isTaking. */
  taken: Set<string>;
}

/** Applies a stretch. Null: look again. Whatever is in the way ends the attempt with a fault, or is waited for by name. */
async function advance(
  walk: Walk,
  stretch: Stretch,
  observed: Observed,
  trials: Trials,
): Promise<AttemptEnd | "acknowledged" | null> {
  const { deps, job, precedence, tally, waits } = walk;
  const steps = stretch.waves.flat().map(({ id }) => id).join("\n");
  const isRepeated = steps === trials.last;
  const result = await applyStretch(
    { ...deps, job, precedence, tally, tried: trials.tried, uncut: trials.uncut },
    stretch,
    observed,
  );
  if (result.kind === "unwanted") return endedBy(result.wanted);
  if (result.kind === "acknowledged") {
    walk.refused = null;
    trials.conflicts = 0;
    trials.repeats = isRepeated ? trials.repeats + 1 : 0;
    trials.last = steps;
    if (trials.repeats === 0) return "acknowledged";
    if (trials.repeats >= REPEAT_MAX) throw unsettled(stretch);
    const pauseMs = waits.intervalMs(deps.rereadMs);
    return await pause(walk, pauseMs, pauseMs) ?? "acknowledged";
  }
  const { fault, step } = result;
  if (hasNewTakings(stretch, trials)) return null;
  if (fault.disposition === "wait") {
    walk.refused = waitOf(fault, step.target);
    await recordWaits(walk, [walk.refused]);
    const pauseMs = Math.max(waits.intervalMs(deps.rereadMs), obeyedMs(job, fault.retryAfterMs));
    return await pause(walk, pauseMs, pauseMs);
  }
  const isConflict = fault.disposition === "retry" && fault.reason === "conflict";
  if (!isConflict || ++trials.conflicts > CONFLICT_MAX) throw fault;
  const pauseMs = CONFLICT_PAUSE_MS * trials.conflicts;
  return trials.conflicts === 1 ? null : await pause(walk, pauseMs, pauseMs);
}

/** Beside a fault: as long as steps come that take access away and were not tried yet, that goes on before the attempt ends. */
function hasNewTakings({ waves }: Stretch, { taken }: Trials): boolean {
  const before = taken.size;
  for (const step of waves.flat()) if (isTaking(step)) taken.add(step.id);
  return taken.size > before;
}

/**
 * What was started a moment ago is not ready yet: a look at once would only show that. Everything else that a stretch
 * waits for may be true as soon as it is acknowledged. Null: look.
 */
async function letCome(
  walk: Walk,
  { waves, awaiting }: Stretch,
  observed: Observed,
): Promise<AttemptEnd | null> {
  const isStarting = waves.flat().some(({ kind }) => kind === "start");
  if (!isStarting || awaiting.length === 0 || awaiting.some(({ wait }) => wait !== "ready")) return null;
  return await hold(walk, awaiting.map((step) => namedWait(step, observed)));
}

function unsettled(stretch: Stretch): Fault {
  const first = stretch.waves[0]?.[0]?.id ?? "the plan";
  const message = `Cannot settle ${first}: acknowledged ${REPEAT_MAX + 1} times, yet nothing changed`;
  return new Fault("retry", "internal", message, {
    advice: "Look for a controller that undoes WPS's writes",
  });
}

function obstacleFault(made: Plan): Fault {
  const [first, ...rest] = made.obstacles;
  const more = rest.length === 0 ? "" : ` (and ${rest.length} more obstacles)`;
  return new Fault("stalled", first?.reason ?? "internal", `${first?.message ?? "Cannot go on"}${more}`, {
    advice: first?.advice ?? "Run wps status",
    target: first?.target ?? "permit",
  });
}

/** A wait always names something: where the condition holds already, the next look shows it. */
function namedWait({ wait, target, why, after, id }: AwaitStep, observed: Observed): NamedWait {
  const open = after.flatMap((condition) => unmet(condition, observed));
  const trouble = troubleOf(after, observed);
  const text = [...open, trouble?.text ?? ""].filter((part) => part !== "").join("; ") || id;
  if (trouble === null) return { kind: wait, target, why, text };
  const { reason, advice, remedy } = trouble;
  const fault = new Fault("wait", reason, text, { advice, target: trouble.target });
  return { kind: wait, target, why, text, fault, remedy };
}
