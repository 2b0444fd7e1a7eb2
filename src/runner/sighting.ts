/** An observation turned into what the store keeps of it: rows for people, records of volumes, news for others. */
import type { OutboxMessage } from "../core/audit.ts";
import { describeInstance, isOutdated, liveInstance, unmet } from "../core/condition.ts";
import type { IsolationEvidence } from "../core/evidence.ts";
import type { Observed, ObservedWorkspace, RefusedEntries } from "../core/observed.ts";
import type { Permit, VolumeRecord } from "../core/permit.ts";
import { type JobGlimpse, workspaceStatus } from "../core/permit_status.ts";
import type { Wish } from "../core/plan_taking.ts";
import type { Status } from "../core/status.ts";
import type { DesiredWorkspace } from "../core/workspace.ts";
import type { Tx } from "../store/db.ts";
import { latestEvidence, saveEvidence } from "../store/evidence.ts";
import { keepObjects, type ObjectsSeen } from "../store/objects.ts";
import { appendOutbox } from "../store/outbox.ts";
import { keepPasswords } from "../store/secrets.ts";
import { saveRefused } from "../store/refused_uploads.ts";
import { upsertVolume } from "../store/volumes.ts";
import { saveWorkspaces, type WorkspaceObservation, workspacesOf } from "../store/workspaces.ts";

/** What to keep. */
export interface Sighting {
  permitId: string;
  rows: WorkspaceObservation[];
  volumes: (VolumeRecord & { observed: string })[];
  /** Uploads that are not consolidated because of what they hold, by volume key. */
  refused: { key: string; refused: RefusedEntries }[];
  /** What the gates of consolidations saw before those saw data, by volume key. */
  proofs: { key: string; proof: IsolationEvidence }[];
  objects: ObjectsSeen;
  /** `workspace.*` messages for what changed against the rows kept before. */
  news(before: WorkspaceObservation[]): OutboxMessage[];
}

/**
 * Keeps a sighting that is new: rows, volumes, and news of what changed since the last one. The password of a workspace
 * that is seen stopped or gone is forgotten, however the stop came about: its next start makes a new one.
 */
export async function keepSighting(tx: Tx, sighting: Sighting, nowMs: number): Promise<void> {
  await restateSighting(tx, sighting, nowMs);
  await keepObjects(tx, sighting.permitId, sighting.objects);
  await keepPasswords(tx, sighting.permitId, sighting.rows.filter(isOn).map(({ key }) => key));
}

/**
 * Keeps a sighting again whose public words changed with its job. It forgets no password: what it shows as stopped may
 * have been started since, and its password made.
 */
export async function restateSighting(tx: Tx, sighting: Sighting, nowMs: number): Promise<void> {
  const { permitId, rows, volumes, refused: refusals, proofs } = sighting;
  const before = await workspacesOf(tx, permitId);
  await saveWorkspaces(tx, permitId, rows);
  for (const volume of volumes) await upsertVolume(tx, permitId, volume, nowMs);
  for (const { key, refused } of refusals) await saveRefused(tx, permitId, key, refused, nowMs);
  for (const { key, proof } of proofs) await keepProof(tx, permitId, key, proof, nowMs);
  await appendOutbox(tx, sighting.news(before), nowMs);
}

/** A pod passes its gate once, and is seen many times. */
async function keepProof(
  tx: Tx,
  permitId: string,
  workspaceKey: string,
  evidence: IsolationEvidence,
  atMs: number,
): Promise<void> {
  const instanceUid = evidence.pod.uid;
  if (await latestEvidence(tx, permitId, workspaceKey, instanceUid) !== null) return;
  await saveEvidence(tx, { permitId, workspaceKey, instanceUid, atMs, evidence });
}

function isOn({ observed }: WorkspaceObservation): boolean {
  return observed !== null && (observed.power === "running" || observed.instances.length > 0);
}

