/** How jobs run: how many at once, how long they wait, how often they try again. */
import { z } from "zod";
import type { RetryLimits } from "../../core/retry.ts";
import type { WaitLimits } from "../../core/site.ts";
import { count, duration, section } from "../fields.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `runner:`; holds what the runner's own `RunnerLimits` asks for. */
export interface RunnerSettings extends RetryLimits {
  /** Permits worked on at once. */
  parallelPermits: number;
  /** Further permits at once for jobs that only take access away: halt, delete, stop. */
  urgentPermits: number;
  /** A wait looks again at least this often, in case the platform's watch missed something. */
  rereadMs: number;
  drift: { intervalMs: number };
  /** How often a probe shows again that a running workspace with data is isolated. */
  probe: { intervalMs: number };
  /** How long ended jobs, and events and proofs of isolation are kept; audit rows stay for ever. */
  keep: { jobsMs: number; eventsMs: number };
  waits: WaitLimits;
}

/** A wait is at least a second, so that a mistyped unit does not fail every job, and at most a year. */
function wait(fallback: string): z.ZodPrefault<ReturnType<typeof duration>> {
  return duration(SECOND_MS, 365 * DAY_MS).prefault(fallback);
}

/** At least a day, so that a mistyped unit does not lose what somebody is about to look at, and at most ten years. */
function keeping(fallback: string): z.ZodPrefault<ReturnType<typeof duration>> {
  return duration(DAY_MS, 3_650 * DAY_MS).prefault(fallback);
}

/**
 * A look at a permit is at most 13 reads at once: so many permits stay below the 400 that an API server has in flight
 * by default (kube-apiserver --max-requests-inflight). With 8, half of 20 new permits queued behind looks at the others.
 */
const PARALLEL_PERMITS = 24;

/** `permits:`; what concerns permits rather than the machinery that serves them. */
export interface PermitsSettings {
  /** How many days before a permit's date `permit.expiring` is told; each once for a date. */
  expiry: { warnDays: number[] };
}

/** Warnings beyond some are noise, and none is long before a permit's whole life. */
const WARNINGS_MAX = 10, WARN_DAYS_MAX = 3_650;

/** `permits:`. */
export const permitsSection: z.ZodType<PermitsSettings> = section({
  expiry: section({
    warnDays: z.array(count(1, WARN_DAYS_MAX), { error: "expected a list of days such as [30, 7, 1]" })
      .max(WARNINGS_MAX, { error: `expected at most ${WARNINGS_MAX} numbers of days` }).default([30, 7, 1]),
  }).prefault({}),
}).prefault({});

/** `runner:`. */
export const runnerSection: z.ZodType<RunnerSettings> = section({
  parallelPermits: count(1, 256).default(PARALLEL_PERMITS),
  urgentPermits: count(1, 256).default(4),
  attempts: count(1, 100).default(8),
  reread: duration(100, 10 * MINUTE_MS).prefault("5s"),
  drift: section({
    interval: duration(SECOND_MS, 7 * DAY_MS).prefault("10m"),
  }).prefault({}),
  probe: section({
    interval: duration(MINUTE_MS, 7 * DAY_MS).prefault("15m"),
  }).prefault({}),
  keep: section({
    jobs: keeping("90d"),
    events: keeping("400d"),
  }).prefault({}),
  waits: section({
    cut: wait("2m"),
    gone: wait("10m"),
    ready: wait("10m"),
    canaries: wait("5m"),
    consolidated: wait("24h"),
    volume: wait("10m"),
    members: wait("30d"),
  }).prefault({}),
  backoff: section({
    first: duration(10, HOUR_MS).prefault("2s"),
    max: duration(10, DAY_MS).prefault("5m"),
  }).prefault({}).refine(({ first, max }) => first <= max, {
    path: ["max"],
    error: "expected a duration not shorter than first",
  }),
}).prefault({}).transform((given): RunnerSettings => ({
  parallelPermits: given.parallelPermits,
  urgentPermits: given.urgentPermits,
  attemptMax: given.attempts,
  rereadMs: given.reread,
  backoffMs: given.backoff.first,
  backoffMaxMs: given.backoff.max,
  drift: { intervalMs: given.drift.interval },
  probe: { intervalMs: given.probe.interval },
  keep: { jobsMs: given.keep.jobs, eventsMs: given.keep.events },
  waits: {
    cutMs: given.waits.cut,
    goneMs: given.waits.gone,
    readyMs: given.waits.ready,
    canariesMs: given.waits.canaries,
    consolidatedMs: given.waits.consolidated,
    volumeMs: given.waits.volume,
    membersMs: given.waits.members,
  },
}));
