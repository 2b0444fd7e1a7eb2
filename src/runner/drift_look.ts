/** One look at one permit: what differs is recorded, and repaired where nobody is at work. */
import type { Clock, Random } from "../core/clock.ts";
import { judge } from "../core/doubt.ts";
import type { Driver } from "../core/driver.ts";
import { type Job, JOB_PRIORITY } from "../core/job.ts";
import type { Observed } from "../core/observed.ts";
import type { Permit, VolumeRecord } from "../core/permit.ts";
import type { PhaseSet } from "../core/phase.ts";
import { plan } from "../core/plan.ts";
import { repairPauseMs } from "../core/retry.ts";
import type { Site } from "../core/site.ts";
import type { Plan } from "../core/step.ts";
import type { Log } from "../log.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db, Tx } from "../store/db.ts";
import { provenInstances } from "../store/evidence.ts";
import { repairsInVain } from "../store/job_history.ts";
import { enqueueJob, latestJob, latestWish, openJob } from "../store/jobs.ts";
import { getPermit } from "../store/permits.ts";
import { passwordKeys } from "../store/secrets.ts";
import { listVolumes } from "../store/volumes.ts";
import { type Bell, CLAIM_LOOP } from "./bell.ts";
import { type Alarm, tellBreach } from "./breach.ts";
import { noteBroken } from "./invariant_look.ts";
import { keepSighting, sightingOf } from "./sighting.ts";

/** What a look works with. */
export interface LookDeps {
  db: Db;
  driver: Driver;
  clock: Clock;
  random: Random;
  /** In which each permit is looked at once by the pass, in milliseconds; jittered. */
  intervalMs: number;
  phases: PhaseSet;
  site: Site;
  bell: Bell;
  log: Log;
  bootEpoch: string;
  /** Halts a permit in which a way out was found. */
  alarm: Alarm;
  changed(permitId: string): void;
}

/** Whether a plan finds anything other than as it should be. */
export function differs(made: Plan): boolean {
  return made.steps.length > 0 || made.obstacles.length > 0;
}

/** Why a permit is looked at: its turn has come, its objects changed, or something foreign beside them did. */
export type Occasion = "pass" | "notice" | "foreign";

/**
 * Observes, records, and queues a repair if something differs. A notice does not try a failed job again: that is the
 * pass's, at its slow pace. While a job is open only a way out is told; that job repairs. Null: nothing was compared
 * (unknown, destroyed, a job open). Errors leave as Fault.
 */
export async function lookForDrift(
  deps: LookDeps,
  permitId: string,
  occasion: Occasion,
  signal: AbortSignal,
): Promise<Plan | null> {
  const { db, phases, site } = deps;
  const permit = await getPermit(db, permitId);
  if (permit === null || permit.deletion === "done") return null;
  const open = await openJob(db, permitId);
  if (open !== null && isLeftTo(open, permit, occasion)) return null;
  const before = await latestJob(db, permitId);
  const records = await listVolumes(db, permitId);
  const passwords = await passwordKeys(db, permitId);
  // What may end in a halt goes ahead of others' looks.
  const priority = occasion === "foreign" ? JOB_PRIORITY.stop : undefined;
  const observed = await deps.driver.observe(permitId, signal, priority);
  const proven = await provenInstances(db, permitId);
  const context = { phases, records, proven, isDeleted: permit.deletion !== "none" };
  try {
    // A job at work notes what its own looks break, and this look may be older than its last one.
    if (open?.state !== "running") {
      await noteBroken(deps, observed, context, (tx) => isAsBefore(tx, permit, before));
    }
  } finally {
    // Whatever could not be written: the halt comes first. A job beside this look may have told of it meanwhile.
    await tellBreach(deps, await getPermit(db, permitId).catch(() => null) ?? permit, observed);
  }
  // A plan made beside a job is not drift.
  if (open !== null) return null;
  const input = {
    permit,
    records,
    proven,
    observed,
    passwords,
    phases,
    site,
    nowMs: deps.clock.now(),
  };
  const made = plan(input);
  const taking = plan({ ...input, takingOnly: true });
  const jobId = await db.write(async (tx) => {
    if (!await isAsBefore(tx, permit, before)) return null;
    await keep(tx, deps, permit, records, observed, before);
    if (taking.steps.length > 0) {
      const jobId = await queueRepair(tx, deps, permit, inWords(taking), JOB_PRIORITY.stop);
      await record(tx, deps, permitId, jobId, inWords(taking));
      return jobId;
    }
    if (await isHeldBack(tx, permitId, occasion)) return null;
    if (differs(made)) return await repairUnlessVain(tx, deps, permit, inWords(made));
    // What failed and is right by now is confirmed by a job that succeeds, or it would be told as failed for ever.
    return before?.state === "failed" ? await queueRepair(tx, deps, permit, "", JOB_PRIORITY.drift) : null;
  });
  if (jobId !== null) deps.bell.ring(CLAIM_LOOP);
  deps.changed(permitId);
  return made;
}

