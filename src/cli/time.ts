/** Instants and durations as people read them. */

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** "40 ms", "0.4 s", "12 s", "3 min 5 s", "2 h 10 min", "4 d 3 h". */
export function duration(ms: number): string {
  const span = Math.max(0, ms);
  if (span < 100) return `${Math.round(span)} ms`;
  if (span < 9.95 * SECOND_MS) return `${(span / SECOND_MS).toFixed(1)} s`;
  const rounded = Math.round(span / SECOND_MS) * SECOND_MS;
  if (rounded < MINUTE_MS) return `${rounded / SECOND_MS} s`;
  if (rounded < HOUR_MS) return two(rounded, MINUTE_MS, "min", SECOND_MS, "s");
  if (rounded < DAY_MS) return two(rounded, HOUR_MS, "h", MINUTE_MS, "min");
  return two(rounded, DAY_MS, "d", HOUR_MS, "h");
}

function two(ms: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor(ms % large / small);
  return `${Math.floor(ms / large)} ${largeName}${rest === 0 ? "" : ` ${rest} ${smallName}`}`;
}

/** "12 s ago"; an instant that lies ahead (clocks differ): "just now". */
export function ago(instant: string, nowMs: number): string {
  const span = nowMs - Date.parse(instant);
  return span < SECOND_MS ? "just now" : `${duration(span)} ago`;
}

/** "in 12 s"; an instant that has passed: "now". */
export function until(instant: string, nowMs: number): string {
  const span = Date.parse(instant) - nowMs;
  return span <= 0 ? "now" : `in ${duration(span)}`;
}

/** "2026-11-22 10:00:00Z": UTC, whole seconds, because logs of several machines are read together. */
export function instantText(instant: string): string {
  const ms = Date.parse(instant);
  return Number.isNaN(ms) ? instant : new Date(ms).toISOString().replace("T", " ").replace(/\.\d+Z$/, "Z");
}
