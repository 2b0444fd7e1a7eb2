/** events: the inbox, one row for each delivery whatever its verdict (DESIGN 3). */
import { z } from "zod";
import {
  type FieldError,
  NO_UNKNOWN_FIELDS,
  OWN_SOURCE,
  type UnknownFields,
  type Verdict,
  VERDICTS,
} from "../core/event.ts";
import { PEOPLE_FIELDS, type UpdateSummary } from "../core/update_summary.ts";
import { bytes, flag, json } from "./columns.ts";
import type { Reader, Tx } from "./db.ts";
import { matching, numberCursor, type Page, pageLimit, type PageRequest, toPage } from "./page.ts";

/** How an event came in; `wps`: from the service itself, which halts on a breach. */
export const CHANNELS = ["amqp", "http", "cli", "wps"] as const;
/** One of {@link CHANNELS}. */
export type Channel = typeof CHANNELS[number];

/** Bodies up to here are kept whole: RabbitMQ sites rarely allow more, and intake rejects more. */
export const BODY_KEPT_WHOLE_BYTES = 1024 * 1024;
/** Of a longer body this much is kept, enough to see what it was. */
export const BODY_PREFIX_BYTES = 64 * 1024;

/** A delivery to be recorded. What could not be read of it is null. */
export interface NewEvent {
  receivedAtMs: number;
  channel: Channel;
  source: string | null;
  /** Null when the message carried none. */
  id: string | null;
  type: string | null;
  permitId: string | null;
  revision: number | null;
  time: string | null;
  verdict: Verdict;
  reasons: FieldError[];
  /** Absent: none. */
  unknownFields?: UnknownFields;
  /** Absent or null: it says nothing of a field. */
  update?: UpdateSummary | null;
  /** As received; of more than {@link BODY_KEPT_WHOLE_BYTES} only the first {@link BODY_PREFIX_BYTES} are kept. */
  body: Uint8Array;
  /** Length as received, when `body` is already cut; absent: the length of `body`. */
  bodyBytes?: number;
  bodyHash: string;
}

/** A recorded delivery, without its body. */
export interface EventRow extends Omit<NewEvent, "body" | "bodyBytes"> {
  seq: number;
  unknownFields: UnknownFields;
  update: UpdateSummary | null;
  bodyBytes: number;
  /** When the broker had the acknowledgement; null: it may not have it. */
  ackedAtMs: number | null;
  /** An anonymous redelivery was already taken for this row. */
  absorbed: boolean;
  /** Established its (source, id). */
  identity: boolean;
}

/** Which events to list; null: does not matter. */
export interface EventFilter {
  permitId?: string | null;
  verdict?: Verdict | null;
  type?: string | null;
  sinceMs?: number | null;
}

const eventRow = z.object({
  seq: z.number(),
  receivedAtMs: z.number(),
  channel: z.enum(CHANNELS),
  source: z.string().nullable(),
  id: z.string().nullable(),
  type: z.string().nullable(),
  permitId: z.string().nullable(),
  revision: z.number().nullable(),
  time: z.string().nullable(),
  verdict: z.enum(VERDICTS),
  reasons: json(z.array(z.object({ path: z.string(), message: z.string() }))),
  unknownFields: json(z.object({ paths: z.array(z.string()), count: z.number() })).nullable()
    .transform((found) => found ?? NO_UNKNOWN_FIELDS),
  update: json(z.object({
    status: z.string().optional(),
    tier: z.string().optional(),
    expiresAt: z.string().nullable().optional(),
    people: z.array(z.enum(PEOPLE_FIELDS)),
  })).nullable(),
  bodyBytes: z.number(),
  bodyHash: z.string(),
  ackedAtMs: z.number().nullable(),
  absorbed: flag,
  identity: flag,
});

const COLUMNS =
  `seq, received_at_ms as receivedAtMs, channel, source, id, type, permit_id as permitId, revision,
  time, verdict, reasons, unknown_fields as unknownFields, update_summary as "update", body_bytes as bodyBytes, body_hash as bodyHash,
  acked_at_ms as ackedAtMs, absorbed, identity`;

const seqRow = z.object({ seq: z.number() });
const bodyRow = z.object({ body: bytes });

/**
 * Records a delivery and returns its seq. The `accepted` or `stale` row of a (source, id) establishes that identity; a
 * second one is refused with Fault `conflict`. A `rejected` one does not, so that what was dead-lettered can be sent
 * again, mended or after the site has learnt the status.
 */
export async function insertEvent(tx: Tx, event: NewEvent): Promise<number> {
  const whole = event.body.byteLength <= BODY_KEPT_WHOLE_BYTES;
  const { lastId } = await tx.run(
    `insert into events (received_at_ms, channel, source, id, type, permit_id, revision, time, verdict, reasons,
       body, body_bytes, body_hash, unknown_fields, update_summary, identity)
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
       ?3 is not null and ?4 is not null and ?9 in ('accepted', 'stale'))`,
    [
      event.receivedAtMs,
      event.channel,
      event.source,
      event.id,
      event.type,
      event.permitId,
      event.revision,
      event.time,
      event.verdict,
      JSON.stringify(event.reasons),
      whole ? event.body : event.body.subarray(0, BODY_PREFIX_BYTES),
      event.bodyBytes ?? event.body.byteLength,
      event.bodyHash,
      (event.unknownFields?.count ?? 0) === 0 ? null : JSON.stringify(event.unknownFields),
      event.update == null ? null : JSON.stringify(event.update),
    ],
  );
  return lastId;
}

