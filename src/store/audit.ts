/** audit: who meant to do and did what to what (DESIGN 11). Append-only; the chain's columns stay null for now. */
import { z } from "zod";
import type { AuditEntry } from "../core/audit.ts";
import type { Reader, Tx } from "./db.ts";
import { matching, numberCursor, type Page, pageLimit, type PageRequest, toPage } from "./page.ts";

/** A stored entry. */
export interface AuditRow extends AuditEntry {
  seq: number;
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

/** Appends entries in the transaction of what they speak of, in this order. */
export async function appendAudit(tx: Tx, entries: readonly AuditEntry[]): Promise<void> {
  for (const entry of entries) {
    await tx.run(
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
  }
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
