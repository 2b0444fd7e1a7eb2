/** How jobs run: how many at once, how long they wait, how often they try again. */
import type { z } from "zod";
import type { WaitLimits } from "../../core/site.ts";
import { count, duration, section } from "../fields.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `runner:`. */
export interface RunnerSettings {
  /** Permits worked on at once. */
  parallelPermits: number;
  /** Further permits at once for jobs that only take access away: halt, delete, stop. */
  urgentPermits: number;
  /** Attempts of a job before it counts as failed; the drift pass still tries again. */
  attempts: number;
  drift: { intervalMs: number; parallelPermits: number };
  waits: WaitLimits;
  backoff: { firstMs: number; maxMs: number };
}

/** A wait is at least a second, so that a mistyped unit does not fail every job, and at most a year. */
function wait(fallback: string): z.ZodPrefault<ReturnType<typeof duration>> {
  return duration(SECOND_MS, 365 * DAY_MS).prefault(fallback);
}

/** `runner:`. */
export const runnerSection: z.ZodType<RunnerSettings> = section({
  parallelPermits: count(1, 256).default(8),
  urgentPermits: count(1, 256).default(4),
  attempts: count(1, 100).default(8),
  drift: section({
    interval: duration(SECOND_MS, 7 * DAY_MS).prefault("10m"),
    parallelPermits: count(1, 64).default(2),
  }).prefault({}),
  waits: section({
    cut: wait("2m"),
    gone: wait("10m"),
    ready: wait("10m"),
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
}).prefault({}).transform(({ drift, waits, backoff, ...rest }): RunnerSettings => ({
  ...rest,
  drift: { intervalMs: drift.interval, parallelPermits: drift.parallelPermits },
  waits: {
    cutMs: waits.cut,
    goneMs: waits.gone,
    readyMs: waits.ready,
    consolidatedMs: waits.consolidated,
    volumeMs: waits.volume,
    membersMs: waits.members,
  },
  backoff: { firstMs: backoff.first, maxMs: backoff.max },
}));
