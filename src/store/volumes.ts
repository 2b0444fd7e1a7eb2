/** volumes: what each volume of a permit has been, for ever (invariant 3); what it was last seen as. */
import { z } from "zod";
import type { VolumeRecord } from "../core/permit.ts";
import { asFlag, flag } from "./columns.ts";
import type { Reader, Tx } from "./db.ts";

/** A volume's record with its last observation in words, e.g. "bound, 100Gi"; null: never observed. */
export interface VolumeRow extends VolumeRecord {
  permitId: string;
  observed: string | null;
  /** Since when it is tainted, and the permit's status then; null: it is not, or no status had come. */
  taintedAtMs: number | null;
  taintedUnder: string | null;
  updatedAtMs: number;
}

const volumeRow = z.object({
  permitId: z.string(),
  key: z.string(),
  tainted: flag,
  bound: flag,
  destroyed: flag,
  acceptedList: z.string().nullable(),
  observed: z.string().nullable(),
  taintedAtMs: z.number().nullable(),
  taintedUnder: z.string().nullable(),
  updatedAtMs: z.number(),
});

/** The right sides see the row as it was: only the first taint counts. */
const FIRST_TAINT = `tainted_at_ms = iif(tainted, tainted_at_ms, excluded.tainted_at_ms),
       tainted_under = iif(tainted, tainted_under, excluded.tainted_under)`;

const keyRow = z.object({ key: z.string() });

/**
 * Adds a volume or what is newly known of one. Nothing that it has been is taken back: false and null leave as it is.
 */
export async function upsertVolume(
  tx: Tx,
  permitId: string,
  volume: VolumeRecord & { observed?: string | null },
  nowMs: number,
): Promise<void> {
  await tx.run(
    `insert into volumes (permit_id, key, tainted, bound, destroyed, observed, updated_at_ms, tainted_at_ms, tainted_under)
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, iif(?3, ?7, null),
       iif(?3, (select status from permits where permit_id = ?1), null))
     on conflict do update set ${FIRST_TAINT}, tainted = max(tainted, excluded.tainted), bound = max(bound, excluded.bound),
       destroyed = max(destroyed, excluded.destroyed), observed = coalesce(excluded.observed, observed),
       updated_at_ms = excluded.updated_at_ms`,
    [
      permitId,
      volume.key,
      asFlag(volume.tainted),
      asFlag(volume.bound),
      asFlag(volume.destroyed),
      volume.observed ?? null,
      nowMs,
    ],
  );
}

/** Notes that WPS destroys a volume on purpose, before it does: its absence is no loss. */
export function markDestroyed(tx: Tx, permitId: string, key: string, nowMs: number): Promise<void> {
  return upsertVolume(tx, permitId, { key, tainted: false, bound: false, destroyed: true }, nowMs);
}

/** Taints volumes, known or not yet, before they are mounted beside sensitive data. Returns the newly tainted keys. */
export async function taintVolumes(
  tx: Tx,
  permitId: string,
  keys: readonly string[],
  nowMs: number,
): Promise<string[]> {
  const rows = await tx.read(
    `insert into volumes (permit_id, key, tainted, bound, destroyed, observed, updated_at_ms, tainted_at_ms, tainted_under)
     select ?1, value, 1, 0, 0, null, ?2, ?2, (select status from permits where permit_id = ?1)
     from json_each(?3) where true
     on conflict do update set ${FIRST_TAINT}, tainted = 1, updated_at_ms = excluded.updated_at_ms where tainted = 0
     returning key`,
    [permitId, nowMs, JSON.stringify(keys)],
    keyRow,
  );
  return rows.map(({ key }) => key);
}

/** All volumes that a permit has had, by key. */
export function listVolumes(reader: Reader, permitId: string): Promise<VolumeRow[]> {
  return reader.read(
    `select permit_id as permitId, key, tainted, bound, destroyed, observed, tainted_at_ms as taintedAtMs,
       tainted_under as taintedUnder, updated_at_ms as updatedAtMs,
       (select list_hash from refused_uploads r
        where r.permit_id = volumes.permit_id and r.volume_key = volumes.key and r.accepted_at_ms is not null
        order by r.seen_at_ms desc, r.list_hash limit 1) as acceptedList
     from volumes where permit_id = ? order by key`,
    [permitId],
    volumeRow,
  );
}
