/** Permits and their volumes as callers see them. */
import { toInstant } from "../core/clock.ts";
import { membersIn, ROLES } from "../core/member.ts";
import { accountKey, type Permit } from "../core/permit.ts";
import { parseVolumeKey, type VolumeId } from "../core/volume.ts";
import type { StoredPermit } from "../store/permits.ts";
import type { VolumeRow } from "../store/volumes.ts";
import { isOpen } from "./job_view.ts";
import type { PermitDetail, PermitView, VolumeView } from "./schemas/permits.ts";
import type { Snapshot } from "../store/snapshot.ts";

/** One permit for a list. */
export function permitView({ permit, job, status, expired }: Snapshot): PermitView {
  return {
    permitId: permit.permitId,
    status,
    phase: permit.status,
    ingressOpen: permit.ingressOpen,
    stopRequested: permit.stopRequested,
    halted: permit.halted,
    deletion: permit.deletion,
    tier: permit.tier,
    expiresAt: permit.expiresAt,
    expired,
    version: permit.version,
    revision: permit.lastRevision,
    jobId: job !== null && isOpen(job) ? job.id : null,
    updatedAt: toInstant(permit.updatedAtMs),
    deletedAt: deletedAt(permit),
  };
}

/** Deletion is final (DESIGN 3): the row's last change is the deletion's end. Null: something may be left. */
export function deletedAt({ deletion, updatedAtMs }: StoredPermit): string | null {
  return deletion === "done" ? toInstant(updatedAtMs) : null;
}

/** Everybody named now, role by role, with their accounts. */
export function memberViews(permit: Permit): PermitDetail["members"] {
  return ROLES.flatMap((role) => membersIn(permit.members, role)).map(({ role, username }) => {
    const account = permit.accounts[accountKey(username)];
    return { role, username, uid: account?.uid ?? null, gid: account?.gid ?? null };
  });
}

const SEEN_STATES = ["pending", "bound", "released", "terminating", "lost"] as const;

/** One of a permit's volumes. The row's words are "state, size[, retained][, what it waits for]". */
export function volumeView(row: VolumeRow, all: readonly VolumeRow[]): VolumeView {
  const id = parseVolumeKey(row.key);
  const [word, size, ...rest] = row.observed?.split(", ") ?? [];
  const seen = SEEN_STATES.find((state) => state === word);
  const isRetained = rest[0] === "retained";
  const detail = rest.slice(isRetained ? 1 : 0).join(", ");
  return {
    key: row.key,
    ...id,
    state: row.destroyed ? "destroyed" : seen ?? "absent",
    tainted: row.tainted,
    taintedAt: row.taintedAtMs === null ? null : toInstant(row.taintedAtMs),
    taintedUnder: row.taintedUnder,
    superseded: !row.destroyed && all.some(({ key }) => isNewerOf(id, parseVolumeKey(key))),
    retained: !row.destroyed && isRetained,
    size: row.destroyed ? null : size ?? null,
    detail: row.destroyed || detail === "" ? null : detail,
  };
}

function isNewerOf(one: VolumeId, other: VolumeId): boolean {
  return other.volume === one.volume && other.owner === one.owner && other.generation > one.generation;
}
