/**
 * Claims jobs and runs their attempts, bounded: at most so many permits at once, cutting before giving. A restart
 * goes on at once with what the boot before left running (DESIGN 6).
 */
import type { Clock, Random } from "../core/clock.ts";
import { desire } from "../core/desired.ts";
import type { Driver } from "../core/driver.ts";
import { toFault } from "../core/fault.ts";
import { type Job, URGENT_PRIORITY_MAX } from "../core/job.ts";
import type { Observed } from "../core/observed.ts";
import type { Permit, VolumeRecord } from "../core/permit.ts";
import type { PhaseSet } from "../core/phase.ts";
import { plan, planRollback } from "../core/plan.ts";
import type { RetryLimits } from "../core/retry.ts";
import type { Site } from "../core/site.ts";
import type { Plan } from "../core/step.ts";
import type { Log } from "../log.ts";
import type { Db } from "../store/db.ts";
import { claimJob, nextRunAt, requeueOrphans } from "../store/jobs.ts";
import { abandonOpenSteps } from "../store/steps.ts";
import { runAttempt } from "./attempt.ts";
import { endedBy } from "./patience.ts";
import type { AttemptDeps, AttemptEnd } from "./walk.ts";
import { type Bell, CLAIM_LOOP } from "./bell.ts";
import { openLedger } from "./ledger.ts";
import { isFinal, settle } from "./settle.ts";
import { type Sighting, sightingOf } from "./sighting.ts";
import { createSlots, type Slot, type Slots } from "./slots.ts";
import type { Vault } from "./vault.ts";

/** What a runner is made of. */
export interface RunnerDeps {
  db: Db;
  driver: Driver;
  clock: Clock;
  random: Random;
  phases: PhaseSet;
  site: Site;
  bell: Bell;
  vault: Vault;
  log: Log;
  bootEpoch: string;
  limits: RunnerLimits;
  /** Called after a permit's rows may have changed: the read model follows. */
  changed(permitId: string): void;
}

/** Bounds of the runner; from the configuration. */
export interface RunnerLimits extends RetryLimits {
  parallelPermits: number;
  urgentPermits: number;
  rereadMs: number;
}

/** A running runner. */
export interface Runner {
  /** Lets attempts stop at their next boundary and waits for them. */
  stop(): Promise<void>;
  health(): RunnerHealth;
}

/** For /api/v1/health. */
export interface RunnerHealth {
  state: "running" | "failing" | "stopped";
  /** Attempts that run or wait. */
  open: number;
  /** Slots held. */
  working: number;
  /** Why claiming fails; null: it does not. */
  lastError: string | null;
}

/** Attempts open at once, waiting ones included: each holds some 20 kB of observation. */
const OPEN_MAX = 2_000;
/** The claim loop looks at least this often, in case a ring was lost. */
const CLAIM_POLL_MS = 15_000;
/** Shortest pause between two looks of the claim loop. */
const CLAIM_PAUSE_MS = 20;
/** Pause after a failing store, so that a full disk is not hammered. */
const STORE_PAUSE_MS = 1_000;

/** Starts claiming. Orphans of earlier boots are queued first, in one transaction; errors of that leave. */
export async function startRunner(deps: RunnerDeps): Promise<Runner> {
  const { db, clock, bell, log } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  const slots = createSlots(deps.limits.parallelPermits, deps.limits.urgentPermits);
  const open = new Set<Promise<void>>();
  let lastError: string | null = null;

  const orphans = await db.write(async (tx) => {
    const ids = await requeueOrphans(tx, { bootEpoch: deps.bootEpoch, nowMs: clock.now() });
    for (const id of ids) await abandonOpenSteps(tx, id, clock.now());
    return ids;
  });
  if (orphans.length > 0) log.info("jobs resumed after a restart", { jobs: orphans.length });

  async function claimAll(): Promise<void> {
    while (!signal.aborted && open.size < OPEN_MAX) {
      const slot = slots.take(true);
      if (slot === null) return;
      const priorityMax = slot.lane === "urgent" ? URGENT_PRIORITY_MAX : null;
      let job: Job | null = null;
      try {
        job = await claimJob(db, { bootEpoch: deps.bootEpoch, nowMs: clock.now(), priorityMax });
      } finally {
        if (job === null) slot.release();
      }
      if (job === null) return;
      const running = work(deps, slots, job, slot, signal);
      open.add(running);
      running.finally(() => {
        open.delete(running);
        bell.ring(CLAIM_LOOP);
      });
    }
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      try {
        await claimAll();
        lastError = null;
        const next = await nextRunAt(db);
        await bell.wait(CLAIM_LOOP, untilNextMs(next, clock.now(), slots.held() > 0), signal);
      } catch (thrown) {
        lastError = toFault(thrown).message;
        log.error("cannot claim jobs", { error: lastError });
        await clock.sleep(STORE_PAUSE_MS, signal);
      }
    }
  }

  const looping = loop();
  return {
    async stop(): Promise<void> {
      stopping.abort();
      await looping;
      await Promise.all(open);
    },
    health: () => ({
      state: signal.aborted ? "stopped" : lastError === null ? "running" : "failing",
      open: open.size,
      working: slots.held(),
      lastError,
    }),
  };
}

