/**
 * audit: who meant to do and did what to what (DESIGN 11). Append-only; the chain's columns stay null for now. Each row
 * has its message in the outbox, written here and nowhere else, so that no writer can forget it.
 */
import { z } from "zod";
import type { AuditEntry } from "../core/audit.ts";
import type { Reader, Tx } from "./db.ts";
import { appendOutbox } from "./outbox.ts";
import { matching, numberCursor, type Page, pageLimit, type PageRequest, toPage } from "./page.ts";

/** A stored entry. */
export interface AuditRow extends AuditEntry {
  seq: number;
}

/** An entry to be appended, with what its message shall tell beside it: names of an event that no column has. */
export interface NewAudit extends AuditEntry {
  details?: Record<string, unknown>;
}

/** Which entries to list; null: does not matter. */
export interface AuditFilter {
  permitId?: string | null;
  action?: string | null;
  jobId?: number | null;
  eventSeq?: number | null;
  sinceMs?: number | null;
}

const auditRow = z.object({
  seq: z.number(),
  atMs: z.number(),
  permitId: z.string().nullable(),
  eventSeq: z.number().nullable(),
  jobId: z.number().nullable(),
  actorKind: z.enum(["event", "api", "operator", "service"]),
  actorId: z.string(),
  action: z.string(),
  target: z.string(),
  outcome: z.enum(["intended", "done", "refused", "failed"]),
  reason: z.string().nullable(),
  requestId: z.string().nullable(),
}).transform(({ actorKind, actorId, ...rest }): AuditRow => ({
  ...rest,
  actor: { kind: actorKind, id: actorId },
}));

/**
 * Appends entries in the transaction of what they speak of, in this order, each with its message to the Auditing
 * Service: topic `audit.events`, the action as key, `seq` and the entry as payload (DESIGN 7, 11).
 */
export async function appendAudit(tx: Tx, entries: readonly NewAudit[]): Promise<void> {
  for (const { details = {}, ...entry } of entries) {
    const seq = await insertEntry(tx, entry);
    const message = {
      topic: "audit.events",
      key: entry.action,
      permitId: entry.permitId,
      payload: { ...details, seq, ...entry },
    };
    await appendOutbox(tx, [message], entry.atMs);
  }
}

async function insertEntry(tx: Tx, entry: AuditEntry): Promise<number> {
  const { lastId } = await tx.run(
    `insert into audit (at_ms, permit_id, event_seq, job_id, actor_kind, actor_id, action, target, outcome,
       reason, request_id) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      entry.atMs,
      entry.permitId,
      entry.eventSeq,
      entry.jobId,
      entry.actor.kind,
      entry.actor.id,
      entry.action,
      entry.target,
      entry.outcome,
      entry.reason,
      entry.requestId,
    ],
  );
  return lastId;
}

/** Entries, newest first. Fault `invalid` for a cursor that is none. */
export async function listAudit(
  reader: Reader,
  filter: AuditFilter,
  page: PageRequest,
): Promise<Page<AuditRow>> {
  const limit = pageLimit(page);
  const where = matching([
    ["seq < ?", numberCursor(page.cursor)],
    ["permit_id = ?", filter.permitId],
    ["action = ?", filter.action],
    ["job_id = ?", filter.jobId],
    ["event_seq = ?", filter.eventSeq],
    ["at_ms >= ?", filter.sinceMs],
  ]);
  const rows = await reader.read(
    `select seq, at_ms as atMs, permit_id as permitId, event_seq as eventSeq, job_id as jobId,
       actor_kind as actorKind, actor_id as actorId, action, target, outcome, reason, request_id as requestId
     from audit ${where.sql} order by seq desc limit ?`,
    [...where.args, limit + 1],
    auditRow,
  );
  return toPage(rows, limit, (entry) => String(entry.seq));
}
