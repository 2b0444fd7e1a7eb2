/** How long earlier jobs took, for the estimate of one that runs (DESIGN 6). */
import { z } from "zod";
import type { JobKind } from "../core/job.ts";
import type { Reader } from "./db.ts";

/** So many of the newest jobs of a kind are looked at … */
const RECENT_MAX = 200;
/** … and so many of them, those nearest in size, are the sample. */
const SAMPLE_MAX = 20;

const row = z.object({ durationMs: z.number() });

/**
 * Durations in milliseconds of the succeeded jobs of a kind that were most alike in their number of steps, waits
 * included; empty while there are none.
 */
export async function durationsOfJobsLike(
  reader: Reader,
  kind: JobKind,
  stepsTotal: number,
): Promise<number[]> {
  const rows = await reader.read(
    `select durationMs from (
       select id, ended_at_ms - started_at_ms as durationMs, abs(steps_total - ?) as distance
       from jobs where state = 'succeeded' and kind = ? and started_at_ms is not null
       order by id desc limit ${RECENT_MAX})
     order by distance, id desc limit ${SAMPLE_MAX}`,
    [stepsTotal, kind],
    row,
  );
  return rows.map(({ durationMs }) => durationMs);
}
