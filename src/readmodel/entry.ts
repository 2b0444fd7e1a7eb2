/** What the platform's other services may know of a permit: `wps:workspace:{permitId}` (DESIGN 7). Never a password. */
import { isUsable } from "../core/permit_status.ts";
import { membersIn, ROLES } from "../core/member.ts";
import type { Endpoint } from "../core/observed.ts";
import type { Status } from "../core/status.ts";
import { pairsOf, type Snapshot, statusOf } from "../store/snapshot.ts";

/** Where every key begins. */
export const KEY_PREFIX = "wps:workspace:";

/** One workspace; where it is reached only while it can be used. */
export interface WorkspaceEntry {
  kind: string;
  username: string;
  status: Status;
  protocol: Endpoint["protocol"] | null;
  host: string | null;
  port: number | null;
}

/** The value of one key. `protocol`, `host`, `port` are those of the only usable workspace; of several, see each. */
export interface ReadModelEntry {
  permitId: string;
  status: Status;
  /** The accepted events that it reflects: an entry with a lower version is older. */
  version: number;
  members: { role: string; username: string }[];
  protocol: Endpoint["protocol"] | null;
  host: string | null;
  port: number | null;
  workspaces: WorkspaceEntry[];
}

/** The key of a permit. */
export function keyOf(permitId: string): string {
  return `${KEY_PREFIX}${permitId}`;
}

/** A snapshot's entry, or null where there should be none: the permit is gone for good. */
export function entryOf(snapshot: Snapshot): ReadModelEntry | null {
  const { permit, status } = snapshot;
  if (permit.deletion === "done") return null;
  const workspaces = pairsOf(snapshot).map((pair): WorkspaceEntry => {
    const { wanted, row } = pair;
    const seen = row?.observed ?? null;
    const endpoint = wanted !== null && seen !== null && isUsable(wanted, seen) ? seen.endpoint : null;
    return {
      kind: wanted?.kind ?? row?.kind ?? "",
      username: wanted?.account.username ?? row?.username ?? "",
      status: statusOf(snapshot, pair),
      protocol: endpoint?.protocol ?? null,
      host: endpoint?.host ?? null,
      port: endpoint?.port ?? null,
    };
  });
  const usable = workspaces.filter(({ host }) => host !== null);
  const only = usable.length === 1 ? usable[0] : undefined;
  return {
    permitId: permit.permitId,
    status,
    version: permit.version,
    members: ROLES.flatMap((role) => membersIn(permit.members, role))
      .map(({ role, username }) => ({ role, username })),
    protocol: only?.protocol ?? null,
    host: only?.host ?? null,
    port: only?.port ?? null,
    workspaces,
  };
}
