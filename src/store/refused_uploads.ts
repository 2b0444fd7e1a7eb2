/**
 * refused_uploads: entries of uploads that are never copied (links, special files), each list by its hash, and who agreed
 * to leave exactly that list out (DESIGN 4).
 */
import { z } from "zod";
import type { Actor } from "../core/audit.ts";
import type { RefusedEntries } from "../core/observed.ts";
import { json } from "./columns.ts";
import type { Reader, Tx } from "./db.ts";

/** The newest list of one uploads volume. */
export interface RefusedUploads extends RefusedEntries {
  /** The uploads volume's key, which names holder and batch. */
  key: string;
  seenAtMs: number;
  /** Null: nobody has agreed to leave these out. */
  acceptedAtMs: number | null;
  acceptedBy: string | null;
}

const row = z.object({
  key: z.string(),
  listHash: z.string(),
  count: z.number(),
  shown: json(z.array(z.string())),
  seenAtMs: z.number(),
  acceptedAtMs: z.number().nullable(),
  acceptedBy: z.string().nullable(),
});

/** Notes a list as the newest of its uploads. That it was accepted is never taken back. */
export async function saveRefused(
  tx: Tx,
  permitId: string,
  key: string,
  { listHash, count, shown }: RefusedEntries,
  nowMs: number,
): Promise<void> {
  await tx.run(
    `insert into refused_uploads (permit_id, volume_key, list_hash, entries, shown, seen_at_ms) values (?, ?, ?, ?, ?, ?)
     on conflict do update set seen_at_ms = excluded.seen_at_ms`,
    [permitId, key, listHash, count, JSON.stringify(shown), nowMs],
  );
}

/** The newest list of each uploads volume of a permit that WPS has not destroyed, by key. */
export function refusedUploads(reader: Reader, permitId: string): Promise<RefusedUploads[]> {
  return reader.read(
    `select r.volume_key as key, r.list_hash as listHash, r.entries as count, r.shown, r.seen_at_ms as seenAtMs,
       r.accepted_at_ms as acceptedAtMs, r.accepted_by as acceptedBy
     from refused_uploads r join volumes v on v.permit_id = r.permit_id and v.key = r.volume_key
     where r.permit_id = ? and v.destroyed = 0 and r.seen_at_ms = (
       select max(o.seen_at_ms) from refused_uploads o where o.permit_id = r.permit_id and o.volume_key = r.volume_key)
     order by r.volume_key, r.list_hash`,
    [permitId],
    row,
  );
}

/** Notes that somebody agreed to leave a list out, the first who did. False: there is no such list. */
export async function acceptRefused(
  tx: Tx,
  permitId: string,
  key: string,
  listHash: string,
  { kind, id }: Actor,
  nowMs: number,
): Promise<boolean> {
  const { changes } = await tx.run(
    `update refused_uploads set accepted_at_ms = coalesce(accepted_at_ms, ?),
       accepted_by = coalesce(accepted_by, ?) where permit_id = ? and volume_key = ? and list_hash = ?`,
    [nowMs, `${kind}:${id}`, permitId, key, listHash],
  );
  return changes === 1;
}