/**
 * Whether an open job will see a way out in time by itself, or nobody needs to. A queued one does not look before its next
 * attempt or its slot, which may take minutes; one at work looks again and again, but not during a long step or while it
 * waits for a slot: beside it a look is worth its calls only where something foreign changed.
 */
function isLeftTo(open: Job, { halted }: Permit, occasion: Occasion): boolean {
  return halted || (open.state === "running" && occasion !== "foreign");
}

/** False: an event, or a job that came, or came and went, while the look was under way: it has seen more than this. */
async function isAsBefore(tx: Tx, { permitId, version }: Permit, before: Job | null): Promise<boolean> {
  const latest = await latestJob(tx, permitId);
  if (latest?.id !== before?.id || latest?.state !== before?.state) return false;
  return (await getPermit(tx, permitId))?.version === version;
}

/**
 * Objects of a permit that was proven gone: a request that was long on its way created them late, as no condition on
 * what is absent can prevent. The deletion is taken up again (invariant 7): `queued`. `open`: that permit is known, and is
 * being worked on or was not deleted. `unknown`: no event has named it.
 */
export async function destroyAgain(
  deps: LookDeps,
  permitId: string,
): Promise<"unknown" | "queued" | "open"> {
  const jobId = await deps.db.write(async (tx) => {
    const permit = await getPermit(tx, permitId);
    if (permit === null) return "unknown";
    if (permit.deletion !== "done" || await openJob(tx, permitId) !== null) return "open";
    const nowMs = deps.clock.now();
    const found = `objects of ${permitId} appeared after its deletion`;
    const job = { permitId, kind: "delete", priority: JOB_PRIORITY.delete, version: permit.version } as const;
    const { jobId } = await enqueueJob(tx, { ...job, eventSeq: null, runAtMs: nowMs, nowMs, found });
    await record(tx, deps, permitId, jobId, found);
    return jobId;
  });
  if (typeof jobId === "string") return jobId;
  deps.bell.ring(CLAIM_LOOP);
  deps.changed(permitId);
  return "queued";
}

async function keep(
  tx: Tx,
  { phases, site, clock }: LookDeps,
  permit: Permit,
  records: VolumeRecord[],
  observed: Observed,
  job: Job | null,
): Promise<void> {
  const nowMs = clock.now();
  const wish = judge({ permit, records, observedVolumes: observed.volumes, phases, site, nowMs });
  await keepSighting(tx, sightingOf(permit, wish, observed, job), nowMs);
}

/** Whether what the permit lacks is left as it is: a person cancelled it, or it failed and its time has not come. */
async function isHeldBack(tx: Tx, permitId: string, occasion: Occasion): Promise<boolean> {
  const wish = await latestWish(tx, permitId);
  return wish?.state === "cancelled" || (wish?.state === "failed" && occasion !== "pass");
}

/**
 * Queues a repair, and records what was found. A difference that is as it was when its last repair failed is on record
 * already, and is tried again after longer and longer pauses.
 */
async function repairUnlessVain(
  tx: Tx,
  deps: LookDeps,
  permit: Permit,
  found: string,
): Promise<number | null> {
  const { permitId } = permit;
  const vain = await repairsInVain(tx, permitId, found);
  if (vain.count > 0) {
    const pauseMs = repairPauseMs(vain.count, deps.intervalMs, deps.random.next());
    if (deps.clock.now() < vain.lastEndedAtMs + pauseMs) return null;
  }
  const jobId = await queueRepair(tx, deps, permit, found, JOB_PRIORITY.drift);
  if (vain.count === 0) await record(tx, deps, permitId, jobId, found);
  return jobId;
}

/** Priority of stop: it takes away and gives nothing, see `takesOnly` of core/job.ts. */
async function queueRepair(
  tx: Tx,
  { clock }: LookDeps,
  { permitId, version }: Permit,
  found: string,
  priority: number,
): Promise<number> {
  const nowMs = clock.now();
  const repair = { permitId, kind: "drift" as const, priority, version, eventSeq: null, found };
  return (await enqueueJob(tx, { ...repair, runAtMs: nowMs, nowMs })).jobId;
}

/** Longer lists are cut; the job's steps name them all. */
const FOUND_MAX = 1_000;

function inWords({ steps, obstacles }: Plan): string {
  return [...steps.map(({ id }) => id), ...obstacles.map(({ message }) => message)].join("; ").slice(
    0,
    FOUND_MAX,
  );
}

async function record(
  tx: Tx,
  { clock, bootEpoch }: LookDeps,
  permitId: string,
  jobId: number,
  found: string,
): Promise<void> {
  await appendAudit(tx, [{
    atMs: clock.now(),
    permitId,
    eventSeq: null,
    jobId,
    actor: { kind: "service", id: bootEpoch },
    action: "drift.found",
    target: permitId,
    outcome: "intended",
    reason: found,
    requestId: null,
  }]);
}