/** The row that established an identity, or null. */
export async function findEvent(reader: Reader, source: string, id: string): Promise<EventRow | null> {
  const rows = await reader.read(
    `select ${COLUMNS} from events where source = ? and id = ? and identity = 1`,
    [source, id],
    eventRow,
  );
  return rows[0] ?? null;
}

/**
 * Rows of the broker without an id, of the same permit, type and body, whose acknowledgement may not have reached
 * it and which have not absorbed a redelivery yet; oldest first (DESIGN 3: each absorbs one). Rejected ones are judged
 * anew, because the dead letter may be what is missing.
 */
export function findUnackedTwins(
  reader: Reader,
  permitId: string,
  type: string,
  bodyHash: string,
): Promise<EventRow[]> {
  return reader.read(
    `select ${COLUMNS} from events
     where permit_id = ? and body_hash = ? and type = ? and channel = 'amqp'
       and id is null and acked_at_ms is null and absorbed = 0 and verdict not in ('rejected', 'ignored')
     order by seq limit 100`,
    [permitId, bodyHash, type],
    eventRow,
  );
}

/** Marks a row as having absorbed its redelivery; false when it had already. */
export async function absorb(tx: Tx, seq: number): Promise<boolean> {
  return (await tx.run("update events set absorbed = 1 where seq = ? and absorbed = 0", [seq])).changes === 1;
}

/** Notes that the broker has the acknowledgements of these rows. */
export async function markAcked(tx: Tx, seqs: readonly number[], atMs: number): Promise<void> {
  if (seqs.length === 0) return;
  await tx.run(
    "update events set acked_at_ms = ? where acked_at_ms is null and seq in (select value from json_each(?))",
    [atMs, JSON.stringify(seqs)],
  );
}

/**
 * Notes the same of every row without an id up to `seq`: once a session with the broker has lasted, all that it had to
 * deliver again has come. Returns how many there were.
 */
export async function markAllAcked(tx: Tx, seq: number, atMs: number): Promise<number> {
  const { changes } = await tx.run(
    // Without the hint SQLite walks the whole table instead of the few rows in this index.
    `update events indexed by events_unacked set acked_at_ms = ?
     where id is null and acked_at_ms is null and absorbed = 0 and channel = 'amqp' and seq <= ?`,
    [atMs, seq],
  );
  return changes;
}

/** The newest event's seq; 0: there is none. */
export async function newestEventSeq(reader: Reader): Promise<number> {
  const rows = await reader.read(
    "select coalesce(max(seq), 0) as seq from events",
    [],
    seqRow,
  );
  return rows[0]?.seq ?? 0;
}

/** One event, or null. */
export async function getEvent(reader: Reader, seq: number): Promise<EventRow | null> {
  const rows = await reader.read(`select ${COLUMNS} from events where seq = ?`, [seq], eventRow);
  return rows[0] ?? null;
}

/** The permit's newest accepted event, or null. */
export function newestAccepted(reader: Reader, permitId: string): Promise<EventRow | null> {
  return newestWhere(reader, permitId, "verdict = 'accepted'", []);
}

/**
 * The newest event that was plainly taken (`accepted`, or known as a `duplicate`) or refused (`rejected`, `conflict`).
 * What WPS or its operators have ordered meanwhile is none: it does not mend what the Permit Manager sent. Null: none.
 */
export function newestAnswer(reader: Reader, permitId: string): Promise<EventRow | null> {
  const answered = `(verdict in ('rejected', 'conflict') or
    (verdict in ('accepted', 'duplicate') and source is not ?))`;
  return newestWhere(reader, permitId, answered, [OWN_SOURCE]);
}

async function newestWhere(
  reader: Reader,
  permitId: string,
  condition: string,
  args: string[],
): Promise<EventRow | null> {
  const rows = await reader.read(
    // The hint keeps SQLite from walking all permits' events of a verdict.
    `select ${COLUMNS} from events indexed by events_by_permit where permit_id = ? and ${condition}
     order by seq desc limit 1`,
    [permitId, ...args],
    eventRow,
  );
  return rows[0] ?? null;
}

/** What is kept of an event's body, as received, or null for an unknown event. */
export async function getEventBody(reader: Reader, seq: number): Promise<Uint8Array | null> {
  const rows = await reader.read("select body from events where seq = ?", [seq], bodyRow);
  return rows[0]?.body ?? null;
}

/** Events, newest first. Fault `invalid` for a cursor that is none. */
export async function listEvents(
  reader: Reader,
  filter: EventFilter,
  page: PageRequest,
): Promise<Page<EventRow>> {
  const limit = pageLimit(page);
  const where = matching([
    ["seq < ?", numberCursor(page.cursor)],
    ["permit_id = ?", filter.permitId],
    ["verdict = ?", filter.verdict],
    ["type = ?", filter.type],
    ["received_at_ms >= ?", filter.sinceMs],
  ]);
  const rows = await reader.read(
    `select ${COLUMNS} from events ${where.sql} order by seq desc limit ?`,
    [...where.args, limit + 1],
    eventRow,
  );
  return toPage(rows, limit, (event) => String(event.seq));
}
