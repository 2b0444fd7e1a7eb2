/** What is due because of permits' dates, and the warnings that were given (permits.expiry_due_ms, expiry_warnings). */
import { z } from "zod";
import type { Reader, Tx } from "./db.ts";
import { getMeta, setMeta } from "./meta.ts";

const permitRow = z.object({ permitId: z.string() });
const expiringRow = z.object({ permitId: z.string(), expiresAt: z.string(), total: z.number() });
const dueRow = z.object({ atMs: z.number() });

/** Permits of which something is due at `nowMs` (epoch milliseconds), the earliest first. */
export async function dueExpiries(reader: Reader, nowMs: number, limit: number): Promise<string[]> {
  const rows = await reader.read(
    `select permit_id as permitId from permits where expiry_due_ms is not null and expiry_due_ms <= ?
     order by expiry_due_ms, permit_id limit ?`,
    [nowMs, limit],
    permitRow,
  );
  return rows.map(({ permitId }) => permitId);
}

/** When the next of all permits is due, in epoch milliseconds; null: none ever. */
export async function nextExpiry(reader: Reader): Promise<number | null> {
  const rows = await reader.read(
    "select expiry_due_ms as atMs from permits where expiry_due_ms is not null order by expiry_due_ms limit 1",
    [],
    dueRow,
  );
  return rows[0]?.atMs ?? null;
}

/** Notes when the permit's date is to be looked at again (null: never), and whether its passing is on record. */
export async function keepExpiry(
  tx: Tx,
  permitId: string,
  { expired, dueAtMs }: { expired: boolean; dueAtMs: number | null },
  nowMs: number,
): Promise<void> {
  await tx.run(
    `update permits set expiry_due_ms = ?1, expired = max(expired, ?2),
       updated_at_ms = case when expired < ?2 then ?3 else updated_at_ms end where permit_id = ?4`,
    [dueAtMs, expired ? 1 : 0, nowMs, permitId],
  );
}

/** Notes a warning; false: it was given for this date before. */
export async function noteWarning(
  tx: Tx,
  warning: { permitId: string; expiresAt: string; days: number },
  nowMs: number,
): Promise<boolean> {
  const { permitId, expiresAt, days } = warning;
  const { changes } = await tx.run(
    "insert into expiry_warnings (permit_id, expires_at, days, at_ms) values (?, ?, ?, ?) on conflict do nothing",
    [permitId, expiresAt, days, nowMs],
  );
  return changes > 0;
}

/** Warned of for its present date, which has not passed. */
const EXPIRING =
  `permits.deletion = 'none' and permits.expired = 0 and exists (select 1 from expiry_warnings as given
  where given.permit_id = permits.permit_id and given.expires_at = permits.expires_at)`;

/** Whether a warning was given for the date that the permit has, and its end is not on record. */
export async function isExpiring(reader: Reader, permitId: string): Promise<boolean> {
  const sql = `select permit_id as permitId from permits where permit_id = ? and ${EXPIRING}`;
  return (await reader.read(sql, [permitId], permitRow)).length > 0;
}

/** How many such permits there are, and the first of them with their dates, the earliest first. */
export async function listExpiring(
  reader: Reader,
  limit: number,
): Promise<{ total: number; first: { permitId: string; expiresAt: string }[] }> {
  const rows = await reader.read(
    `select permit_id as permitId, expires_at as expiresAt, count(*) over () as total from permits where ${EXPIRING}
     order by julianday(expires_at), permit_id limit ?`,
    [limit],
    expiringRow,
  );
  return {
    total: rows[0]?.total ?? 0,
    first: rows.map(({ permitId, expiresAt }) => ({ permitId, expiresAt })),
  };
}

/**
 * Has every date looked at anew where the site's days of warning are others than at the last start: what was due by the
 * old ones is not what is due now.
 */
export async function rearmExpiries(tx: Tx, warnDays: readonly number[]): Promise<void> {
  const days = JSON.stringify(warnDays);
  if (await getMeta(tx, WARN_DAYS) === days) return;
  await tx.run("update permits set expiry_due_ms = 0 where expiry_due_ms is not null", []);
  await setMeta(tx, WARN_DAYS, days);
}

const WARN_DAYS = "expiry.warnDays";
