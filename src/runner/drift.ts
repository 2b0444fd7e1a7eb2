/**
 * The drift pass: compares observed with desired for every permit without an open job, records what differs and
 * queues a repair behind all users' jobs (DESIGN 6). Also how a failed job is tried again, at a slow pace.
 */
import type { Clock, Random } from "../core/clock.ts";
import { desire } from "../core/desired.ts";
import type { Driver } from "../core/driver.ts";
import { toFault } from "../core/fault.ts";
import { JOB_PRIORITY } from "../core/job.ts";
import type { Permit } from "../core/permit.ts";
import type { PhaseSet } from "../core/phase.ts";
import { plan } from "../core/plan.ts";
import { nextDriftMs } from "../core/retry.ts";
import type { Site } from "../core/site.ts";
import type { Plan } from "../core/step.ts";
import type { Log } from "../log.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db } from "../store/db.ts";
import { enqueueJob, latestJob, openJob } from "../store/jobs.ts";
import { getPermit, listPermits } from "../store/permits.ts";
import { listVolumes, upsertVolume } from "../store/volumes.ts";
import { appendOutbox } from "../store/outbox.ts";
import { saveWorkspaces, workspacesOf } from "../store/workspaces.ts";
import { type Bell, CLAIM_LOOP } from "./bell.ts";
import { sightingOf } from "./sighting.ts";

/** What the pass works with. */
export interface DriftDeps {
  db: Db;
  driver: Driver;
  clock: Clock;
  random: Random;
  phases: PhaseSet;
  site: Site;
  bell: Bell;
  log: Log;
  bootEpoch: string;
  /** From pass to pass, in milliseconds; jittered. */
  intervalMs: number;
  changed(permitId: string): void;
}

/** What a look at one permit found. */
export interface DriftFinding {
  permitId: string;
  plan: Plan;
  /** The repair's job; null: nothing differs, or a job of the permit is at work anyway. */
  jobId: number | null;
}

/** The periodic pass. */
export interface Drift {
  stop(): Promise<void>;
  /** One look now; null: there is no such permit. Errors leave as Fault. */
  look(permitId: string): Promise<DriftFinding | null>;
  health(): { lastPassAtMs: number | null; differing: number; orphans: string[] };
}

/** Permits read at a time. */
const PAGE = 100;
/** Names of orphans kept for health; the log has them all. */
const ORPHANS_MAX = 50;

/** Starts the pass; the first one begins after one interval, because a start resumes open jobs first. */
export function startDrift(deps: DriftDeps): Drift {
  const stopping = new AbortController();
  const { signal } = stopping;
  const found = { lastPassAtMs: null as number | null, differing: 0, orphans: [] as string[] };

  async function pass(): Promise<void> {
    const permits = await knownPermits(deps.db);
    const pauseMs = nextDriftMs(deps.intervalMs, deps.random.next()) / Math.max(1, permits.length);
    let differing = 0;
    for (const { permitId, deletion } of permits) {
      if (signal.aborted) return;
      if (deletion === "done") continue;
      try {
        const finding = await lookAt(deps, permitId, signal);
        if (finding !== null && differs(finding.plan)) differing++;
      } catch (thrown) {
        deps.log.warn("cannot look for drift", { permit: permitId, error: toFault(thrown).message });
      }
      await deps.clock.sleep(pauseMs, signal);
    }
    const known = new Set(
      permits.filter(({ deletion }) => deletion !== "done").map(({ permitId }) => permitId),
    );
    const orphans = (await deps.driver.list(signal)).filter((permitId) => !known.has(permitId));
    for (const permit of orphans) deps.log.warn("objects of a permit that WPS does not know", { permit });
    Object.assign(found, {
      lastPassAtMs: deps.clock.now(),
      differing,
      orphans: orphans.slice(0, ORPHANS_MAX),
    });
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      await deps.clock.sleep(nextDriftMs(deps.intervalMs, deps.random.next()), signal);
      if (signal.aborted) return;
      await pass().catch((thrown) =>
        deps.log.warn("drift pass broken off", { error: toFault(thrown).message })
      );
    }
  }

  const looping = loop();
  return {
    async stop(): Promise<void> {
      stopping.abort();
      await looping;
    },
    look: (permitId) => lookAt(deps, permitId, signal),
    health: () => found,
  };
}

function differs(made: Plan): boolean {
  return made.steps.length > 0 || made.obstacles.length > 0;
}

async function knownPermits(db: Db): Promise<Permit[]> {
  const permits: Permit[] = [];
  for (let cursor: string | null = null;;) {
    const page: { items: Permit[]; next: string | null } = await listPermits(db, {}, { cursor, limit: PAGE });
    permits.push(...page.items);
    if (page.next === null) return permits;
    cursor = page.next;
  }
}

/** Observes, records, and queues a repair if something differs and nobody is at work. */
async function lookAt(deps: DriftDeps, permitId: string, signal: AbortSignal): Promise<DriftFinding | null> {
  const { db, phases, site, clock } = deps;
  const permit = await getPermit(db, permitId);
  if (permit === null) return null;
  const records = await listVolumes(db, permitId);
  const observed = await deps.driver.observe(permitId, signal);
  const made = plan({ permit, records, observed, phases, site });
  const jobId = await db.write(async (tx) => {
    const open = await openJob(tx, permitId);
    // A job at work records what it sees itself, and a plan made beside it is not drift.
    if (open !== null) return null;
    const desired = desire({ permit, records, observedVolumes: observed.volumes, phases, site });
    const sighting = sightingOf(permit, desired, observed, await latestJob(tx, permitId));
    const before = await workspacesOf(tx, permitId);
    await saveWorkspaces(tx, permitId, sighting.rows);
    await appendOutbox(tx, sighting.news(before), clock.now());
    for (const volume of sighting.volumes) await upsertVolume(tx, permitId, volume, clock.now());
    if (!differs(made)) return null;
    const nowMs = clock.now();
    const { jobId } = await enqueueJob(tx, {
      permitId,
      kind: "drift",
      priority: JOB_PRIORITY.drift,
      version: permit.version,
      eventSeq: null,
      runAtMs: nowMs,
      nowMs,
    });
    const differences = [...made.steps.map(({ id }) => id), ...made.obstacles.map(({ message }) => message)];
    await appendAudit(tx, [{
      atMs: nowMs,
      permitId,
      eventSeq: null,
      jobId,
      actor: { kind: "service", id: deps.bootEpoch },
      action: "drift.found",
      target: permitId,
      outcome: "intended",
      reason: differences.join("; ").slice(0, 1_000),
      requestId: null,
    }]);
    return jobId;
  });
  if (jobId !== null) deps.bell.ring(CLAIM_LOOP);
  deps.changed(permitId);
  return { permitId, plan: made, jobId };
}
