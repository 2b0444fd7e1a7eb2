/** One look at one permit: what differs is recorded, and repaired where nobody is at work. */
import type { Clock } from "../core/clock.ts";
import { desire } from "../core/desired.ts";
import type { Driver } from "../core/driver.ts";
import { type Job, JOB_PRIORITY } from "../core/job.ts";
import type { Observed } from "../core/observed.ts";
import type { Permit, VolumeRecord } from "../core/permit.ts";
import type { PhaseSet } from "../core/phase.ts";
import { plan } from "../core/plan.ts";
import type { Site } from "../core/site.ts";
import type { Plan } from "../core/step.ts";
import type { Log } from "../log.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db, Tx } from "../store/db.ts";
import { enqueueJob, latestJob, latestWish, openJob } from "../store/jobs.ts";
import { getPermit } from "../store/permits.ts";
import { listVolumes } from "../store/volumes.ts";
import { type Bell, CLAIM_LOOP } from "./bell.ts";
import { keepSighting, sightingOf } from "./sighting.ts";

/** What a look works with. */
export interface LookDeps {
  db: Db;
  driver: Driver;
  clock: Clock;
  phases: PhaseSet;
  site: Site;
  bell: Bell;
  log: Log;
  bootEpoch: string;
  changed(permitId: string): void;
}

/** Whether a plan finds anything other than as it should be. */
export function differs(made: Plan): boolean {
  return made.steps.length > 0 || made.obstacles.length > 0;
}

/**
 * Observes, records, and queues a repair if something differs. A `notice` does not try a failed job again: that is
 * the pass's, at its slow pace. Null: nothing to look at (unknown, destroyed, a job at work). Errors leave as Fault.
 */
export async function lookForDrift(
  deps: LookDeps,
  permitId: string,
  occasion: "pass" | "notice",
  signal: AbortSignal,
): Promise<Plan | null> {
  const { db, phases, site } = deps;
  const permit = await getPermit(db, permitId);
  // A job at work records what it sees itself, and a plan made beside it is not drift.
  if (permit === null || permit.deletion === "done" || await openJob(db, permitId) !== null) return null;
  const before = await latestJob(db, permitId);
  const records = await listVolumes(db, permitId);
  const observed = await deps.driver.observe(permitId, signal);
  const made = plan({ permit, records, observed, phases, site });
  const taking = plan({ permit, records, observed, phases, site, takingOnly: true });
  const jobId = await db.write(async (tx) => {
    const latest = await latestJob(tx, permitId);
    // A job came, or came and went, while this look was under way: it has seen more than this.
    if (latest?.id !== before?.id || latest?.state !== before?.state) return null;
    if ((await getPermit(tx, permitId))?.version !== permit.version) return null;
    await keep(tx, deps, permit, records, observed, latest);
    if (taking.steps.length > 0) return await repair(tx, deps, permit, taking, JOB_PRIORITY.stop);
    if (!differs(made) || await isHeldBack(tx, permitId, occasion)) return null;
    return await repair(tx, deps, permit, made, JOB_PRIORITY.drift);
  });
  if (jobId !== null) deps.bell.ring(CLAIM_LOOP);
  deps.changed(permitId);
  return made;
}

async function keep(
  tx: Tx,
  { phases, site, clock }: LookDeps,
  permit: Permit,
  records: VolumeRecord[],
  observed: Observed,
  job: Job | null,
): Promise<void> {
  const desired = desire({ permit, records, observedVolumes: observed.volumes, phases, site });
  await keepSighting(tx, sightingOf(permit, desired, observed, job), clock.now());
}

/** Whether what the permit lacks is left as it is: a person cancelled it, or it failed and its time has not come. */
async function isHeldBack(tx: Tx, permitId: string, occasion: "pass" | "notice"): Promise<boolean> {
  const wish = await latestWish(tx, permitId);
  return wish?.state === "cancelled" || (wish?.state === "failed" && occasion === "notice");
}

/** Priority of stop: it takes away and gives nothing, see `takesOnly` of core/job.ts. */
async function repair(
  tx: Tx,
  { clock, bootEpoch }: LookDeps,
  { permitId, version }: Permit,
  found: Plan,
  priority: number,
): Promise<number> {
  const nowMs = clock.now();
  const { jobId } = await enqueueJob(tx, {
    permitId,
    kind: "drift",
    priority,
    version,
    eventSeq: null,
    runAtMs: nowMs,
    nowMs,
  });
  const differences = [...found.steps.map(({ id }) => id), ...found.obstacles.map(({ message }) => message)];
  await appendAudit(tx, [{
    atMs: nowMs,
    permitId,
    eventSeq: null,
    jobId,
    actor: { kind: "service", id: bootEpoch },
    action: "drift.found",
    target: permitId,
    outcome: "intended",
    reason: differences.join("; ").slice(0, DIFFERENCES_MAX),
    requestId: null,
  }]);
  return jobId;
}

/** Longer lists are cut in the audit row; the job's steps name them all. */
const DIFFERENCES_MAX = 1_000;
