/** jobs: reading them, and what starts them. How a claimed job goes on and ends: job_transitions.ts. */
import { z } from "zod";
import { REASONS } from "../core/fault.ts";
import {
  type Job,
  JOB_KINDS,
  JOB_STATES,
  type JobKind,
  type JobState,
  URGENT_PRIORITY_MAX,
} from "../core/job.ts";
import { flag } from "./columns.ts";
import type { Db, Reader, Tx } from "./db.ts";
import { matching, numberCursor, type Page, pageLimit, type PageRequest, toPage } from "./page.ts";

/** A job to be queued. */
export interface NewJob {
  permitId: string;
  kind: JobKind;
  priority: number;
  /** The permit's version it works towards. */
  version: number;
  eventSeq: number | null;
  runAtMs: number;
  nowMs: number;
}

/** What became of the wish for a job. */
export interface Enqueued {
  /** The new job, or for an unneeded drift the open job that does its work. */
  jobId: number;
  created: boolean;
  /** Queued jobs of the permit that the new one replaced. */
  superseded: number[];
}

/** Which jobs to list; null: does not matter. */
export interface JobFilter {
  permitId?: string | null;
  state?: JobState | null;
  kind?: JobKind | null;
}

const jobRow = z.object({
  id: z.number(),
  permitId: z.string(),
  kind: z.enum(JOB_KINDS),
  state: z.enum(JOB_STATES),
  priority: z.number(),
  version: z.number(),
  eventSeq: z.number().nullable(),
  attempt: z.number(),
  runAtMs: z.number(),
  createdAtMs: z.number(),
  startedAtMs: z.number().nullable(),
  endedAtMs: z.number().nullable(),
  bootEpoch: z.string().nullable(),
  fence: z.number(),
  waitingFor: z.string().nullable(),
  waitingSinceMs: z.number().nullable(),
  reason: z.enum(REASONS).nullable(),
  message: z.string().nullable(),
  advice: z.string().nullable(),
  cancelRequested: flag,
  stepsDone: z.number(),
  stepsTotal: z.number(),
});

const COLUMNS = `id, permit_id as permitId, kind, state, priority, version, event_seq as eventSeq, attempt,
  run_at_ms as runAtMs, created_at_ms as createdAtMs, started_at_ms as startedAtMs, ended_at_ms as endedAtMs,
  boot_epoch as bootEpoch, fence, waiting_for as waitingFor, waiting_since_ms as waitingSinceMs, reason, message,
  advice, cancel_requested as cancelRequested, steps_done as stepsDone, steps_total as stepsTotal`;
const idRow = z.object({ id: z.number() });

/**
 * Queues a job and supersedes whatever of the permit is queued (DESIGN 6). What supersedes an urgent job inherits its
 * place, queued or running, because that one may not have finished cutting; the runner eases it once nothing is left to
 * be taken. A drift supersedes nothing: while another job of the permit is open, that one observes and repairs as well,
 * and no drift is queued.
 */
export async function enqueueJob(tx: Tx, job: NewJob): Promise<Enqueued> {
  if (job.kind === "drift") {
    const open = await openJob(tx, job.permitId);
    if (open !== null) return { jobId: open.id, created: false, superseded: [] };
  }
  const priority = Math.min(job.priority, await urgencyOf(tx, job.permitId) ?? job.priority);
  const superseded = await tx.read(
    `update jobs set state = 'superseded', reason = 'superseded', ended_at_ms = ?,
       waiting_for = null, waiting_since_ms = null
     where permit_id = ? and state = 'queued' returning id`,
    [job.nowMs, job.permitId],
    idRow,
  );
  const { lastId } = await tx.run(
    `insert into jobs (permit_id, kind, state, priority, version, event_seq, run_at_ms, created_at_ms)
     values (?, ?, 'queued', ?, ?, ?, ?, ?)`,
    [job.permitId, job.kind, priority, job.version, job.eventSeq, job.runAtMs, job.nowMs],
  );
  return { jobId: lastId, created: true, superseded: superseded.map(({ id }) => id) };
}

