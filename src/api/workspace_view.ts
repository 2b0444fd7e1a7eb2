/** A snapshot's workspaces as callers see them: what the phase wants beside what was last seen. */
import { toInstant } from "../core/clock.ts";
import { liveInstance } from "../core/condition.ts";
import type { DesiredWorkspace } from "../core/workspace.ts";
import { workspaceStatus } from "../core/permit_status.ts";
import type { Status } from "../core/status.ts";
import { provenInstances } from "../store/evidence.ts";
import type { WorkspaceRow } from "../store/workspaces.ts";
import type { ApiDeps } from "./deps.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { WorkspaceView } from "./schemas/workspaces.ts";
import type { Snapshot } from "./snapshot.ts";

/** A workspace with both sides; at least one of them is there. */
export interface WorkspacePair {
  key: string;
  wanted: DesiredWorkspace | null;
  row: WorkspaceRow | null;
}

/** All workspaces of a snapshot by key: those that should be and those that were seen. */
export function pairsOf({ desired, rows }: Snapshot): WorkspacePair[] {
  const wanted = desired?.mode === "apply" ? desired.workspaces : [];
  const seen = rows.filter((row) => row.observed !== null);
  const keys = [...new Set([...wanted, ...seen].map(({ key }) => key))].sort();
  return keys.map((key) => ({
    key,
    wanted: wanted.find((workspace) => workspace.key === key) ?? null,
    row: rows.find((row) => row.key === key) ?? null,
  }));
}

/** One workspace's word: while the desired side names none (halt, unknown status), the row's own. */
export function statusOf({ desired, job }: Snapshot, { wanted, row }: WorkspacePair): Status {
  const names = desired?.mode === "apply" || desired?.mode === "destroy";
  if (names) return workspaceStatus(wanted, row?.observed ?? null, job);
  if (desired?.mode === "hold") return row?.observed?.instances.length ? "STOPPING" : "STOPPED";
  return row?.status ?? "FAILED";
}

/** The workspaces of a snapshot, with proofs and host keys read beside it. */
export async function workspaceViews(
  deps: Pick<ApiDeps, "db" | "secrets">,
  snapshot: Snapshot,
): Promise<WorkspaceView[]> {
  const { permitId } = snapshot.permit;
  const pairs = pairsOf(snapshot);
  if (pairs.length === 0) return [];
  const proven = await provenInstances(deps.db, permitId);
  const views: WorkspaceView[] = [];
  for (const pair of pairs) {
    const isAirlock = (pair.wanted?.protocol ?? pair.row?.protocol) === "sftp";
    const owner = pair.wanted?.owner ?? pair.row?.owner ?? "";
    const hostKey = isAirlock ? await deps.secrets.hostKey(permitId, owner) : null;
    views.push(viewOf(snapshot, pair, proven, hostKey === null ? null : fingerprintOf(hostKey)));
  }
  return views;
}

function viewOf(
  snapshot: Snapshot,
  pair: WorkspacePair,
  proven: ReadonlySet<string>,
  hostKeyFingerprint: string | null,
): WorkspaceView {
  const { key, wanted, row } = pair;
  const seen = row?.observed ?? null;
  const live = seen === null ? null : liveInstance(seen);
  const account = wanted?.account ?? snapshot.permit.accounts[row?.username ?? ""] ?? null;
  const mounts = live?.mounts ?? wanted?.mounts ?? row?.mounts ?? [];
  return {
    permitId: snapshot.permit.permitId,
    key,
    kind: wanted?.kind ?? row?.kind ?? "",
    owner: wanted?.owner ?? row?.owner ?? "",
    username: wanted?.account.username ?? row?.username ?? null,
    uid: account?.uid ?? null,
    gid: account?.gid ?? null,
    status: statusOf(snapshot, pair),
    wanted: wanted?.power ?? (snapshot.desired?.mode === "hold" ? "stopped" : "absent"),
    posture: wanted?.posture ?? row?.posture ?? null,
    network: seen?.network.state ?? null,
    proven: live !== null && proven.has(live.uid),
    ready: live?.ready ?? false,
    mounts: mounts.map(({ volumeKey, path, mode }) => ({ volume: volumeKey, path, mode })),
    endpoint: seen?.endpoint ?? null,
    hostKeyFingerprint,
    outdated: seen?.outdated ?? false,
    detail: row?.detail ?? null,
    observedAt: row === null ? null : toInstant(row.observedAtMs),
  };
}
