/** permits: what each permit should be; members: the same people as rows that can be queried. */
import { z } from "zod";
import { membersIn, ROLES } from "../core/member.ts";
import type { Permit } from "../core/permit.ts";
import { asFlag, flag, json } from "./columns.ts";
import type { Reader, Tx } from "./db.ts";
import { matching, type Page, pageLimit, type PageRequest, toPage } from "./page.ts";

/** A permit with the times of its row. */
export interface StoredPermit extends Permit {
  createdAtMs: number;
  updatedAtMs: number;
}

/** Which permits to list; null: does not matter. */
export interface PermitFilter {
  status?: string | null;
  halted?: boolean | null;
  deletion?: Permit["deletion"] | null;
}

const person = z.object({ username: z.string(), uid: z.number().optional(), gid: z.number().optional() });
const holder = person.extend({
  id: z.string(),
  allowedCidrs: z.array(z.string()),
  sshPublicKeys: z.array(z.string()),
});
const members = z.object({
  dataHolders: z.array(holder),
  preprocessor: person.nullable(),
  reviewer: person.nullable(),
  setupReviewer: person.nullable(),
  researchers: z.array(person),
});
const account = z.object({ username: z.string(), uid: z.number(), gid: z.number() });

const permitRow = z.object({
  permitId: z.string(),
  status: z.string().nullable(),
  tier: z.string().nullable(),
  expiresAt: z.string().nullable(),
  expired: flag,
  members: json(members),
  accounts: json(z.record(z.string(), account)),
  holders: json(z.record(z.string(), z.string())),
  fsGroup: z.number(),
  ingressBatch: z.number(),
  ingressOpen: flag,
  stopRequested: flag,
  halted: flag,
  deletion: z.enum(["none", "requested", "done"]),
  lastRevision: z.number().nullable(),
  lastTime: z.string().nullable(),
  latestType: z.string().nullable(),
  latestBodyHash: z.string().nullable(),
  version: z.number(),
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
}).transform(({ latestType, latestBodyHash, ...rest }): StoredPermit => ({
  ...rest,
  latest: latestType === null || latestBodyHash === null
    ? null
    : { type: latestType, bodyHash: latestBodyHash },
}));

const COLUMNS =
  `permit_id as permitId, status, tier, expires_at as expiresAt, expired, members, accounts, holders,
  fs_group as fsGroup, ingress_batch as ingressBatch, ingress_open as ingressOpen,
  stop_requested as stopRequested, halted, deletion, last_revision as lastRevision, last_time as lastTime,
  latest_type as latestType, latest_body_hash as latestBodyHash, version,
  created_at_ms as createdAtMs, updated_at_ms as updatedAtMs`;

const countRow = z.object({ status: z.string(), permits: z.number() });

/** The permit as it was saved, or null for one that no event has named. */
export async function getPermit(reader: Reader, permitId: string): Promise<Permit | null> {
  const stored = await getStoredPermit(reader, permitId);
  if (stored === null) return null;
  const { createdAtMs: _created, updatedAtMs: _updated, ...permit } = stored;
  return permit;
}

/** The permit with the times of its row, or null. */
export async function getStoredPermit(reader: Reader, permitId: string): Promise<StoredPermit | null> {
  const rows = await reader.read(`select ${COLUMNS} from permits where permit_id = ?`, [permitId], permitRow);
  return rows[0] ?? null;
}

