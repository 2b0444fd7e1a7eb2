/** WPS's marks on objects: whose they are (invariant 8), and what their fields alone cannot say. */
import { permitName } from "../../core/names.ts";
import type { StoredMetadata } from "./wire.ts";

/** Label keys. Values are names of core/names.ts, because a permit id is arbitrary text and a label's value is not. */
export const LABEL = {
  managedBy: "app.kubernetes.io/managed-by",
  name: "app.kubernetes.io/name",
  instance: "app.kubernetes.io/instance",
  component: "app.kubernetes.io/component",
  partOf: "app.kubernetes.io/part-of",
  permit: "spe.wps/permit",
  /** `workspaceName` of the workspace, on everything that belongs to it. */
  workspace: "spe.wps/workspace",
  /** `volumeName` of a volume, on its claim and what backs it. */
  volume: "spe.wps/volume",
  /** `taskName` of a consolidation. */
  task: "spe.wps/task",
  /** What a pod of a workspace is for; its Service and StatefulSet select by it, policies never do. */
  role: "spe.wps/role",
  /** A pod's own uid, set when its network is opened: the opened policy selects by it, so it never holds for another pod. */
  opened: "spe.wps/opened",
} as const;

/** Annotation keys. */
export const NOTE = {
  permitId: "spe.wps/permit-id",
  /** On a namespace: the permit's shared group, for people. */
  fsGroup: "spe.wps/fs-group",
  /** On a quota: for how many members it was made. */
  members: "spe.wps/members",
  workspaceKey: "spe.wps/workspace-key",
  username: "spe.wps/username",
  posture: "spe.wps/posture",
  protocol: "spe.wps/protocol",
  tier: "spe.wps/tier",
  /** The keys of the mounted volumes, as a JSON array; their claims' names prove them. */
  volumeKeys: "spe.wps/volume-keys",
  templateHash: "spe.wps/template-hash",
  identityHash: "spe.wps/identity-hash",
  /** On a pod with an isolation gate: a hash of the gate's container, so that an altered one shows. */
  gateHash: "spe.wps/gate-hash",
  /** On a pod with an isolation gate: what the control pod had reached before it was started, as JSON. */
  canaries: "spe.wps/canaries",
  /** On a control pod: when it was asked, and after which pods' gates, as JSON. */
  asking: "spe.wps/asking",
  /** On an opened policy: what it was rendered from, as JSON. */
  rules: "spe.wps/rules",
  /** On a shut policy: the version that the cut saw. Each cut is a write, so that whoever saw an older one is refused. */
  cutAfter: "spe.wps/cut-after",
  /** On a StatefulSet: the version that the stop saw; for the same reason. */
  stoppedAfter: "spe.wps/stopped-after",
  volumeKey: "spe.wps/volume-key",
  tainted: "spe.wps/tainted",
} as const;

/** Values of {@link LABEL.role}: the workspace itself, or a probe beside it that is to be judged by the same policies. */
export const ROLE = { desktop: "desktop", probe: "probe" } as const;

/** The value of {@link LABEL.managedBy}. */
export const MANAGER = "wps";

/** A selector for everything of WPS. */
export const OURS_SELECTOR = `${LABEL.managedBy}=${MANAGER}`;

/** Labels and annotations of an object of a permit. */
export interface Marks {
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

/** The marks that each object of a permit carries, with `labels` and `annotations` of its own beside them. */
export function marks(
  permitId: string,
  component: "scope" | "workspace" | "volume" | "consolidation",
  labels: Record<string, string> = {},
  annotations: Record<string, string> = {},
): Marks {
  const name = permitName(permitId);
  return {
    labels: {
      [LABEL.managedBy]: MANAGER,
      [LABEL.partOf]: name,
      [LABEL.component]: component,
      [LABEL.permit]: name,
      ...labels,
    },
    annotations: { [NOTE.permitId]: permitId, ...annotations },
  };
}

/** Whether an object carries WPS's mark for exactly this permit (invariant 8). */
export function isOurs({ metadata }: { metadata: StoredMetadata }, permitId: string): boolean {
  return metadata.labels?.[LABEL.managedBy] === MANAGER && metadata.annotations?.[NOTE.permitId] === permitId;
}

/** Why an object is not ours, for a person. */
export function whyForeign({ metadata }: { metadata: StoredMetadata }, permitId: string): string {
  if (metadata.labels?.[LABEL.managedBy] !== MANAGER) return `it has no label ${LABEL.managedBy}=${MANAGER}`;
  const other = metadata.annotations?.[NOTE.permitId];
  return other === undefined
    ? `it has no annotation ${NOTE.permitId}`
    : `it belongs to permit ${other}, not ${permitId}`;
}

/** One annotation, or null. */
export function note({ metadata }: { metadata: StoredMetadata }, key: string): string | null {
  return metadata.annotations?.[key] ?? null;
}