/** The most urgent priority among the permit's open jobs that take access away, or null: none does. */
async function urgencyOf(tx: Tx, permitId: string): Promise<number | null> {
  const rows = await tx.read(
    `select min(priority) as priority from (
       select priority from jobs where permit_id = ?1 and state = 'running'
       union all select priority from jobs where permit_id = ?1 and state = 'queued')
     where priority <= ?2`,
    [permitId, URGENT_PRIORITY_MAX],
    z.object({ priority: z.number().nullable() }),
  );
  return rows[0]?.priority ?? null;
}

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
     returning ${COLUMNS}`,
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
export async function requeueOrphans(
  tx: Tx,
  { bootEpoch, nowMs }: { bootEpoch: string; nowMs: number },
): Promise<number[]> {
  const orphans = await tx.read(
    `update jobs as orphan set
       state = case when newer.id is null then 'queued' else 'superseded' end,
       reason = case when newer.id is null then reason else 'superseded' end,
       ended_at_ms = case when newer.id is null then null else ?2 end,
       run_at_ms = ?2, attempt = max(0, attempt - 1)
     from (select orphaned.id as of, queued.id from jobs as orphaned
           left join jobs as queued on queued.permit_id = orphaned.permit_id and queued.state = 'queued'
           where orphaned.state = 'running' and orphaned.boot_epoch <> ?1) as newer
     where orphan.id = newer.of
     returning id`,
    [bootEpoch, nowMs],
    idRow,
  );
  return orphans.map(({ id }) => id);
}

/** One job, or null. */
export async function getJob(reader: Reader, id: number): Promise<Job | null> {
  return (await reader.read(`select ${COLUMNS} from jobs where id = ?`, [id], jobRow))[0] ?? null;
}

/** The permit's running job, else its queued one, else null. */
export async function openJob(reader: Reader, permitId: string): Promise<Job | null> {
  const rows = await reader.read(
    `select ${COLUMNS} from jobs where id in (
       select id from jobs where permit_id = ?1 and state = 'running'
       union all select id from jobs where permit_id = ?1 and state = 'queued')
     order by state = 'running' desc limit 1`,
    [permitId],
    jobRow,
  );
  return rows[0] ?? null;
}

/** The permit's newest job in any state, or null. */
export async function latestJob(reader: Reader, permitId: string): Promise<Job | null> {
  const rows = await reader.read(
    `select ${COLUMNS} from jobs where permit_id = ? order by id desc limit 1`,
    [permitId],
    jobRow,
  );
  return rows[0] ?? null;
}

/**
 * The permit's newest job that was to fulfil its wish, in any state: one that only takes access away (see
 * `takesOnly` of core/job.ts) does not count. Null: there has been none.
 */
export async function latestWish(reader: Reader, permitId: string): Promise<Job | null> {
  const rows = await reader.read(
    `select ${COLUMNS} from jobs where permit_id = ? and not (kind = 'drift' and priority <= ?)
     order by id desc limit 1`,
    [permitId, URGENT_PRIORITY_MAX],
    jobRow,
  );
  return rows[0] ?? null;
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
    z.object({ priority: z.number() }),
  );
  return rows[0]?.priority ?? null;
}

/** When the next queued job of a permit that has none running is due, or null: nothing to wait for. */
export async function nextRunAt(reader: Reader): Promise<number | null> {
  const rows = await reader.read(
    `select min(run_at_ms) as atMs from jobs as candidate indexed by jobs_to_claim where state = 'queued' and not exists (
       select 1 from jobs as other where other.permit_id = candidate.permit_id and other.state = 'running')`,
    [],
    z.object({ atMs: z.number().nullable() }),
  );
  return rows[0]?.atMs ?? null;
}

/** Jobs, newest first. Fault `invalid` for a cursor that is none. */
export async function listJobs(reader: Reader, filter: JobFilter, page: PageRequest): Promise<Page<Job>> {
  const limit = pageLimit(page);
  const where = matching([
    ["id < ?", numberCursor(page.cursor)],
    ["permit_id = ?", filter.permitId],
    ["state = ?", filter.state],
    ["kind = ?", filter.kind],
  ]);
  const rows = await reader.read(
    `select ${COLUMNS} from jobs ${where.sql} order by id desc limit ?`,
    [...where.args, limit + 1],
    jobRow,
  );
  return toPage(rows, limit, (job) => String(job.id));
}

/** How many jobs are in each state. */
export async function countJobsByState(reader: Reader): Promise<Record<JobState, number>> {
  const rows = await reader.read(
    "select state, count(*) as jobs from jobs group by state",
    [],
    z.object({ state: z.enum(JOB_STATES), jobs: z.number() }),
  );
  const counts: Record<JobState, number> = {
    queued: 0,
    running: 0,
    succeeded: 0,
    failed: 0,
    cancelled: 0,
    superseded: 0,
  };
  for (const { state, jobs } of rows) counts[state] = jobs;
  return counts;
}
