/** workspaces: each as last observed, in columns that can be listed and filtered (DESIGN 10). Passwords: secrets.ts. */
import { z } from "zod";
import type { ObservedWorkspace } from "../core/observed.ts";
import { type Posture, POSTURES, type Protocol } from "../core/phase.ts";
import { type Status, STATUSES } from "../core/status.ts";
import type { Mount } from "../core/workspace.ts";
import { asFlag, flag, json } from "./columns.ts";
import type { Reader, Tx } from "./db.ts";

/** A workspace as last seen. */
export interface WorkspaceObservation {
  /** `${kind}/${owner}`. */
  key: string;
  kind: string;
  owner: string;
  username: string;
  /** `absent`: the phase does not name it, it is being removed. */
  wanted: "running" | "stopped" | "absent";
  status: Status;
  posture: Posture | null;
  network: "shut" | "open" | "breached" | null;
  protocol: Protocol | null;
  host: string | null;
  port: number | null;
  instanceUid: string | null;
  node: string | null;
  outdated: boolean;
  mounts: Mount[];
  /** What it waits for or what is wrong, in a sentence. */
  detail: string | null;
  /** What the driver saw, whole; null: nothing of it exists. */
  observed: ObservedWorkspace | null;
  observedAtMs: number;
}

/** With the permit that it belongs to. */
export interface WorkspaceRow extends WorkspaceObservation {
  permitId: string;
}

const mount = z.object({
  volume: z.object({ volume: z.string(), owner: z.string().nullable(), generation: z.number() }),
  volumeKey: z.string(),
  path: z.string(),
  mode: z.enum(["ro", "rw", "wo"]),
});

const workspaceRow = z.object({
  permitId: z.string(),
  key: z.string(),
  kind: z.string(),
  owner: z.string(),
  username: z.string(),
  wanted: z.enum(["running", "stopped", "absent"]),
  status: z.enum(STATUSES),
  posture: z.enum(POSTURES).nullable(),
  network: z.enum(["shut", "open", "breached"]).nullable(),
  protocol: z.enum(["rdp", "vnc", "sftp"]).nullable(),
  host: z.string().nullable(),
  port: z.number().nullable(),
  instanceUid: z.string().nullable(),
  node: z.string().nullable(),
  outdated: flag,
  mounts: json(z.array(mount)),
  detail: z.string().nullable(),
  // Only saveWorkspaces writes this column, from the type; it is replaced at the next observation.
  observed: json(z.record(z.string(), z.unknown())).transform((seen) => seen as unknown as ObservedWorkspace)
    .nullable(),
  observedAtMs: z.number(),
});

const COLUMNS =
  `permit_id as permitId, key, kind, owner, username, wanted, status, posture, network, protocol,
  host, port, instance_uid as instanceUid, node, outdated, mounts, detail, observed, observed_at_ms as observedAtMs`;

/** Replaces the whole observation of a permit: workspaces not in `rows` are gone. */
export async function saveWorkspaces(
  tx: Tx,
  permitId: string,
  rows: readonly WorkspaceObservation[],
): Promise<void> {
  await tx.run("delete from workspaces where permit_id = ?", [permitId]);
  for (const row of rows) {
    await tx.run(
      `insert into workspaces (permit_id, key, kind, owner, username, wanted, status, posture, network, protocol,
         host, port, instance_uid, node, outdated, mounts, detail, observed, observed_at_ms)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      [
        permitId,
        row.key,
        row.kind,
        row.owner,
        row.username,
        row.wanted,
        row.status,
        row.posture,
        row.network,
        row.protocol,
        row.host,
        row.port,
        row.instanceUid,
        row.node,
        asFlag(row.outdated),
        JSON.stringify(row.mounts),
        row.detail,
        row.observed === null ? null : JSON.stringify(row.observed),
        row.observedAtMs,
      ],
    );
  }
}

/** The workspaces of one permit, by key. */
export function workspacesOf(reader: Reader, permitId: string): Promise<WorkspaceRow[]> {
  return reader.read(
    `select ${COLUMNS} from workspaces where permit_id = ? order by key`,
    [permitId],
    workspaceRow,
  );
}
