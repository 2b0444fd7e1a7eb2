/**
 * idempotency_keys: the answer to a POST, kept for its repetition (DESIGN 10). `begin` marks the request as running in a
 * transaction of its own; `finish` stores the answer in the transaction of the effect, so that after a crash there are
 * either both or neither. A mark that a crashed boot left is taken over: its effect was never committed.
 */
import { z } from "zod";
import type { Reader, Tx } from "./db.ts";

/** How long an answer is kept: 24 h (DESIGN 10). */
export const IDEMPOTENCY_KEPT_MS = 24 * 60 * 60 * 1000;

/** Whose request: the caller's id and the key that it sent. */
export interface RequestKey {
  caller: string;
  key: string;
}

/** A stored answer. */
export interface StoredAnswer {
  status: number;
  contentType: string;
  body: string;
}

/** What a request with this key may do. `mismatch`: the same key came with another body (422); `running`: 409. */
export type Beginning =
  | { is: "begun" }
  | { is: "done"; answer: StoredAnswer }
  | { is: "mismatch" }
  | { is: "running" };

const keyRow = z.object({
  bodyHash: z.string(),
  bootEpoch: z.string(),
  status: z.number().nullable(),
  contentType: z.string().nullable(),
  body: z.string().nullable(),
  expiresAtMs: z.number(),
});
type KeyRow = z.output<typeof keyRow>;

/**
 * Marks a request as running unless its key is taken. `bodyHash` covers method, path and body. After `begun` exactly
 * one of {@link finishIdempotent} and {@link abandonIdempotent} must follow.
 */
export async function beginIdempotent(
  tx: Tx,
  request: RequestKey & { bodyHash: string; bootEpoch: string; nowMs: number },
): Promise<Beginning> {
  const known = await findRow(tx, request);
  if (known !== null && known.expiresAtMs > request.nowMs) {
    if (known.bodyHash !== request.bodyHash) return { is: "mismatch" };
    const answer = answerOf(known);
    if (answer !== null) return { is: "done", answer };
    if (known.bootEpoch === request.bootEpoch) return { is: "running" };
  }
  await tx.run(
    `insert or replace into idempotency_keys (caller, key, body_hash, state, boot_epoch, created_at_ms, expires_at_ms)
     values (?, ?, ?, 'running', ?, ?, ?)`,
    [
      request.caller,
      request.key,
      request.bodyHash,
      request.bootEpoch,
      request.nowMs,
      request.nowMs + IDEMPOTENCY_KEPT_MS,
    ],
  );
  return { is: "begun" };
}

/** Stores the answer; in the transaction of the effect. False: the mark is not there any more, roll back. */
export async function finishIdempotent(
  tx: Tx,
  { caller, key }: RequestKey,
  answer: StoredAnswer,
): Promise<boolean> {
  const { changes } = await tx.run(
    `update idempotency_keys set state = 'done', status = ?, content_type = ?, body = ?
     where caller = ? and key = ? and state = 'running'`,
    [answer.status, answer.contentType, answer.body, caller, key],
  );
  return changes === 1;
}

/** Removes the mark of a request that had no effect, so that it may be repeated. */
export async function abandonIdempotent(tx: Tx, { caller, key }: RequestKey): Promise<void> {
  await tx.run("delete from idempotency_keys where caller = ? and key = ? and state = 'running'", [
    caller,
    key,
  ]);
}

async function findRow(reader: Reader, { caller, key }: RequestKey): Promise<KeyRow | null> {
  const rows = await reader.read(
    `select body_hash as bodyHash, boot_epoch as bootEpoch, status, content_type as contentType, body,
       expires_at_ms as expiresAtMs from idempotency_keys where caller = ? and key = ?`,
    [caller, key],
    keyRow,
  );
  return rows[0] ?? null;
}

function answerOf({ status, contentType, body }: KeyRow): StoredAnswer | null {
  return status === null || body === null
    ? null
    : { status, contentType: contentType ?? "application/json", body };
}
