/** jobs: reading and queueing them. Who claims them: job_claims.ts. How a claimed job goes on: job_transitions.ts. */
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
import type { Reader, Tx } from "./db.ts";
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
  /** What a repair is queued for, in words; absent: it is none. */
  found?: string;
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

/** A row as {@link JOB_COLUMNS} gives it. */
export const jobRow: z.ZodType<Job> = z.object({
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

/** All columns of a job under their names in the program. */
export const JOB_COLUMNS =
  `id, permit_id as permitId, kind, state, priority, version, event_seq as eventSeq, attempt,
  run_at_ms as runAtMs, created_at_ms as createdAtMs, started_at_ms as startedAtMs, ended_at_ms as endedAtMs,
  boot_epoch as bootEpoch, fence, waiting_for as waitingFor, waiting_since_ms as waitingSinceMs, reason, message,
  advice, cancel_requested as cancelRequested, steps_done as stepsDone, steps_total as stepsTotal`;
const idRow = z.object({ id: z.number() });

const priorityRow = z.object({ priority: z.number().nullable() });

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
    `insert into jobs (permit_id, kind, state, priority, version, event_seq, run_at_ms, created_at_ms, found)
     values (?, ?, 'queued', ?, ?, ?, ?, ?, ?)`,
    [
      job.permitId,
      job.kind,
      priority,
      job.version,
      job.eventSeq,
      job.runAtMs,
      job.nowMs,
      job.found ?? null,
    ],
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
    priorityRow,
  );
  return rows[0]?.priority ?? null;
}

/** One job, or null. */
export async function getJob(reader: Reader, id: number): Promise<Job | null> {
  return (await reader.read(`select ${JOB_COLUMNS} from jobs where id = ?`, [id], jobRow))[0] ?? null;
}

/** The permit's running job, else its queued one, else null. */
export async function openJob(reader: Reader, permitId: string): Promise<Job | null> {
  const rows = await reader.read(
    `select ${JOB_COLUMNS} from jobs where id in (
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
    `select ${JOB_COLUMNS} from jobs where permit_id = ? order by id desc limit 1`,
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
    `select ${JOB_COLUMNS} from jobs where permit_id = ? and not (kind = 'drift' and priority <= ?)
     order by id desc limit 1`,
    [permitId, URGENT_PRIORITY_MAX],
    jobRow,
  );
  return rows[0] ?? null;
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
    `select ${JOB_COLUMNS} from jobs ${where.sql} order by id desc limit ?`,
    [...where.args, limit + 1],
    jobRow,
  );
  return toPage(rows, limit, (job) => String(job.id));
}
