/** One claimed job from its attempt to its transition. */
import type { Clock, Random } from "../core/clock.ts";
import { judge } from "../core/doubt.ts";
import type { Driver } from "../core/driver.ts";
import { type Fault, toFault } from "../core/fault.ts";
import { type Job, takesOnly, URGENT_PRIORITY_MAX } from "../core/job.ts";
import type { Observed } from "../core/observed.ts";
import type { Permit, VolumeRecord } from "../core/permit.ts";
import type { PhaseSet } from "../core/phase.ts";
import { planRollback } from "../core/plan_taking.ts";
import type { RetryLimits } from "../core/retry.ts";
import type { Site } from "../core/site.ts";
import type { Slot, Slots } from "../core/slots.ts";
import type { Log } from "../log.ts";
import type { Db, Tx } from "../store/db.ts";
import type { SiteSigner } from "../store/site_key.ts";
import { isWanted, type Wanted } from "../store/job_transitions.ts";
import { type Uncut, uncutOf } from "../store/uncut.ts";
import { runAttempt } from "./attempt.ts";
import type { Alarm } from "./breach.ts";
import type { Bell } from "./bell.ts";
import { createGuard } from "./guard.ts";
import { noteBroken } from "./invariant_look.ts";
import { planOfJob } from "./job_plan.ts";
import { type Ledger, openLedger, type Seeing } from "./ledger.ts";
import type { AttemptDeps, AttemptEnd } from "./walk.ts";
import { endedBy } from "./patience.ts";
import { isFinal, settle } from "./settle.ts";
import { sightingOf } from "./sighting.ts";
import { awaitSlot } from "./slots.ts";
import type { Vault } from "./vault.ts";

/** What work on a job needs. */
export interface WorkDeps {
  db: Db;
  driver: Driver;
  clock: Clock;
  random: Random;
  phases: PhaseSet;
  site: Site;
  bell: Bell;
  slots: Slots;
  vault: Vault;
  /** Signs certificates of deletions. */
  signer: SiteSigner;
  log: Log;
  bootEpoch: string;
  /** Of retries, and how often a wait looks again without a change, in milliseconds. */
  limits: RetryLimits & { rereadMs: number };
  /** Halts a permit in which a way out was found. */
  alarm: Alarm;
  /** Called after a permit's rows changed: read model and open streams follow. */
  changed(permitId: string): void;
  /** Called after a job that only took access away: what the permit lacks now is to be looked at. */
  taken(permitId: string): void;
}

/**
 * After a store that refused a transition, in milliseconds, unless something of the permit is recorded meanwhile: until
 * then nothing of it can be claimed, a halt included.
 */
const STORE_PAUSE_MS = 1_000;
/** Between two lines of the log about one refusal that lasts. */
const STORE_LOG_MS = 30_000;
/** So many refusals by a store that is there speak against what is to be written, not against the store. */
const REFUSALS_MAX = 3;

/** Never throws: what cannot be written is tried until it can, or left to the next boot. */
export async function work(deps: WorkDeps, job: Job, slot: Slot, signal: AbortSignal): Promise<void> {
  const log = deps.log.child({ permit: job.permitId, job: job.id, attempt: job.attempt });
  const ledger = openLedger({ ...deps, log }, job);
  const attempt = attemptDeps({ ...deps, log }, job, ledger);
  log.info("attempt begins", { kind: job.kind });
  let end = await runAttempt(attempt, job, slot, signal);
  if (isFinal(deps, job, end) && end.kind === "fault") {
    end = await takeBack({ ...deps, log }, attempt, job, end, signal);
  }
  tell(log, end);
  await settleAtLast({ ...deps, log }, job, ledger, end, signal);
  deps.changed(job.permitId);
  if (end.kind === "fault") await tellUncut({ ...deps, log }, job, end.fault);
  if (takesOnly(job)) deps.taken(job.permitId);
}

/** Loud: somebody may still get in who must not. */
async function tellUncut(
  { db, log }: WorkDeps,
  { permitId }: Job,
  { message, advice }: Fault,
): Promise<void> {
  const standing = await uncutOf(db, permitId).catch((): Uncut[] => []); // a store that fails is loud itself
  if (standing.length === 0) return;
  const keysOf = (isRunning: boolean): string[] =>
    standing.filter(({ stands }) => (stands === "running") === isRunning).map(({ key }) => key);
  log.error("access that must go could not be cut or stopped; it is tried again without end", {
    notCut: keysOf(false),
    notStopped: keysOf(true),
    error: message,
    advice,
  });
}

