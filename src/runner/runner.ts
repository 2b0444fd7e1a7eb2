/**
 * Claims jobs and runs their attempts, bounded: at most so many permits at once, cutting before giving. A restart
 * goes on at once with what the boot before left running (DESIGN 6).
 */
import { toFault } from "../core/fault.ts";
import { type Job, URGENT_PRIORITY_MAX } from "../core/job.ts";
import { createSlots } from "../core/slots.ts";
import { claimJob, mostUrgentDue, nextRunAt, requeueOrphans, requeueStrays } from "../store/job_claims.ts";
import { abandonOpenSteps } from "../store/steps.ts";
import { CLAIM_LOOP, type Ear } from "./bell.ts";
import { awaitSlot } from "./slots.ts";
import { work, type WorkDeps } from "./work.ts";

/** What a runner is made of. */
export interface RunnerDeps extends Omit<WorkDeps, "slots" | "limits"> {
  limits: RunnerLimits;
}

/** Bounds of the runner; from the configuration. */
export type RunnerLimits = WorkDeps["limits"] & {
  parallelPermits: number;
  urgentPermits: number;
};

/** A running runner. */
export interface Runner {
  /** Lets attempts stop at their next boundary and waits for them. Safe to repeat. */
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

/**
 * Attempts open at once, waiting ones included: each holds some 20 kB of observation. What takes access away is
 * claimed beyond that, too.
 */
const OPEN_MAX = 2_000;
/** The claim loop looks at least this often, in case a ring was lost. */
const CLAIM_POLL_MS = 15_000;
/** Shortest pause between two looks of the claim loop. */
const CLAIM_PAUSE_MS = 20;
/** Pause after a failing store, so that a full disk is not hammered. */
const STORE_PAUSE_MS = 1_000;

/** Starts claiming. Orphans of earlier boots are queued first, in one transaction; errors of that leave. */
export async function startRunner(deps: RunnerDeps): Promise<Runner> {
  const { db, clock, bell, log, bootEpoch } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  const slots = createSlots(deps.limits.parallelPermits, deps.limits.urgentPermits);
  const open = new Map<number, Promise<void>>();
  let lastError: string | null = null;
  /** A claim may have been committed although its answer was an error. */
  let isInDoubt = false;

  await resume(deps);

  const due = (): Promise<number | null> =>
    mostUrgentDue(db, {
      nowMs: clock.now(),
      priorityMax: open.size < OPEN_MAX ? null : URGENT_PRIORITY_MAX,
    });

  async function settleDoubt(): Promise<void> {
    const working = [...open.keys()];
    const strays = await db.write((tx) => requeueStrays(tx, { bootEpoch, nowMs: clock.now(), working }));
    if (strays.length > 0) log.warn("claims whose answer was lost are given back", { jobs: strays });
    isInDoubt = false;
  }

  /** Claims one job, or waits until there may be one. */
  async function claimNext(ear: Ear): Promise<void> {
    if (isInDoubt) await settleDoubt();
    const priority = await due();
    if (priority === null) return await ear.wait(untilNextMs(await nextRunAt(db), clock.now()), signal);
    const slot = await awaitSlot(slots, priority, ear, signal, async () => await due() === priority);
    if (slot === null) return;
    let job: Job | null = null;
    try {
      const priorityMax = slot.lane === "urgent" ? URGENT_PRIORITY_MAX : null;
      isInDoubt = true;
      job = await claimJob(db, { bootEpoch, nowMs: clock.now(), priorityMax });
      isInDoubt = false;
    } finally {
      if (job === null) slot.release();
    }
    if (job === null) return;
    deps.changed(job.permitId);
    const { id } = job;
    const running: Promise<void> = work({ ...deps, slots }, job, slot, signal).finally(() => {
      if (open.get(id) === running) open.delete(id);
      bell.ring(CLAIM_LOOP);
    });
    open.set(id, running);
  }

  async function loop(): Promise<void> {
    const ear = bell.listen(CLAIM_LOOP);
    while (!signal.aborted) {
      try {
        await claimNext(ear);
        lastError = null;
      } catch (thrown) {
        lastError = toFault(thrown).message;
        log.error("cannot claim jobs", { error: lastError });
        await clock.sleep(STORE_PAUSE_MS, signal);
      }
    }
    ear.close();
  }

  const looping = loop();
  return {
    async stop(): Promise<void> {
      stopping.abort();
      await looping;
      await Promise.all(open.values());
    },
    health: () => ({
      state: signal.aborted ? "stopped" : lastError === null ? "running" : "failing",
      open: open.size,
      working: slots.held(),
      lastError,
    }),
  };
}

/** Queues what earlier boots left running. */
async function resume({ db, clock, bootEpoch, log }: RunnerDeps): Promise<void> {
  const orphans = await db.write(async (tx) => {
    const ids = await requeueOrphans(tx, { bootEpoch, nowMs: clock.now() });
    for (const id of ids) await abandonOpenSteps(tx, id, clock.now());
    return ids;
  });
  if (orphans.length > 0) log.info("jobs resumed after a restart", { jobs: orphans.length });
}

/** Nothing is claimable now; what is due all the same is held back by {@link OPEN_MAX}, and an attempt's end rings. */
function untilNextMs(nextAtMs: number | null, nowMs: number): number {
  if (nextAtMs === null || nextAtMs <= nowMs) return CLAIM_POLL_MS;
  return Math.min(CLAIM_POLL_MS, Math.max(CLAIM_PAUSE_MS, nextAtMs - nowMs));
}