/** A due job that was not claimed waits for a slot, whose giving back rings. */
function untilNextMs(nextAtMs: number | null, nowMs: number, busy: boolean): number {
  if (nextAtMs === null || (nextAtMs <= nowMs && busy)) return CLAIM_POLL_MS;
  return Math.min(CLAIM_POLL_MS, Math.max(CLAIM_PAUSE_MS, nextAtMs - nowMs));
}

/** One claimed job from attempt to transition. Never throws: what cannot be written is left to the claim's next owner. */
async function work(
  deps: RunnerDeps,
  slots: Slots,
  job: Job,
  slot: Slot,
  signal: AbortSignal,
): Promise<void> {
  const log = deps.log.child({ permit: job.permitId, job: job.id, attempt: job.attempt });
  const ledger = openLedger(deps, job);
  const attempt: AttemptDeps = {
    ...deps,
    slots,
    ledger,
    rereadMs: deps.limits.rereadMs,
    makePlan: (permit, records, observed) =>
      plan({ permit, records, observed, phases: deps.phases, site: deps.site }),
    sight: (permit, records, observed) => sight(deps, permit, records, observed, job),
  };
  try {
    log.info("attempt begins", { kind: job.kind });
    let end = await runAttempt(attempt, job, slot, signal);
    if (isFinal(deps, job, end) && end.kind === "fault") {
      end = await takeBack(deps, attempt, job, end, signal);
    }
    tell(log, end);
    await settle(deps, job, ledger, end);
  } catch (thrown) {
    log.error("cannot record how the attempt ended", { error: toFault(thrown).message });
    // The row still says running under our own epoch: without this nobody would claim it before the next boot.
    await releaseLater(deps, job, signal);
  } finally {
    deps.changed(job.permitId);
  }
}

function sight(
  deps: RunnerDeps,
  permit: Permit,
  records: VolumeRecord[],
  observed: Observed,
  job: Job,
): Sighting {
  const { phases, site } = deps;
  const desired = desire({ permit, records, observedVolumes: observed.volumes, phases, site });
  return sightingOf(permit, desired, observed, { state: job.state, attempt: job.attempt });
}

/** The way back of a failed provisioning (DESIGN 6); what stops it is told, the failure itself stands. */
async function takeBack(
  deps: RunnerDeps,
  attempt: AttemptDeps,
  job: Job,
  failed: AttemptEnd & { kind: "fault" },
  signal: AbortSignal,
): Promise<AttemptEnd> {
  // A newer event's job takes over what stands; it must not wait for a way back that nobody needs.
  const wanted = await attempt.ledger.wanted();
  if (wanted !== "go on") return endedBy(wanted);
  const slot = await attempt.slots.acquire(false, signal);
  if (slot === null) return { kind: "stopping" };
  const makePlan = (permit: Permit, _records: VolumeRecord[], observed: Observed): Plan => ({
    permitId: permit.permitId,
    version: permit.version,
    steps: planRollback(observed),
    obstacles: [],
  });
  const end = await runAttempt({ ...attempt, makePlan }, job, slot, signal);
  if (end.kind === "fault") {
    deps.log.warn("half-made compute could not be taken back", {
      permit: job.permitId,
      error: end.fault.message,
    });
  }
  return end.kind === "succeeded" || end.kind === "fault" ? failed : end;
}

function tell(log: Log, end: AttemptEnd): void {
  if (end.kind !== "fault") return log.info("attempt ended", { end: end.kind });
  const { disposition, reason, message, advice } = end.fault;
  log.warn("attempt failed", { disposition, reason, error: message, advice });
}

/** Tries to put the job back until the store takes it. */
async function releaseLater(deps: RunnerDeps, job: Job, signal: AbortSignal): Promise<void> {
  const fault = toFault("the outcome of the attempt could not be recorded");
  while (!signal.aborted) {
    await deps.clock.sleep(STORE_PAUSE_MS, signal);
    try {
      return await settle(deps, job, openLedger(deps, job), { kind: "fault", fault });
    } catch (thrown) {
      deps.log.error("the store still refuses", { job: job.id, error: toFault(thrown).message });
    }
  }
}