/** Inserts or replaces the permit's row and brings its members' rows into step. */
export async function savePermit(tx: Tx, permit: Permit, nowMs: number): Promise<void> {
  await tx.run(
    `insert into permits (permit_id, status, tier, expires_at, expired, expiry_due_ms, members, accounts, holders, fs_group, ingress_batch,
       ingress_open, stop_requested, halted, deletion, last_revision, last_time, latest_type, latest_body_hash,
       version, created_at_ms, updated_at_ms)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     on conflict (permit_id) do update set status = excluded.status, tier = excluded.tier,
       expires_at = excluded.expires_at, expired = excluded.expired,
       expiry_due_ms = case when excluded.expiry_due_ms is null then null
         when permits.expires_at is excluded.expires_at then permits.expiry_due_ms else excluded.expiry_due_ms end,
       members = excluded.members, accounts = excluded.accounts,
       holders = excluded.holders,
       fs_group = excluded.fs_group, ingress_batch = excluded.ingress_batch, ingress_open = excluded.ingress_open,
       stop_requested = excluded.stop_requested, halted = excluded.halted, deletion = excluded.deletion,
       last_revision = excluded.last_revision, last_time = excluded.last_time, latest_type = excluded.latest_type,
       latest_body_hash = excluded.latest_body_hash, version = excluded.version,
       updated_at_ms = excluded.updated_at_ms`,
    [
      permit.permitId,
      permit.status,
      permit.tier,
      permit.expiresAt,
      asFlag(permit.expired),
      isDated(permit) ? 0 : null,
      JSON.stringify(permit.members),
      JSON.stringify(permit.accounts),
      JSON.stringify(permit.holders),
      permit.fsGroup,
      permit.ingressBatch,
      asFlag(permit.ingressOpen),
      asFlag(permit.stopRequested),
      asFlag(permit.halted),
      permit.deletion,
      permit.lastRevision,
      permit.lastTime,
      permit.latest?.type ?? null,
      permit.latest?.bodyHash ?? null,
      permit.version,
      nowMs,
      nowMs,
    ],
  );
  await saveMembers(tx, permit, nowMs);
}

/** Whether the permit's date is still to be watched; a date that has come is looked at as soon as may be (0). */
function isDated({ expiresAt, expired, deletion }: Permit): boolean {
  return expiresAt !== null && !expired && deletion === "none";
}

async function saveMembers(tx: Tx, permit: Permit, nowMs: number): Promise<void> {
  const named = ROLES.flatMap((role) => membersIn(permit.members, role)).map(({ role, owner, username }) => {
    const known = permit.accounts[username];
    return { role, owner, username, uid: known?.uid ?? null, gid: known?.gid ?? null };
  });
  const people = JSON.stringify(named);
  await tx.run(
    `update members set active = 0, updated_at_ms = ?
     where permit_id = ? and active = 1 and (role, owner) not in
       (select value ->> 'role', value ->> 'owner' from json_each(?))`,
    [nowMs, permit.permitId, people],
  );
  // "where true" keeps SQLite's parser from reading "on conflict" as a join.
  await tx.run(
    `insert into members (permit_id, role, owner, username, uid, gid, active, since_at_ms, updated_at_ms)
     select ?, value ->> 'role', value ->> 'owner', value ->> 'username', value ->> 'uid', value ->> 'gid', 1, ?, ?
     from json_each(?) where true
     on conflict (permit_id, role, owner) do update set
       username = excluded.username, uid = excluded.uid, gid = excluded.gid, active = 1,
       since_at_ms = case when active = 1 then since_at_ms else excluded.since_at_ms end,
       updated_at_ms = excluded.updated_at_ms
     where active = 0 or username <> excluded.username or uid is not excluded.uid or gid is not excluded.gid`,
    [permit.permitId, nowMs, nowMs, people],
  );
}

/** The statuses of permits that nobody has asked to delete, by name, with how many have each. Reads the whole table. */
export function statusesInUse(reader: Reader): Promise<{ status: string; permits: number }[]> {
  return reader.read(
    `select status, count(*) as permits from permits where deletion = 'none' and status is not null
     group by status order by status`,
    [],
    countRow,
  );
}

/** Permits in the order of their ids. Fault `invalid` never: any text is a cursor. */
export async function listPermits(
  reader: Reader,
  filter: PermitFilter,
  page: PageRequest,
): Promise<Page<StoredPermit>> {
  const limit = pageLimit(page);
  const where = matching([
    ["permit_id > ?", page.cursor],
    ["status = ?", filter.status],
    ["halted = ?", filter.halted],
    ["deletion = ?", filter.deletion],
  ]);
  const rows = await reader.read(
    `select ${COLUMNS} from permits ${where.sql} order by permit_id limit ?`,
    [...where.args, limit + 1],
    permitRow,
  );
  return toPage(rows, limit, (permit) => permit.permitId);
}