function attemptDeps(deps: WorkDeps, job: Job, ledger: Ledger): AttemptDeps {
  const { phases, site, clock } = deps;
  return {
    ...deps,
    ledger,
    guard: createGuard(deps),
    noteBroken: (view, observed) => noteSafely(deps, job, view, observed),
    rereadMs: deps.limits.rereadMs,
    makePlan: (looked, observed, soFar) =>
      planOfJob(job, looked, observed, soFar, { phases, site, nowMs: clock.now() }),
    sight: (permit, records, observed) => seeing(deps, permit, records, observed),
  };
}

/** What is broken is no reason to leave off cutting, and neither is a store that does not take it. */
async function noteSafely(
  deps: WorkDeps,
  { id, fence }: Job,
  { permit, records, proven }: Parameters<AttemptDeps["noteBroken"]>[0],
  observed: Observed,
): Promise<void> {
  const context = { phases: deps.phases, records, proven, isDeleted: permit.deletion !== "none" };
  const isOurs = async (tx: Tx): Promise<boolean> => await isWanted(tx, { jobId: id, fence }) !== "lost";
  try {
    await noteBroken(deps, observed, context, isOurs);
  } catch (thrown) {
    deps.log.warn("cannot record which invariants are broken", { error: toFault(thrown).message });
  }
}

function seeing(
  { phases, site, clock }: WorkDeps,
  permit: Permit,
  records: VolumeRecord[],
  observed: Observed,
): Seeing {
  const wish = judge({
    permit,
    records,
    observedVolumes: observed.volumes,
    phases,
    site,
    nowMs: clock.now(),
  });
  return (glimpse) => sightingOf(permit, wish, observed, glimpse);
}

/** The way back of a failed provisioning (DESIGN 6); what stops it is told, the failure itself stands. */
async function takeBack(
  deps: WorkDeps,
  attempt: AttemptDeps,
  job: Job,
  failed: AttemptEnd & { kind: "fault" },
  signal: AbortSignal,
): Promise<AttemptEnd> {
  const { bell, slots, log } = deps;
  const ear = bell.listen(job.permitId);
  const asked = { wanted: "go on" as Wanted }; // widened: it changes
  // Taking back is taking away: it may use the urgent lane.
  const slot = await awaitSlot(slots, URGENT_PRIORITY_MAX, ear, signal, async () => {
    asked.wanted = await attempt.ledger.wanted().catch(() => "go on");
    return asked.wanted === "go on";
  });
  ear.close();
  if (slot === null) return asked.wanted === "go on" ? { kind: "stopping" } : endedBy(asked.wanted);
  const end = await runAttempt(
    {
      ...attempt,
      makePlan: ({ permit }, observed, { uncut }) => ({
        permitId: permit.permitId,
        version: permit.version,
        steps: planRollback(observed, uncut),
        obstacles: [],
      }),
    },
    job,
    slot,
    signal,
  );
  if (end.kind === "fault") {
    log.warn("half-made compute could not be taken back", { error: end.fault.message });
  }
  return end.kind === "succeeded" || end.kind === "fault" ? failed : end;
}

function tell(log: Log, end: AttemptEnd): void {
  if (end.kind !== "fault") return log.info("attempt ended", { end: end.kind });
  const { disposition, reason, message, advice } = end.fault;
  log.warn("attempt failed", { disposition, reason, error: message, advice });
}

/**
 * Writes the transition, as often as it takes: meanwhile the row says running under our epoch, and nobody claims it. A
 * ring says that the store took something else of the permit, so it is tried at once.
 * Where the store is there and refuses what is owed, the debts are dropped rather than the transition.
 */
async function settleAtLast(
  deps: WorkDeps,
  job: Job,
  ledger: Ledger,
  end: AttemptEnd,
  signal: AbortSignal,
): Promise<void> {
  const { bell, clock, log } = deps;
  const ear = bell.listen(job.permitId);
  let refusals = 0;
  let toldAtMs = -Infinity;
  try {
    for (;;) {
      ear.hush();
      try {
        return await settle(deps, job, refusals < REFUSALS_MAX ? ledger : openLedger(deps, job), end);
      } catch (thrown) {
        const fault = toFault(thrown);
        if (fault.reason !== "unavailable") refusals++;
        if (clock.now() - toldAtMs >= STORE_LOG_MS) {
          toldAtMs = clock.now();
          log.error("cannot record how the attempt ended", { end: end.kind, error: fault.message });
        }
      }
      if (signal.aborted) return;
      await ear.wait(STORE_PAUSE_MS, signal);
    }
  } finally {
    ear.close();
  }
}
