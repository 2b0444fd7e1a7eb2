/** jobs: which is to be worked on next, and by whom: claims under a boot's epoch and a fence (DESIGN 6). */
import { z } from "zod";
import type { Job } from "../core/job.ts";
import type { Db, Reader, Tx } from "./db.ts";
import { JOB_COLUMNS, jobRow } from "./jobs.ts";

const idRow = z.object({ id: z.number() });
const priorityRow = z.object({ priority: z.number() });
const dueRow = z.object({ atMs: z.number().nullable() });

/**
 * Claims the most urgent due job of a permit that has none running: one statement, so that two claimers never get
 * the same. Its fence and attempt are raised; `priorityMax` null: any. Null: there is nothing to do now.
 */
export async function claimJob(
  db: Pick<Db, "change">,
  claim: { bootEpoch: string; nowMs: number; priorityMax: number | null },
): Promise<Job | null> {
  const claimed = await db.change(
    `update jobs set state = 'running', boot_epoch = ?1, fence = fence + 1, attempt = attempt + 1,
       started_at_ms = coalesce(started_at_ms, ?2), reason = null, message = null, advice = null
     where id = (
       select candidate.id from jobs as candidate indexed by jobs_to_claim
       where candidate.state = 'queued' and candidate.run_at_ms <= ?2 and candidate.priority <= ?3
         and not exists (
           select 1 from jobs as other where other.permit_id = candidate.permit_id and other.state = 'running'
         )
       order by candidate.priority, candidate.run_at_ms, candidate.id limit 1
     )
     returning ${JOB_COLUMNS}`,
    [claim.bootEpoch, claim.nowMs, claim.priorityMax ?? Number.MAX_SAFE_INTEGER],
    jobRow,
  );
  return claimed[0] ?? null;
}

/**
 * Gives back what other boots of this service left running (after a crash): superseded where a newer job of the
 * permit is queued already, else queued, due now. The attempt that the crash cut off does not count; the wait's
 * beginning is kept for its deadline. Returns the jobs' ids.
 */
export function requeueOrphans(tx: Tx, boot: { bootEpoch: string; nowMs: number }): Promise<number[]> {
  return giveBack(tx, boot.nowMs, "orphaned.boot_epoch <> ?2", [boot.bootEpoch]);
}

/**
 * The same for what this boot claimed without hearing of it: the claim was committed, its answer was lost. `working`
 * are the jobs that it does work on.
 */
export function requeueStrays(
  tx: Tx,
  boot: { bootEpoch: string; nowMs: number; working: readonly number[] },
): Promise<number[]> {
  const isStray = "orphaned.boot_epoch = ?2 and orphaned.id not in (select value from json_each(?3))";
  return giveBack(tx, boot.nowMs, isStray, [boot.bootEpoch, JSON.stringify(boot.working)]);
}

async function giveBack(tx: Tx, nowMs: number, whose: string, args: string[]): Promise<number[]> {
  const given = await tx.read(
    `update jobs as orphan set
       state = case when newer.id is null then 'queued' else 'superseded' end,
       reason = case when newer.id is null then reason else 'superseded' end,
       advice = case when newer.id is null then advice end,
       ended_at_ms = case when newer.id is null then null else ?1 end,
       waiting_for = case when newer.id is null then waiting_for end,
       waiting_since_ms = case when newer.id is null then waiting_since_ms end,
       run_at_ms = ?1, attempt = max(0, attempt - 1)
     from (select orphaned.id as of, queued.id from jobs as orphaned
           left join jobs as queued on queued.permit_id = orphaned.permit_id and queued.state = 'queued'
           where orphaned.state = 'running' and ${whose}) as newer
     where orphan.id = newer.of
     returning id`,
    [nowMs, ...args],
    idRow,
  );
  return given.map(({ id }) => id);
}

/** The priority of the job that {@link claimJob} would claim now, or null: none. */
export async function mostUrgentDue(
  reader: Reader,
  { nowMs, priorityMax }: { nowMs: number; priorityMax: number | null },
): Promise<number | null> {
  const rows = await reader.read(
    `select candidate.priority as priority from jobs as candidate indexed by jobs_to_claim
     where candidate.state = 'queued' and candidate.run_at_ms <= ?1 and candidate.priority <= ?2
       and not exists (
         select 1 from jobs as other where other.permit_id = candidate.permit_id and other.state = 'running'
       )
     order by candidate.priority, candidate.run_at_ms, candidate.id limit 1`,
    [nowMs, priorityMax ?? Number.MAX_SAFE_INTEGER],
    priorityRow,
  );
  return rows[0]?.priority ?? null;
}

/** When the next queued job of a permit that has none running is due, or null: nothing to wait for. */
export async function nextRunAt(reader: Reader): Promise<number | null> {
  const rows = await reader.read(
    `select min(run_at_ms) as atMs from jobs as candidate indexed by jobs_to_claim where state = 'queued' and not exists (
       select 1 from jobs as other where other.permit_id = candidate.permit_id and other.state = 'running')`,
    [],
    dueRow,
  );
  return rows[0]?.atMs ?? null;
}
