/** What follows a fault: decided here, written by the runner (DESIGN 6). */
import type { Fault } from "./fault.ts";
import { type Job, takesOnly } from "./job.ts";

/** How failed attempts are spaced and how many there are. */
export interface RetryLimits {
  /** Attempts of a job; what only takes away is tried without end. */
  attemptMax: number;
  /** Delay after the first failed attempt, in milliseconds; doubles with each. */
  backoffMs: number;
  /** Upper bound of the delay, in milliseconds. */
  backoffMaxMs: number;
}

/** The transition that a fault asks for. */
export type AfterFault =
  | { next: "retry"; runAtMs: number }
  | { next: "fail" }
  | { next: "cancel" };

/** Longest Retry-After that is obeyed, in milliseconds: a confused server must not park a permit for days. */
const RETRY_AFTER_MAX_MS = 3_600_000;
/**
 * Longest pause of what takes access away, in milliseconds, whatever a server asks for and however long it has failed:
 * somebody may still get in meanwhile. Each try is one look, urgent ones are bounded in number (`runner.urgentPermits`).
 */
export const TAKING_PAUSE_MAX_MS = 5_000;

/**
 * Delay before the attempt after `attempt` (from 1): doubling, half fixed and half jitter, bounded, and not
 * shorter than a server's Retry-After of up to an hour. `chance` is in [0, 1).
 */
export function backoffMs(
  attempt: number,
  limits: Omit<RetryLimits, "attemptMax">,
  chance: number,
  retryAfterMs: number | null,
): number {
  const doubled = Math.min(limits.backoffMaxMs, limits.backoffMs * 2 ** Math.min(attempt - 1, 30));
  return Math.max(
    Math.min(retryAfterMs ?? 0, RETRY_AFTER_MAX_MS),
    Math.round(doubled / 2 + chance * doubled / 2),
  );
}

/** Whether a job is tried without end: a halt, a deletion, and what drift must cut. A stop may have to give as well. */
export function isEndless(job: Pick<Job, "kind" | "priority">): boolean {
  return job.kind === "halt" || job.kind === "delete" || takesOnly(job);
}

/** How much of a server's Retry-After such a job obeys, in milliseconds; null: the server asks for nothing. */
export function obeyedMs(job: Pick<Job, "kind" | "priority">, retryAfterMs: number | null): number {
  return Math.min(retryAfterMs ?? 0, isEndless(job) ? TAKING_PAUSE_MAX_MS : RETRY_AFTER_MAX_MS);
}

/**
 * Retry with backoff, fail for good, or cancel. Halt, deletion and what drift must cut never give up, whatever the
 * fault, and are tried again within seconds unless a person must act first; a stop may have to give as well (an airlock
 * with fewer addresses starts anew), so it fails like any other and drift tries again.
 */
export function afterFault(
  job: Job,
  fault: Fault,
  nowMs: number,
  limits: RetryLimits,
  chance: number,
): AfterFault {
  if (fault.disposition === "cancelled") return { next: "cancel" };
  const takesAway = isEndless(job);
  // An API server that has just started answers 403 until it has read its roles: a refusal is only believed in the end.
  const isCertain = fault.disposition === "stalled" && fault.reason !== "denied";
  if (isCertain && !takesAway) return { next: "fail" };
  if (!takesAway && job.attempt >= limits.attemptMax) return { next: "fail" };
  const isHurried = takesAway && !isCertain;
  const backoffMaxMs = isHurried ? Math.min(limits.backoffMaxMs, TAKING_PAUSE_MAX_MS) : limits.backoffMaxMs;
  const retryAfterMs = obeyedMs(job, fault.retryAfterMs);
  const pauseMs = backoffMs(job.attempt, { ...limits, backoffMaxMs }, chance, retryAfterMs);
  return { next: "retry", runAtMs: nowMs + pauseMs };
}

/** A difference that cannot be repaired is tried at least this often: a day, so that no operator has to know of it. */
const REPAIR_MAX_MS = 86_400_000;

/**
 * How long after the last failed repair of an unchanged difference the next is queued, in milliseconds: one to two
 * intervals of the drift pass after the first, doubling, up to a day. `chance` is in [0, 1).
 */
export function repairPauseMs(failures: number, intervalMs: number, chance: number): number {
  const limits = { backoffMs: 2 * intervalMs, backoffMaxMs: Math.max(intervalMs, REPAIR_MAX_MS) };
  return backoffMs(failures, limits, chance, null);
}

/** An interval of periodic work, shifted by up to a tenth either way so that services do not line up. `chance` is in [0, 1). */
export function jitteredMs(intervalMs: number, chance: number): number {
  return Math.round(intervalMs * (0.9 + 0.2 * chance));
}