/** The sighting of one observation. Pure. */
export function sightingOf(
  permit: Permit,
  wish: Wish,
  observed: Observed,
  job: JobGlimpse,
): Sighting {
  const wanted = wish.mode === "apply" ? wish.workspaces : [];
  const keys = [...new Set([...wanted.map(({ key }) => key), ...observed.workspaces.map(({ key }) => key)])]
    .sort();
  const rows = keys.map((key) => {
    const want = wanted.find((candidate) => candidate.key === key) ?? null;
    const seen = observed.workspaces.find((candidate) => candidate.key === key) ?? null;
    return rowOf(key, want, seen, observed, job, wish);
  });
  const volumes = observed.volumes.map((volume) => ({
    key: volume.key,
    tainted: volume.tainted,
    bound: volume.state === "bound",
    destroyed: false,
    observed: [
      volume.state,
      volume.size,
      ...(volume.retained ? ["retained"] : []),
      ...(volume.detail ? [volume.detail] : []),
    ].join(", "),
  }));
  const refused = observed.tasks.flatMap(({ key, refused }) => refused == null ? [] : [{ key, refused }]);
  const proofs = observed.tasks.flatMap(({ key, proof }) => proof == null ? [] : [{ key, proof }]);
  return {
    permitId: permit.permitId,
    rows,
    volumes,
    refused,
    proofs,
    objects: observed,
    news: (before) => newsOf(permit, before, rows),
  };
}

function rowOf(
  key: string,
  want: DesiredWorkspace | null,
  seen: ObservedWorkspace | null,
  observed: Observed,
  job: JobGlimpse,
  wish: Wish,
): WorkspaceObservation {
  const live = seen === null ? null : liveInstance(seen);
  const kind = want?.kind ?? seen?.kind ?? "";
  const owner = want?.owner ?? seen?.owner ?? "";
  const network = seen?.network ?? null;
  return {
    key,
    kind,
    owner,
    username: want?.account.username ?? owner,
    wanted: want?.power ?? powerWithout(key, wish),
    status: statusWithout(seen, wish) ?? workspaceStatus(want, seen, job),
    posture: network?.state === "open" ? network.posture : want?.posture ?? null,
    network: network?.state ?? null,
    protocol: want?.protocol ?? seen?.endpoint?.protocol ?? null,
    host: seen?.endpoint?.host ?? null,
    port: seen?.endpoint?.port ?? null,
    instanceUid: live?.uid ?? null,
    node: live?.node ?? null,
    outdated: seen !== null && isOutdated(seen, want),
    mounts: live?.mounts ?? want?.mounts ?? [],
    detail: detailOf(key, want, seen, observed),
    observed: seen,
    observedAtMs: observed.atMs,
  };
}

/** What is asked of a workspace that is not desired in full. */
function powerWithout(key: string, wish: Wish): WorkspaceObservation["wanted"] {
  if (wish.mode === "doubt") return wish.named.get(key)?.power ?? "stopped";
  return wish.mode === "hold" ? "stopped" : "absent";
}

/** The word while the wish desires none: halted, or in doubt. Null: it follows from what is desired. */
function statusWithout(seen: ObservedWorkspace | null, wish: Wish): Status | null {
  if (wish.mode === "doubt") return "FAILED";
  if (wish.mode !== "hold") return null;
  return (seen?.instances.length ?? 0) > 0 ? "STOPPING" : "STOPPED";
}

function detailOf(
  key: string,
  want: DesiredWorkspace | null,
  seen: ObservedWorkspace | null,
  observed: Observed,
): string | null {
  if (seen?.network.state === "breached") return `${seen.network.by} opens its network`;
  if (want?.power === "running") return unmet({ is: "ready", workspace: key }, observed)[0] ?? null;
  const first = seen?.instances[0];
  return first === undefined ? seen?.terminating ?? null : describeInstance(first);
}

const NEWS: Partial<Record<Status, string>> = {
  RUNNING: "workspace.ready",
  STOPPED: "workspace.stopped",
  FAILED: "workspace.failed",
};

function newsOf(
  permit: Permit,
  before: WorkspaceObservation[],
  after: WorkspaceObservation[],
): OutboxMessage[] {
  const message = (key: string, row: WorkspaceObservation): OutboxMessage => ({
    topic: "workspace.events",
    key,
    permitId: permit.permitId,
    payload: {
      permitId: permit.permitId,
      workspace: row.key,
      kind: row.kind,
      username: row.username,
      status: row.status,
    },
  });
  const changed = after.flatMap((row) => {
    const earlier = before.find(({ key }) => key === row.key);
    const news = NEWS[row.status];
    return news === undefined || earlier?.status === row.status ? [] : [message(news, row)];
  });
  const gone = before.filter(({ key }) => !after.some((row) => row.key === key));
  return [...changed, ...gone.map((row) => message("workspace.destroyed", row))];
}
