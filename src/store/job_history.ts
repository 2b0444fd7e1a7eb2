/** What earlier jobs tell: how long one like them takes, and how often a repair was in vain (DESIGN 6). */
import { z } from "zod";
import { type JobKind, URGENT_PRIORITY_MAX } from "../core/job.ts";
import type { Reader } from "./db.ts";

/** So many of the newest jobs of a kind are looked at … */
const RECENT_MAX = 200;
/** … and so many of them, those nearest in size, are the sample. */
const SAMPLE_MAX = 20;

const row = z.object({ durationMs: z.number() });

const vainRow = z.object({ vain: z.number(), endedAtMs: z.number().nullable() });

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

/** So many repairs of one difference are counted: by then the pause between them has long been the longest. */
const VAIN_MAX = 16;

/**
 * How many of the permit's newest jobs were repairs of exactly this difference and failed, and when the last of them
 * ended (epoch milliseconds). A job in between of any other kind, end or difference ends the row. What only cut access
 * meanwhile does not count.
 */
export async function repairsInVain(
  reader: Reader,
  permitId: string,
  found: string,
): Promise<{ count: number; lastEndedAtMs: number }> {
  const rows = await reader.read(
    `select coalesce(kind = 'drift' and state = 'failed' and found = ?1, 0) as vain, ended_at_ms as endedAtMs
     from jobs where permit_id = ?2 and not (kind = 'drift' and priority <= ?3)
     order by id desc limit ${VAIN_MAX}`,
    [found, permitId, URGENT_PRIORITY_MAX],
    vainRow,
  );
  const other = rows.findIndex(({ vain }) => vain === 0);
  return { count: other < 0 ? rows.length : other, lastEndedAtMs: rows[0]?.endedAtMs ?? 0 };
}
