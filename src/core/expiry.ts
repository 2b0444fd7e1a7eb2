/**
 * The end of a permit's time: a hard deadline that needs no event and no broker. What an expired permit should be is a
 * function of the permit and the time, like a halt: cut and stopped, volumes kept. Once an expiry is on record a clock that
 * goes back opens nothing: only an event with another date, or none, lifts it.
 */
import type { Permit } from "./permit.ts";

/** What of a permit its expiry depends on. */
export type Expiring = Pick<Permit, "expiresAt" | "expired">;

const DAY_MS = 86_400_000;

/** When the permit's time ends, in epoch milliseconds; null: no end. What is no instant ended long ago (fail closed). */
export function expiryMs({ expiresAt }: Pick<Permit, "expiresAt">): number | null {
  if (expiresAt === null) return null;
  const ms = Date.parse(expiresAt);
  return Number.isNaN(ms) ? 0 : ms;
}

/** Whether the permit's time is over: on record, or by the clock at `nowMs` (epoch milliseconds). */
export function isExpired(permit: Expiring, nowMs: number): boolean {
  const atMs = expiryMs(permit);
  return atMs !== null && (permit.expired || atMs <= nowMs);
}

/** What is to be done about a permit's date now. */
export interface ExpiryStep {
  /** Its time is over, which is not on record yet. */
  expires: boolean;
  /** The warnings, in days before the end, whose time has come: the nearest to the end first; none once it expired. */
  warnings: number[];
  /** When to look again, in epoch milliseconds; null: nothing will be due. */
  nextAtMs: number | null;
}

/**
 * The step for a permit at `nowMs`. `warnDays` from the configuration, in any order; whether one was sent for this date
 * already is for the caller to know. A deleted permit needs none, and one whose expiry is on record no further one.
 */
export function expiryStep(
  permit: Expiring & Pick<Permit, "deletion">,
  warnDays: readonly number[],
  nowMs: number,
): ExpiryStep {
  const endMs = expiryMs(permit);
  if (endMs === null || permit.expired || permit.deletion !== "none") {
    return { expires: false, warnings: [], nextAtMs: null };
  }
  if (endMs <= nowMs) return { expires: true, warnings: [], nextAtMs: null };
  const days = [...new Set(warnDays)].sort((a, b) => a - b);
  const times = days.map((count) => endMs - count * DAY_MS);
  return {
    expires: false,
    warnings: days.filter((_, index) => (times[index] ?? endMs) <= nowMs),
    nextAtMs: Math.min(endMs, ...times.filter((atMs) => atMs > nowMs)),
  };
}
