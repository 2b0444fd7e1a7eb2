/** breaches: invariants that the last look at a permit found broken (DESIGN 5). */
import { z } from "zod";
import type { Breach } from "../core/invariants.ts";
import type { Reader, Tx } from "./db.ts";

/** One broken invariant, with since when. */
export interface BreachRow extends Breach {
  sinceMs: number;
}

/** Kept and told of one permit; more say nothing new. */
const BREACHES_MAX = 50;

const breachRow = z.object({
  invariant: z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4), z.literal(6), z.literal(8)]),
  target: z.string(),
  message: z.string(),
  sinceMs: z.number(),
});

const permitRow = z.object({ permitId: z.string() });

/** All that are known of a permit, by number. */
export function listBreaches(reader: Reader, permitId: string): Promise<BreachRow[]> {
  return reader.read(
    `select invariant, target, message, since_at_ms as sinceMs from breaches where permit_id = ?
     order by invariant, target, message`,
    [permitId],
    breachRow,
  );
}

/** Whether keeping what a look found would change anything. */
export async function isNews(reader: Reader, permitId: string, found: readonly Breach[]): Promise<boolean> {
  const known = await listBreaches(reader, permitId);
  const kept = found.slice(0, BREACHES_MAX);
  return kept.some((breach) => !known.some((row) => isSame(row, breach))) ||
    known.some((row) => !kept.some((breach) => isSame(row, breach)));
}

/** Keeps what a look found in the place of what the look before found. Returns those that are new. */
export async function keepBreaches(
  tx: Tx,
  permitId: string,
  found: readonly Breach[],
  nowMs: number,
): Promise<Breach[]> {
  const known = await listBreaches(tx, permitId);
  const kept = found.slice(0, BREACHES_MAX);
  for (
    const { invariant, target, message } of known.filter((row) => !kept.some((breach) => isSame(row, breach)))
  ) {
    await tx.run(
      "delete from breaches where permit_id = ? and invariant = ? and target = ? and message = ?",
      [permitId, invariant, target, message],
    );
  }
  const fresh = kept.filter((breach) => !known.some((row) => isSame(row, breach)));
  for (const { invariant, target, message } of fresh) {
    await tx.run(
      `insert into breaches (permit_id, invariant, target, message, since_at_ms) values (?, ?, ?, ?, ?)
       on conflict do nothing`,
      [permitId, invariant, target, message, nowMs],
    );
  }
  return fresh;
}

/** Permits in which an invariant is broken, by id, at most `limit`. */
export async function permitsInBreach(reader: Reader, limit: number): Promise<string[]> {
  const rows = await reader.read(
    `select distinct breaches.permit_id as permitId from breaches join permits using (permit_id)
     where permits.deletion <> 'done' order by breaches.permit_id limit ?`,
    [limit],
    permitRow,
  );
  return rows.map(({ permitId }) => permitId);
}

function isSame(one: Breach, other: Breach): boolean {
  return one.invariant === other.invariant && one.target === other.target && one.message === other.message;
}
