/** leases: uids and group ids that no two permits share (DESIGN 4). */
import { z } from "zod";
import { Fault } from "../core/fault.ts";
import type { Reader, Tx } from "./db.ts";

/** Who wants a number, and which will do. */
export interface UidWish {
  permitId: string;
  /** Stable within the permit, e.g. "person/j.virtanen" or "fs-group". */
  holder: string;
  /** First and last number, both included. */
  range: readonly [from: number, to: number];
  /** Numbers in use that no lease knows of, e.g. uids that the Permit Manager gave. */
  avoid: readonly number[];
  nowMs: number;
}

/** One leased number. */
export interface Lease {
  value: number;
  permitId: string;
  holder: string;
}

const valueRow = z.object({ value: z.number() });

const leaseRow = z.object({ value: z.number(), permitId: z.string(), holder: z.string() });

/**
 * The number that this holder has in this permit, else a free one (the next after the highest, then gaps), leased now. Fault `quota-exceeded` when
 * the range is used up.
 */
export async function leaseUid(tx: Tx, wish: UidWish): Promise<number> {
  const { permitId, holder, range: [from, to], avoid, nowMs } = wish;
  const [known] = await tx.read(
    "select value from leases where kind = 'uid' and permit_id = ? and holder = ?",
    [permitId, holder],
    valueRow,
  );
  if (known !== undefined) return known.value;
  const [top] = await tx.read(
    "select coalesce(max(value) + 1, ?1) as value from leases where kind = 'uid' and value between ?1 and ?2",
    [from, to],
    valueRow,
  );
  // Behind the highest lease there is nearly always a free number; walking up from the first takes milliseconds.
  for (const start of new Set([top?.value ?? from, from])) {
    const [leased] = await tx.read(
      `with recursive candidates (value) as (
         select ?1 where ?1 <= ?2 union all select value + 1 from candidates where value < ?2
       )
       insert into leases (kind, value, permit_id, holder, leased_at_ms)
       select 'uid', value, ?3, ?4, ?5 from candidates
       where not exists (select 1 from leases where kind = 'uid' and leases.value = candidates.value)
         and value not in (select value from json_each(?6))
       limit 1
       returning value`,
      [start, to, permitId, holder, nowMs, JSON.stringify(avoid)],
      valueRow,
    );
    if (leased !== undefined) return leased.value;
  }
  throw new Fault(
    "stalled",
    "quota-exceeded",
    `Cannot lease a uid for ${holder} of permit ${permitId}: all of ${from}-${to} are taken`,
    { advice: "Widen accounts.uidRange, or delete permits that are over" },
  );
}

/** Gives all numbers of a deleted permit back. Returns how many. */
export async function releaseLeases(tx: Tx, permitId: string): Promise<number> {
  return (await tx.run("delete from leases where permit_id = ?", [permitId])).changes;
}

/** The numbers leased to a permit. */
export function leasesOf(reader: Reader, permitId: string): Promise<Lease[]> {
  return reader.read(
    "select value, permit_id as permitId, holder from leases where kind = 'uid' and permit_id = ? order by value",
    [permitId],
    leaseRow,
  );
}
