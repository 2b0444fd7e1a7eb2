/**
 * What the store forgets after its time: ended jobs with their steps, events, proofs of instances that are no more,
 * delivered messages. Never audit rows, nothing of an open job, and of each permit neither the newest job nor the
 * newest that was to fulfil its wish. Each function looks at a bounded number of rows behind a cursor, because SQLite
 * works synchronously, and deletes those whose time has come.
 */
import { z } from "zod";
import { URGENT_PRIORITY_MAX } from "../core/job.ts";
import type { Tx } from "./db.ts";

/** Where to look and what is old. */
export interface PruneRequest {
  /** What ended, came or left before this (epoch milliseconds) is old. */
  beforeMs: number;
  /** Rows after this number are looked at; 0: from the beginning. */
  after: number;
  /** How many rows are looked at at most. */
  limit: number;
}

/** What was done; `next` is the cursor to go on from, null: nothing further can be old. */
export interface Pruned {
  removed: number;
  next: number | null;
}

/** Prunes one table. */
export type Prune = (tx: Tx, request: PruneRequest) => Promise<Pruned>;

const lookedAt = z.object({ id: z.number(), isOld: z.number(), isKept: z.number() });

/** Deletes what is old and not kept among rows that were read in the order of their numbers. */
async function remove(
  tx: Tx,
  rows: z.infer<typeof lookedAt>[],
  limit: number,
  statements: readonly string[],
): Promise<Pruned> {
  const old = rows.filter(({ isOld, isKept }) => isOld === 1 && isKept === 0).map(({ id }) => id);
  if (old.length > 0) { for (const sql of statements) await tx.run(sql, [JSON.stringify(old)]); }
  const last = rows.at(-1);
  // Numbers grow with time: behind a row that is young there are only younger ones.
  const isOver = last === undefined || rows.length < limit || (last.isOld === 0 && last.isKept === 0);
  return { removed: old.length, next: isOver ? null : last.id };
}

/** Ended jobs and their steps. A job that is open counts as kept, so that older ones behind it are still found. */
export const pruneJobs: Prune = async (tx, { beforeMs, after, limit }) => {
  const rows = await tx.read(
    `select old.id as id, coalesce(old.ended_at_ms < ?1, 0) as isOld,
       old.ended_at_ms is null
       or not exists (select 1 from jobs as later where later.permit_id = old.permit_id and later.id > old.id)
       or (not (old.kind = 'drift' and old.priority <= ?2) and not exists (
         select 1 from jobs as later where later.permit_id = old.permit_id and later.id > old.id
           and not (later.kind = 'drift' and later.priority <= ?2))) as isKept
     from jobs as old where old.id > ?3 order by old.id limit ?4`,
    [beforeMs, URGENT_PRIORITY_MAX, after, limit],
    lookedAt,
  );
  return await remove(tx, rows, limit, [
    "delete from steps where job_id in (select value from json_each(?))",
    "delete from jobs where id in (select value from json_each(?))",
  ]);
};

/** Events that no job refers to; the newest one stays, because its number tells what has been recorded. */
export const pruneEvents: Prune = async (tx, { beforeMs, after, limit }) => {
  const rows = await tx.read(
    `select old.seq as id, old.received_at_ms < ?1 as isOld,
       exists (select 1 from jobs as job where job.event_seq = old.seq)
       or old.seq = (select max(seq) from events) as isKept
     from events as old where old.seq > ?2 order by old.seq limit ?3`,
    [beforeMs, after, limit],
    lookedAt,
  );
  return await remove(tx, rows, limit, ["delete from events where seq in (select value from json_each(?))"]);
};

/** Proofs of isolation, except those of instances that were last seen. */
export const pruneEvidence: Prune = async (tx, { beforeMs, after, limit }) => {
  const rows = await tx.read(
    `select old.id as id, old.at_ms < ?1 as isOld,
       exists (select 1 from workspaces where workspaces.permit_id = old.permit_id
         and workspaces.key = old.workspace_key and workspaces.instance_uid = old.instance_uid) as isKept
     from evidence as old where old.id > ?2 order by old.id limit ?3`,
    [beforeMs, after, limit],
    lookedAt,
  );
  return await remove(tx, rows, limit, ["delete from evidence where id in (select value from json_each(?))"]);
};

/** Messages whose receiver has confirmed them; by the time of that, whatever their number. */
export const pruneOutbox: Prune = async (tx, { beforeMs, limit }) => {
  const { changes } = await tx.run(
    `delete from outbox where id in (
       select id from outbox indexed by outbox_delivered where delivered_at_ms < ? order by delivered_at_ms limit ?)`,
    [beforeMs, limit],
  );
  return { removed: changes, next: changes < limit ? null : 0 };
};

/** Answers to repeated requests, once they have expired. */
export const pruneIdempotencyKeys: Prune = async (tx, { beforeMs, limit }) => {
  const { changes } = await tx.run(
    `delete from idempotency_keys where (caller, key) in (
       select caller, key from idempotency_keys where expires_at_ms <= ? order by expires_at_ms limit ?)`,
    [beforeMs, limit],
  );
  return { removed: changes, next: changes < limit ? null : 0 };
};
