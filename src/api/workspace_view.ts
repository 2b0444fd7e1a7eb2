/** A snapshot's workspaces as callers see them: what the phase wants beside what was last seen. */
import { toInstant } from "../core/clock.ts";
import { isOutdated, liveInstance } from "../core/condition.ts";
import { provenInstances } from "../store/evidence.ts";
import { pairsOf, type Snapshot, statusOf, type WorkspacePair } from "../store/snapshot.ts";
import type { ApiDeps } from "./deps.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { WorkspaceView } from "./schemas/workspaces.ts";

/** What the views are made with. */
export type ViewDeps = Pick<ApiDeps, "db" | "secrets" | "log">;

/** The workspaces of a snapshot, with proofs and host keys read beside it. */
export async function workspaceViews(
  deps: ViewDeps,
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
    views.push(viewOf(snapshot, pair, proven, isAirlock ? await fingerprint(deps, permitId, owner) : null));
  }
  return views;
}

/** Null also where the key cannot be opened: who may see a status need not be able to open secrets. */
async function fingerprint(
  { secrets, log }: ViewDeps,
  permitId: string,
  holder: string,
): Promise<string | null> {
  try {
    const hostKey = await secrets.hostKey(permitId, holder);
    return hostKey === null ? null : fingerprintOf(hostKey);
  } catch (error) {
    log.warn("Cannot show a host key's fingerprint", { permit: permitId, error });
    return null;
  }
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
    outdated: seen !== null && isOutdated(seen, wanted),
    detail: row?.detail ?? null,
    observedAt: row === null ? null : toInstant(row.observedAtMs),
  };
}
