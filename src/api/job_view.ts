/** Jobs and steps as callers see them. */
import { toInstant } from "../core/clock.ts";
import type { Job, StepRecord } from "../core/job.ts";
import { progressOf } from "../core/progress.ts";
import type { Reader } from "../store/db.ts";
import { durationsOfJobsLike } from "../store/job_history.ts";
import type { ApiDeps } from "./deps.ts";
import type { JobView, StepView } from "./schemas/jobs.ts";

/** A job ends with a look that finds nothing to do, and what it finds may be more steps: 100 % is for the end. */
const OPEN_MAX = 99;

/** Whether a job has not ended. */
export function isOpen(job: Job): boolean {
  return job.state === "queued" || job.state === "running";
}

/** The median of earlier jobs like this one, in milliseconds; null: no history, or the job has ended. */
export async function usualDurationMs(reader: Reader, job: Job): Promise<number | null> {
  if (!isOpen(job)) return null;
  const sorted = (await durationsOfJobsLike(reader, job.kind, job.stepsTotal)).toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? null;
}

/** One job as it is now; of a stopped service what it left, with no guess at when that ends. */
export async function presentJob(
  { db, clock, wake }: Pick<ApiDeps, "db" | "clock" | "wake">,
  job: Job,
): Promise<JobView> {
  const isLive = wake !== null;
  const view = jobView(job, isLive ? await usualDurationMs(db, job) : null, clock.now());
  return { ...view, suspended: !isLive && isOpen(job) };
}

/** One job; `usualMs` as {@link usualDurationMs} gives it. */
export function jobView(job: Job, usualMs: number | null, nowMs: number): JobView {
  const { done, total, percent } = progressOf({ done: job.stepsDone, total: job.stepsTotal });
  const elapsedMs = job.startedAtMs === null ? 0 : nowMs - job.startedAtMs;
  const isLate = usualMs === null || elapsedMs > usualMs;
  return {
    id: job.id,
    permitId: job.permitId,
    kind: job.kind,
    state: job.state,
    suspended: false,
    version: job.version,
    eventSeq: job.eventSeq,
    attempt: job.attempt,
    createdAt: toInstant(job.createdAtMs),
    runAt: toInstant(job.runAtMs),
    startedAt: instantOrNull(job.startedAtMs),
    endedAt: instantOrNull(job.endedAtMs),
    waitingFor: job.waitingFor,
    waitingSince: instantOrNull(job.waitingSinceMs),
    cancelRequested: job.cancelRequested && job.state === "running",
    reason: job.reason,
    message: job.message,
    advice: job.advice,
    progress: {
      done,
      total,
      // Nothing planned yet is no progress, except for a job that found nothing to do.
      percent: total === 0 && job.state !== "succeeded"
        ? 0
        : isOpen(job)
        ? Math.min(percent, OPEN_MAX)
        : percent,
      estimateMs: isLate || !isOpen(job) ? null : usualMs - elapsedMs,
    },
  };
}

/** One step. */
export function stepView(step: StepRecord): StepView {
  return {
    id: step.id,
    attempt: step.attempt,
    kind: step.kind,
    target: step.target,
    why: step.why,
    wave: step.wave,
    startedAt: toInstant(step.startedAtMs),
    endedAt: instantOrNull(step.endedAtMs),
    outcome: step.outcome,
    detail: step.detail,
  };
}

function instantOrNull(epochMs: number | null): string | null {
  return epochMs === null ? null : toInstant(epochMs);
}
