/** Kubernetes objects as the API server tells them, read without WPS's own types: only what these tests look at. */

/** Kinds that are watched, with where the API server has them. */
export const KINDS = {
  namespaces: "/api/v1/namespaces",
  persistentvolumes: "/api/v1/persistentvolumes",
  persistentvolumeclaims: "/api/v1/persistentvolumeclaims",
  pods: "/api/v1/pods",
  services: "/api/v1/services",
  secrets: "/api/v1/secrets",
  serviceaccounts: "/api/v1/serviceaccounts",
  resourcequotas: "/api/v1/resourcequotas",
  limitranges: "/api/v1/limitranges",
  statefulsets: "/apis/apps/v1/statefulsets",
  jobs: "/apis/batch/v1/jobs",
  networkpolicies: "/apis/networking.k8s.io/v1/networkpolicies",
  rolebindings: "/apis/rbac.authorization.k8s.io/v1/rolebindings",
} as const;
/** One of {@link KINDS}. */
export type Kind = keyof typeof KINDS;

/** Metadata of every object. */
export interface Metadata {
  name: string;
  uid: string;
  resourceVersion: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  deletionTimestamp?: string;
}

/** Any object; `spec`, `status` and other members by kind, see below. */
export interface KubeObject {
  metadata: Metadata;
  // the API server's own shapes: what a test expects of them is what it asserts
  // deno-lint-ignore no-explicit-any
  [member: string]: any;
}

/** A label selector of a policy. */
export interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: unknown[];
}

/** One peer of a policy's rule. */
export interface Peer {
  ipBlock?: { cidr: string; except?: string[] };
  namespaceSelector?: Selector;
  podSelector?: Selector;
}

/** One port of a policy's rule. */
export interface PolicyPort {
  protocol?: string;
  port?: number | string;
  endPort?: number;
}

/** The part of a NetworkPolicy's spec that says what is allowed. */
export interface PolicySpec {
  podSelector?: Selector;
  policyTypes?: string[];
  ingress?: { from?: Peer[]; ports?: PolicyPort[] }[];
  egress?: { to?: Peer[]; ports?: PolicyPort[] }[];
}

/** Marks by which WPS's objects say what they are (DESIGN 8: labelled `app.kubernetes.io/*` and `spe.wps/*`). */
export const MARK = {
  permitId: "spe.wps/permit-id",
  username: "spe.wps/username",
  workspace: "spe.wps/workspace",
  workspaceKey: "spe.wps/workspace-key",
  volumeKey: "spe.wps/volume-key",
  tainted: "spe.wps/tainted",
  kind: "app.kubernetes.io/name",
  managedBy: "app.kubernetes.io/managed-by",
} as const;

/** An annotation or label, or "". */
export function markOf({ metadata }: KubeObject, name: string): string {
  return metadata.annotations?.[name] ?? metadata.labels?.[name] ?? "";
}

/** Whether a pod's processes have all ended, so that it can reach nothing any more. */
export function hasEnded(pod: KubeObject): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

/** Whether a pod says it is ready. */
export function isReady(pod: KubeObject): boolean {
  const conditions: { type: string; status: string }[] = pod.status?.conditions ?? [];
  return pod.metadata.deletionTimestamp === undefined &&
    conditions.some(({ type, status }) => type === "Ready" && status === "True");
}

/** Whether a selector chooses an object with these labels. */
export function selects(selector: Selector | undefined, labels: Record<string, string> = {}): boolean {
  if (selector?.matchExpressions !== undefined) throw new Error("The judge knows no matchExpressions");
  return Object.entries(selector?.matchLabels ?? {}).every(([name, value]) => labels[name] === value);
}
