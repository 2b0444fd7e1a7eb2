/** objects: each object that was ever seen of a permit, with the step that was to end it and who saw it gone (DESIGN 11). */
import { z } from "zod";
import type { ObjectTrace } from "../core/certificate.ts";
import type { Observed, ObservedObject } from "../core/observed.ts";
import { flag } from "./columns.ts";
import type { Reader, Tx } from "./db.ts";

/** What of an observation tells of objects. */
export type ObjectsSeen = Pick<Observed, "objects" | "scope" | "atMs">;

/**
 * Notes what an observation shows and what it no longer shows. What lies within the permit's space counts as gone only
 * where that space is whole or gone itself: while a guard is missing, or all of it is ending, a list may not show all.
 */
export async function keepObjects(
  tx: Tx,
  permitId: string,
  { objects, scope, atMs }: ObjectsSeen,
): Promise<void> {
  const seen = JSON.stringify(objects);
  await tx.run(
    `insert into objects (permit_id, kind, name, uid, of_kind, of_key, found_by, is_within, seen_at_ms)
     select ?, value ->> 'kind', value ->> 'name', value ->> 'uid', value ->> '$.of.kind', value ->> '$.of.key',
       value ->> 'foundBy', value ->> 'isWithin', ? from json_each(?) where true
     on conflict (permit_id, kind, uid, name) do update set gone_at_ms = null, gone_by = null, certificate = null
     where gone_at_ms is not null`,
    [permitId, atMs, seen],
  );
  const isWhole = scope.state === "intact" || scope.state === "absent";
  await tx.run(
    `update objects set gone_at_ms = ?1,
       gone_by = case when is_within and ?2 then 'the space it lay in was not found' else found_by || ' did not show it' end
     where permit_id = ?3 and gone_at_ms is null and (?4 or not is_within)
       and (kind, uid, name) not in
         (select value ->> 'kind', value ->> 'uid', value ->> 'name' from json_each(?5))`,
    [atMs, scope.state === "absent" ? 1 : 0, permitId, isWhole ? 1 : 0, seen],
  );
}

/** A step that ends objects: those of one thing, or everything of the permit. */
export interface EndingOrder {
  step: string;
  why: string;
  jobId: number;
  /** Null: everything that the permit still has. */
  of: ObservedObject["of"] | null;
  /** Only of this kind; null: all. */
  kind: string | null;
}

/** Notes a step's order on what it is to end; what was ordered before keeps its first order. */
export async function noteOrder(tx: Tx, permitId: string, order: EndingOrder, nowMs: number): Promise<void> {
  await tx.run(
    `update objects set ordered_at_ms = ?1, ordered_step = ?2, ordered_why = ?3, ordered_job = ?4
     where permit_id = ?5 and gone_at_ms is null and ordered_at_ms is null
       and (?6 is null or (of_kind = ?6 and of_key = ?7)) and (?8 is null or kind = ?8)`,
    [
      nowMs,
      order.step,
      order.why,
      order.jobId,
      permitId,
      order.of?.kind ?? null,
      order.of?.key ?? null,
      order.kind,
    ],
  );
}

const objectRow = z.object({
  id: z.number(),
  kind: z.string(),
  name: z.string(),
  uid: z.string(),
  ofKind: z.enum(["permit", "workspace", "volume", "task"]),
  ofKey: z.string(),
  foundBy: z.string(),
  isWithin: flag,
  seenAtMs: z.number(),
  orderedAtMs: z.number().nullable(),
  orderedStep: z.string().nullable(),
  orderedWhy: z.string().nullable(),
  orderedJob: z.number().nullable(),
  goneAtMs: z.number().nullable(),
  goneBy: z.string().nullable(),
}).transform((row): ObjectTrace & { id: number } => ({
  id: row.id,
  kind: row.kind,
  name: row.name,
  uid: row.uid,
  of: { kind: row.ofKind, key: row.ofKey },
  foundBy: row.foundBy,
  isWithin: row.isWithin,
  seenAtMs: row.seenAtMs,
  ordered: row.orderedAtMs === null ? null : {
    atMs: row.orderedAtMs,
    step: row.orderedStep ?? "",
    why: row.orderedWhy ?? "",
    jobId: row.orderedJob ?? 0,
  },
  absent: row.goneAtMs === null ? null : { atMs: row.goneAtMs, by: row.goneBy ?? "" },
}));

/** The permit's objects that no certificate tells of yet, in the order in which they were first seen. */
export function uncertifiedObjects(
  reader: Reader,
  permitId: string,
): Promise<(ObjectTrace & { id: number })[]> {
  return reader.read(
    `select id, kind, name, uid, of_kind as ofKind, of_key as ofKey, found_by as foundBy, is_within as isWithin,
       seen_at_ms as seenAtMs, ordered_at_ms as orderedAtMs, ordered_step as orderedStep, ordered_why as orderedWhy,
       ordered_job as orderedJob, gone_at_ms as goneAtMs, gone_by as goneBy
     from objects where permit_id = ? and certificate is null order by id`,
    [permitId],
    objectRow,
  );
}

/** Notes which certificate tells of these. */
export async function certifyObjects(tx: Tx, ids: readonly number[], serial: number): Promise<void> {
  await tx.run(
    "update objects set certificate = ? where gone_at_ms is not null and id in (select value from json_each(?))",
    [serial, JSON.stringify(ids)],
  );
}
