/**
 * How a job goes on and ends: one named function per transition (DESIGN 6). Those of a claimed job are fenced: they
 * apply only while the job is running under exactly this claim, and say whether they did.
 *
 *     queued ──claimJob──▶ running ──succeedJob──▶ succeeded
 *       ▲  │                 │ │ ├────failJob────▶ failed ──retryNow──▶ (a new job)
 *       │  │                 │ │ ├──supersedeJob─▶ superseded
 *       │  │                 │ │ └─endCancelled──▶ cancelled
 *       │  └──cancelJob──────│─┴─────────────────▶ cancelled
 *       └──retryJob, requeueOrphans
 */
import { z } from "zod";
import { Fault, type Reason } from "../core/fault.ts";
import type { JobClaim } from "../core/job.ts";
import { flag } from "./columns.ts";
import type { Reader, Tx } from "./db.ts";
import { enqueueJob, getJob, latestWish } from "./jobs.ts";

/** Why a job ended as it did, for people; no secrets. */
export interface JobOutcome {
  reason: Reason;
  message: string;
  advice: string | null;
}

/** What keeps a wait from ending by itself, and what a person must do. */
export type WaitTrouble = Pick<JobOutcome, "reason" | "advice">;

/** What a runner does at a step boundary. */
export type Wanted = "go on" | "superseded" | "cancel-requested" | "lost";

const FENCED = "id = ? and fence = ? and state = 'running'";

const retriedRow = z.object({ state: z.enum(["queued", "superseded"]) });
const wantedRow = z.object({ cancel: z.number(), newer: z.number() });
const overtakenRow = z.object({ overtaken: flag });
const versionRow = z.object({ version: z.number() });

async function applied(tx: Tx, sql: string, args: (string | number | null)[]): Promise<boolean> {
  return (await tx.run(sql, args)).changes === 1;
}

/** Running, and waiting for something named since `sinceMs`; `trouble` null: it ends by itself. */
export function waitJob(
  tx: Tx,
  claim: JobClaim,
  waitingFor: string,
  sinceMs: number,
  trouble: WaitTrouble | null = null,
): Promise<boolean> {
  return applied(
    tx,
    `update jobs set waiting_for = ?, waiting_since_ms = ?, reason = ?, advice = ? where ${FENCED}`,
    [waitingFor, sinceMs, trouble?.reason ?? null, trouble?.advice ?? null, claim.jobId, claim.fence],
  );
}

/** Running, and working again: the wait is over and its deadline forgotten. */
export function resumeJob(tx: Tx, claim: JobClaim): Promise<boolean> {
  return applied(
    tx,
    `update jobs set waiting_for = null, waiting_since_ms = null, reason = null, advice = null where ${FENCED}`,
    [claim.jobId, claim.fence],
  );
}

/** How many steps are done, of how many known so far. */
export function progressJob(
  tx: Tx,
  claim: JobClaim,
  steps: { done: number; total: number },
): Promise<boolean> {
  return applied(tx, `update jobs set steps_done = ?, steps_total = ? where ${FENCED}`, [
    steps.done,
    steps.total,
    claim.jobId,
    claim.fence,
  ]);
}

/** Running, with another priority: what it was urgent for is done. */
export function easeJob(tx: Tx, claim: JobClaim, priority: number): Promise<boolean> {
  return applied(tx, `update jobs set priority = ? where ${FENCED}`, [priority, claim.jobId, claim.fence]);
}

/** Running → succeeded. */
export function succeedJob(tx: Tx, claim: JobClaim, nowMs: number): Promise<boolean> {
  return end(tx, claim, "succeeded", null, nowMs);
}

/** Running → failed: a person must act, or the drift pass tries again. */
export function failJob(tx: Tx, claim: JobClaim, outcome: JobOutcome, nowMs: number): Promise<boolean> {
  return end(tx, claim, "failed", outcome, nowMs);
}

/** Running → superseded: a newer event's job takes over. */
export function supersedeJob(tx: Tx, claim: JobClaim, nowMs: number): Promise<boolean> {
  const outcome: JobOutcome = { reason: "superseded", message: "A newer event came", advice: null };
  return end(tx, claim, "superseded", outcome, nowMs);
}

/** Running → cancelled: the runner stops as asked, or nobody wants it any more. */
export function endCancelled(tx: Tx, claim: JobClaim, outcome: JobOutcome, nowMs: number): Promise<boolean> {
  return end(tx, claim, "cancelled", outcome, nowMs);
}

function end(
  tx: Tx,
  claim: JobClaim,
  state: "succeeded" | "failed" | "superseded" | "cancelled",
  outcome: JobOutcome | null,
  nowMs: number,
): Promise<boolean> {
  return applied(
    tx,
    `update jobs set state = ?, ended_at_ms = ?, reason = ?, message = ?, advice = ?,
       waiting_for = null, waiting_since_ms = null where ${FENCED}`,
    [
      state,
      nowMs,
      outcome?.reason ?? null,
      outcome?.message ?? null,
      outcome?.advice ?? null,
      claim.jobId,
      claim.fence,
    ],
  );
}

