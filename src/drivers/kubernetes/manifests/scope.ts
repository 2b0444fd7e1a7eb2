/** A permit's namespace and its guards, as pure functions. */
import { permitName } from "../../../core/names.ts";
import { marks, NOTE } from "../marks.ts";
import type { ClusterTraits } from "../settings.ts";
import type { Manifest } from "../wire.ts";

/** Names of the guards; each namespace has one of each. */
export const GUARD = {
  quota: "wps-quota",
  limits: "wps-limits",
  defaultDeny: "wps-default-deny",
  /** The pods' account. It may do nothing and its token is never mounted. */
  account: "workspace",
  secretsAccess: "wps-secrets",
} as const;

/** A member has at most a workspace, a terminating predecessor and a consolidation at one time. */
const PODS_PER_MEMBER = 3;
/** Home, private home and uploads, and room for further generations and batches (invariant 3, DESIGN 4). */
const CLAIMS_PER_MEMBER = 16;
/** One per workspace, and one that is leaving. */
const SERVICES_PER_MEMBER = 2;
/** The permit's shared volumes and the gate's pods. */
const SHARED = 16;

/** What a container gets that asks for nothing; all of WPS's ask. Without a LimitRange claims are slow (FACTS 9). */
const CONTAINER_DEFAULT = { cpu: "1", memory: "1Gi" };
const CONTAINER_REQUEST = { cpu: "100m", memory: "128Mi" };

/** Selects every pod and allows nothing, both ways. */
export const DEFAULT_DENY_SPEC: NonNullable<Manifest<"networkpolicies">["spec"]> = {
  podSelector: {},
  policyTypes: ["Ingress", "Egress"],
};

/** What a permit's scope is made of. */
export interface ScopeManifests {
  namespace: Manifest<"namespaces">;
  quota: Manifest<"resourcequotas">;
  limits: Manifest<"limitranges">;
  defaultDeny: Manifest<"networkpolicies">;
  account: Manifest<"serviceaccounts">;
  secretsAccess: Manifest<"rolebindings">;
}

/** What {@link scopeManifests} renders from. */
export interface ScopeInput {
  permitId: string;
  fsGroup: number;
  members: number;
  /** Name of the ClusterRole for Secrets. */
  secretsRole: string;
  traits: ClusterTraits;
}

/** The namespace with Pod Security `restricted`, its quota, limits, default-deny, pod account and Secret access. */
export function scopeManifests(
  { permitId, fsGroup, members, secretsRole, traits }: ScopeInput,
): ScopeManifests {
  const namespace = permitName(permitId);
  const guard = (name: string, annotations: Record<string, string> = {}): {
    name: string;
    namespace: string;
    labels: Record<string, string>;
    annotations: Record<string, string>;
  } => ({ name, namespace, ...marks(permitId, "scope", {}, annotations) });
  const { labels, annotations } = marks(permitId, "scope", podSecurityLabels(traits), {
    [NOTE.fsGroup]: `${fsGroup}`,
  });
  return {
    namespace: { metadata: { name: namespace, labels, annotations } },
    quota: {
      metadata: guard(GUARD.quota, { [NOTE.members]: `${members}` }),
      spec: { hard: quotaOf(members) },
    },
    limits: {
      metadata: guard(GUARD.limits),
      spec: {
        limits: [{ type: "Container", default: CONTAINER_DEFAULT, defaultRequest: CONTAINER_REQUEST }],
      },
    },
    defaultDeny: {
      metadata: guard(GUARD.defaultDeny),
      // Empty lists are said, so that an apply takes back what somebody else put into them.
      spec: { ...DEFAULT_DENY_SPEC, ingress: [], egress: [] },
    },
    account: { metadata: guard(GUARD.account), automountServiceAccountToken: false },
    secretsAccess: {
      metadata: guard(GUARD.secretsAccess),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: secretsRole },
      subjects: [traits.account],
    },
  };
}

/** Pod Security `restricted`, pinned to one version of the standard (kubernetes.io: Pod Security Admission). */
export function podSecurityLabels(traits: Pick<ClusterTraits, "podSecurityVersion">): Record<string, string> {
  return {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": traits.podSecurityVersion,
  };
}

/** Counts that a permit of so many members never reaches by itself; quantities as the API server writes them. */
export function quotaOf(members: number): Record<string, string> {
  return {
    pods: `${SHARED + PODS_PER_MEMBER * members}`,
    persistentvolumeclaims: `${SHARED + CLAIMS_PER_MEMBER * members}`,
    services: `${SHARED + SERVICES_PER_MEMBER * members}`,
  };
}
