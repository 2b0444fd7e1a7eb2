/** secrets: connection passwords and SSH host keys as sealed bytes (DESIGN 7); seal.ts opens them. */
import { z } from "zod";
import { bytes } from "./columns.ts";
import type { Reader, Tx } from "./db.ts";

/** Whose secret: a workspace's password by its key, a holder's SSH host key by the holder's id. */
export interface SecretName {
  permitId: string;
  kind: "password" | "host-key";
  subject: string;
}

const subjectRow = z.object({ subject: z.string() });
const sealedRow = z.object({ sealed: bytes });

/** Keeps the sealed password of a workspace's present start; replaces the one before. */
export function savePassword(
  tx: Tx,
  permitId: string,
  workspaceKey: string,
  sealed: Uint8Array,
  nowMs: number,
): Promise<void> {
  return saveSecret(tx, { permitId, kind: "password", subject: workspaceKey }, sealed, nowMs);
}

/** The sealed password of a workspace, or null. */
export function readSealedPassword(
  reader: Reader,
  permitId: string,
  workspaceKey: string,
): Promise<Uint8Array | null> {
  return readSecret(reader, { permitId, kind: "password", subject: workspaceKey });
}

/** Keys of the permit's workspaces that have a sealed password. */
export async function passwordKeys(reader: Reader, permitId: string): Promise<Set<string>> {
  const rows = await reader.read(
    "select subject from secrets where permit_id = ? and kind = 'password'",
    [permitId],
    subjectRow,
  );
  return new Set(rows.map(({ subject }) => subject));
}

/** Forgets the password of a workspace that is gone or stopped. */
export async function clearPassword(tx: Tx, permitId: string, workspaceKey: string): Promise<void> {
  await tx.run("delete from secrets where permit_id = ? and kind = 'password' and subject = ?", [
    permitId,
    workspaceKey,
  ]);
}

/** Forgets the passwords of all workspaces of a permit but these. */
export async function keepPasswords(
  tx: Tx,
  permitId: string,
  workspaceKeys: readonly string[],
): Promise<void> {
  await tx.run(
    `delete from secrets where permit_id = ? and kind = 'password'
       and subject not in (select value from json_each(?))`,
    [permitId, JSON.stringify(workspaceKeys)],
  );
}

/**
 * Keeps a holder's sealed host key unless there is one: it is made once, so that the holder can recognise the
 * server. Returns the one that counts, which a rival may have saved first.
 */
export async function saveHostKeyOnce(
  tx: Tx,
  permitId: string,
  holder: string,
  sealed: Uint8Array,
  nowMs: number,
): Promise<Uint8Array> {
  await tx.run(
    `insert into secrets (permit_id, kind, subject, sealed, updated_at_ms) values (?, 'host-key', ?, ?, ?)
     on conflict do nothing`,
    [permitId, holder, sealed, nowMs],
  );
  return await readSealedHostKey(tx, permitId, holder) ?? sealed;
}

/** A holder's sealed host key, or null. */
export function readSealedHostKey(
  reader: Reader,
  permitId: string,
  holder: string,
): Promise<Uint8Array | null> {
  return readSecret(reader, { permitId, kind: "host-key", subject: holder });
}

/** Forgets all secrets of a deleted permit. */
export async function clearSecrets(tx: Tx, permitId: string): Promise<void> {
  await tx.run("delete from secrets where permit_id = ?", [permitId]);
}

async function saveSecret(tx: Tx, name: SecretName, sealed: Uint8Array, nowMs: number): Promise<void> {
  await tx.run(
    `insert into secrets (permit_id, kind, subject, sealed, updated_at_ms) values (?, ?, ?, ?, ?)
     on conflict do update set sealed = excluded.sealed, updated_at_ms = excluded.updated_at_ms`,
    [name.permitId, name.kind, name.subject, sealed, nowMs],
  );
}

async function readSecret(reader: Reader, name: SecretName): Promise<Uint8Array | null> {
  const rows = await reader.read(
    "select sealed from secrets where permit_id = ? and kind = ? and subject = ?",
    [name.permitId, name.kind, name.subject],
    sealedRow,
  );
  return rows[0]?.sealed ?? null;
}
