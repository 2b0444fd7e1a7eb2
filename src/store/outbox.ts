/** outbox: messages that must leave at least once, written with what they tell of (DESIGN 11). */
import { z } from "zod";
import type { OutboxMessage } from "../core/audit.ts";
import { json } from "./columns.ts";
import type { Reader, Tx } from "./db.ts";

/** A stored message; `id` is its stable message id. */
export interface OutboxRow extends OutboxMessage {
  id: number;
  createdAtMs: number;
}

const outboxRow = z.object({
  id: z.number(),
  topic: z.string(),
  key: z.string(),
  permitId: z.string().nullable(),
  payload: json(z.record(z.string(), z.unknown())),
  createdAtMs: z.number(),
});

/** Appends messages in the transaction of what they tell of; they are delivered in this order. */
export async function appendOutbox(
  tx: Tx,
  messages: readonly OutboxMessage[],
  nowMs: number,
): Promise<void> {
  for (const { topic, key, permitId, payload } of messages) {
    await tx.run(
      "insert into outbox (topic, key, permit_id, payload, created_at_ms) values (?, ?, ?, ?, ?)",
      [topic, key, permitId, JSON.stringify(payload), nowMs],
    );
  }
}

/** The oldest undelivered messages of a topic (null: any), in order. */
export function pendingOutbox(reader: Reader, topic: string | null, limit: number): Promise<OutboxRow[]> {
  return reader.read(
    `select id, topic, key, permit_id as permitId, payload, created_at_ms as createdAtMs from outbox
     where delivered_at_ms is null and (?1 is null or topic = ?1) order by id limit ?2`,
    [topic, limit],
    outboxRow,
  );
}

/** Notes that the receiver has confirmed these messages. */
export async function markDelivered(tx: Tx, ids: readonly number[], atMs: number): Promise<void> {
  await tx.run(
    `update outbox set delivered_at_ms = ?
     where delivered_at_ms is null and id in (select value from json_each(?))`,
    [atMs, JSON.stringify(ids)],
  );
}
