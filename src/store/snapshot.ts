/** One permit as the database has it: what should be, what was last seen, and its job. */
import type { Clock } from "../core/clock.ts";
import { desire, type Desired } from "../core/desired.ts";
import { isExpired } from "../core/expiry.ts";
import { type Fault, toFault } from "../core/fault.ts";
import type { Job } from "../core/job.ts";
import { permitStatus, rememberedStatus, workspaceStatus } from "../core/permit_status.ts";
import type { PhaseSet } from "../core/phase.ts";
import type { Site } from "../core/site.ts";
import type { Status } from "../core/status.ts";
import type { DesiredWorkspace } from "../core/workspace.ts";
import type { Reader } from "./db.ts";
import { latestJob, openJob } from "./jobs.ts";
import { getStoredPermit, type StoredPermit } from "./permits.ts";
import { listVolumes, type VolumeRow } from "./volumes.ts";
import { type WorkspaceRow, workspacesOf } from "./workspaces.ts";

/** Everything that the answers about one permit are made from. */
export interface Snapshot {
  permit: StoredPermit;
  /** The last observation. */
  rows: WorkspaceRow[];
  volumes: VolumeRow[];
  /** The open job, else the latest that ended; null: none yet. */
  job: Job | null;
  /** What should be; null with `fault` when it cannot be computed. */
  desired: Desired | null;
  fault: Fault | null;
  status: Status;
  /** The permit's time is over, and it is not deleted. */
  expired: boolean;
}

/** What a snapshot is computed with. */
export interface SnapshotDeps {
  db: Reader;
  phases: PhaseSet;
  /** Why `phases` is empty: they cannot be read. What is told then is what was seen last. */
  phasesFault?: Fault;
  site: Site;
  /** Whether a permit has expired is a matter of now. */
  clock: Pick<Clock, "now">;
}

/** A workspace with both sides; at least one of them is there. */
export interface WorkspacePair {
  key: string;
  wanted: DesiredWorkspace | null;
  row: WorkspaceRow | null;
}

/** The permit's snapshot, or null for one that no event has named. */
export async function readSnapshot(deps: SnapshotDeps, permitId: string): Promise<Snapshot | null> {
  const permit = await getStoredPermit(deps.db, permitId);
  return permit === null ? null : await snapshotOf(deps, permit);
}

/** The snapshot of a permit that was read already. */
export async function snapshotOf(deps: SnapshotDeps, permit: StoredPermit): Promise<Snapshot> {
  const { db, phases, phasesFault, site } = deps;
  const nowMs = deps.clock.now();
  const expired = permit.deletion === "none" && isExpired(permit, nowMs);
  const rows = await workspacesOf(db, permit.permitId);
  const volumes = await listVolumes(db, permit.permitId);
  const job = await openJob(db, permit.permitId) ?? await latestJob(db, permit.permitId);
  const observed = rows.flatMap((row) => row.observed === null ? [] : [row.observed]);
  if (phasesFault !== undefined) {
    const status = rememberedStatus({ permit, observed, job, nowMs }, rows.map((row) => row.status));
    return { permit, rows, volumes, job, desired: null, fault: phasesFault, status, expired };
  }
  let desired: Desired | null = null;
  let fault: Fault | null = null;
  try {
    // Volumes seen are records by now: an observation is kept in the same transaction as its volumes.
    desired = desire({ permit, records: volumes, observedVolumes: [], phases, site, nowMs });
  } catch (thrown) {
    fault = toFault(thrown);
  }
  const status = permitStatus({ permit, phases, desired, observed, job, nowMs });
  return { permit, rows, volumes, job, desired, fault, status, expired };
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