/**
 * Running → queued, due at `runAtMs`; → superseded where a newer job of the permit is queued already. Returns the
 * new state; null: the claim is stale and nothing changed. It waits for nothing meanwhile; since when the next attempt
 * waits for what, its steps tell.
 */
export async function retryJob(
  tx: Tx,
  claim: JobClaim,
  retry: JobOutcome & { runAtMs: number },
  nowMs: number,
): Promise<"queued" | "superseded" | null> {
  const rows = await tx.read(
    `update jobs as job set
       state = case when newer.found then 'superseded' else 'queued' end,
       ended_at_ms = case when newer.found then ?1 end,
       run_at_ms = ?2, reason = ?3, message = ?4, advice = ?5, waiting_for = null, waiting_since_ms = null
     from (select exists (
       select 1 from jobs as queued join jobs as mine on mine.permit_id = queued.permit_id
       where mine.id = ?6 and queued.state = 'queued') as found) as newer
     where job.id = ?6 and job.fence = ?7 and job.state = 'running'
     returning state`,
    [nowMs, retry.runAtMs, retry.reason, retry.message, retry.advice, claim.jobId, claim.fence],
    retriedRow,
  );
  return rows[0]?.state ?? null;
}

/** Whether a claimed job is still wanted: asked at each step boundary. */
export async function isWanted(reader: Reader, claim: JobClaim): Promise<Wanted> {
  const rows = await reader.read(
    `select cancel_requested as cancel, exists (
       select 1 from jobs as newer where newer.permit_id = job.permit_id and newer.state = 'queued'
         and newer.kind <> 'drift' and newer.id > job.id) as newer
     from jobs as job where ${FENCED}`,
    [claim.jobId, claim.fence],
    wantedRow,
  );
  const found = rows[0];
  if (found === undefined) return "lost";
  if (found.newer === 1) return "superseded";
  return found.cancel === 1 ? "cancel-requested" : "go on";
}

/** Whether a halt, an expiry or a deletion of the permit waits for a claimed job to end. A stale claim: false. */
export async function isOvertaken(reader: Reader, claim: JobClaim): Promise<boolean> {
  const rows = await reader.read(
    `select exists (
       select 1 from jobs as newer where newer.permit_id = job.permit_id and newer.state = 'queued'
         and newer.kind in ('halt', 'delete') and newer.id > job.id) as overtaken
     from jobs as job where ${FENCED}`,
    [claim.jobId, claim.fence],
    overtakenRow,
  );
  return rows[0]?.overtaken ?? false;
}

/** A person's cancel: a queued job ends at once, a running one at its next step boundary. */
export async function cancelJob(
  tx: Tx,
  id: number,
  nowMs: number,
): Promise<"cancelled" | "requested" | "not-open"> {
  const queued = await applied(
    tx,
    `update jobs set state = 'cancelled', ended_at_ms = ?, reason = 'cancelled', message = 'Cancelled while queued',
       waiting_for = null, waiting_since_ms = null where id = ? and state = 'queued'`,
    [nowMs, id],
  );
  if (queued) return "cancelled";
  const running = await applied(
    tx,
    "update jobs set cancel_requested = 1 where id = ? and state = 'running'",
    [id],
  );
  return running ? "requested" : "not-open";
}

/**
 * A person's retry. A queued job becomes due now, with its attempts counted anew; a failed or cancelled one that is
 * the permit's newest gets a new job of the same kind towards the permit's present version. Returns the id of the
 * job that will run. Fault `not-found`, or `conflict` when there is nothing to retry.
 */
export async function retryNow(tx: Tx, id: number, nowMs: number): Promise<number> {
  const due = await applied(
    tx,
    "update jobs set run_at_ms = min(run_at_ms, ?), attempt = 0 where id = ? and state = 'queued'",
    [nowMs, id],
  );
  if (due) return id;
  const job = await getJob(tx, id);
  if (job === null) throw new Fault("stalled", "not-found", `Cannot retry job ${id}: there is no such job`);
  if (job.state !== "failed" && job.state !== "cancelled") {
    throw new Fault("stalled", "conflict", `Cannot retry job ${id}: it is ${job.state}`);
  }
  // A drift that only took access away since then has fulfilled nothing.
  const latest = await latestWish(tx, job.permitId);
  if (latest !== null && latest.id > id) {
    throw new Fault(
      "stalled",
      "conflict",
      `Cannot retry job ${id}: job ${latest.id} of the same permit came later`,
      {
        advice: `Look at job ${latest.id}`,
      },
    );
  }
  const [permit] = await tx.read(
    "select version from permits where permit_id = ?",
    [job.permitId],
    versionRow,
  );
  const { jobId } = await enqueueJob(tx, {
    permitId: job.permitId,
    kind: job.kind,
    priority: job.priority,
    version: permit?.version ?? job.version,
    eventSeq: null,
    runAtMs: nowMs,
    nowMs,
  });
  return jobId;
}
