/** What the end of a permit's namespace would destroy although it is not WPS's (invariant 8). */
import { Fault } from "../../core/fault.ts";
import { permitName } from "../../core/names.ts";
import { isAbsent } from "./answers.ts";
import { isOurs, whyForeign } from "./marks.ts";
import { readOtherKinds } from "./other_kinds.ts";
import type { KubernetesSettings } from "./settings.ts";
import { type Manifest, type MetadataOnly, type OtherKind, type Resource, RESOURCES } from "./wire.ts";
import { applyOwned, type Writing } from "./write.ts";

/**
 * The kinds that are looked for in any case: WPS's own, and those of Kubernetes itself that hold somebody's work or
 * settings. Others, custom resources among them, are found by discovery, and listed as far as the role lets WPS. Events,
 * and the revisions that controllers keep, are records of the past.
 */
export const DOOMED_KINDS = [
  "configmaps",
  "cronjobs",
  "daemonsets",
  "deployments",
  "endpoints",
  "endpointslices",
  "horizontalpodautoscalers",
  "ingresses",
  "jobs",
  "leases",
  "limitranges",
  "networkpolicies",
  "persistentvolumeclaims",
  "poddisruptionbudgets",
  "pods",
  "podtemplates",
  "replicasets",
  "replicationcontrollers",
  "resourcequotas",
  "rolebindings",
  "roles",
  "secrets",
  "serviceaccounts",
  "services",
  "statefulsets",
] as const satisfies readonly Resource[];

/** What the cluster itself puts into each namespace: Kubernetes, then OpenShift, then Istio. */
const BUILT_IN: ReadonlySet<string> = new Set([
  "ConfigMap/kube-root-ca.crt",
  "ServiceAccount/default",
  "ConfigMap/openshift-service-ca.crt",
  "RoleBinding/system:deployers",
  "RoleBinding/system:image-builders",
  "RoleBinding/system:image-pullers",
  "ServiceAccount/builder",
  "ServiceAccount/deployer",
  "ConfigMap/istio-ca-root-cert",
]);
/** On the Secrets that the API server or OpenShift makes for a service account. */
const TOKEN_OF = "kubernetes.io/service-account.name";

/** Who keeps the addresses behind Services, as slices and endpoints name it since Kubernetes 1.21 and 1.33. */
const ADDRESS_KEEPERS: Readonly<Record<string, readonly string[]>> = {
  "endpointslice.kubernetes.io/managed-by": [
    "endpointslice-controller.k8s.io",
    "endpointslicemirroring-controller.k8s.io",
  ],
  "endpoints.kubernetes.io/managed-by": ["endpoint-controller"],
};
const KEEPER_PROCESS = "kube-controller-manager";
const KEEPER_TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time";
const ADDRESS_KINDS: ReadonlySet<string> = new Set([RESOURCES.endpoints.kind, RESOURCES.endpointslices.kind]);

/** All objects of one kind. */
export interface Found {
  /** As the API names it: "ConfigMap". */
  kind: string;
  objects: MetadataOnly[];
}

/** An object that nobody may destroy by the way. */
export interface Doomed {
  /** "ConfigMap wps-p-…/notes". */
  object: string;
  why: string;
}

/** What was found, and which kinds could not be looked for. */
export interface DoomedReport {
  doomed: Doomed[];
  /** "volumesnapshots.snapshot.storage.k8s.io": the role does not let WPS list them. */
  unlisted: string[];
}

/** Which of these the namespace's end must wait for. What a controller made of a listed object is told of by that object. */
export function doomedAmong(
  found: readonly Found[],
  permitId: string,
  { imagePullSecrets, inEachNamespace }: Pick<KubernetesSettings, "imagePullSecrets" | "inEachNamespace">,
): Doomed[] {
  const known = new Set([
    ...BUILT_IN,
    ...inEachNamespace,
    ...imagePullSecrets.map((name) => `${RESOURCES.secrets.kind}/${name}`),
  ]);
  const uids = new Set(found.flatMap(({ objects }) => objects).map(({ metadata }) => metadata.uid));
  const isMade = ({ metadata: { ownerReferences = [], annotations } }: MetadataOnly): boolean =>
    ownerReferences.some(({ uid, controller }) => controller === true && uids.has(uid)) ||
    annotations?.[TOKEN_OF] !== undefined;
  return found.flatMap(({ kind, objects }) =>
    objects.filter((object) =>
      !isOurs(object, permitId) && !isMade(object) && !isOfAddressKeeper(kind, object) &&
      !known.has(`${kind}/${object.metadata.name}`)
    ).map((object) => ({
      object: `${kind} ${permitName(permitId)}/${object.metadata.name}`,
      why: whyForeign(object, permitId),
    }))
  );
}

/**
 * Whether a controller keeps these addresses, of a Service that may have gone a moment ago. Older clusters say so by
 * who wrote the Endpoints last, or when its pods did.
 */
function isOfAddressKeeper(kind: string, { metadata }: MetadataOnly): boolean {
  if (!ADDRESS_KINDS.has(kind)) return false;
  const isLabelled = Object.entries(ADDRESS_KEEPERS).some(([label, keepers]) =>
    keepers.includes(metadata.labels?.[label] ?? "")
  );
  const writers = metadata.managedFields ?? [];
  return isLabelled || metadata.annotations?.[KEEPER_TRIGGER] !== undefined ||
    (writers.length > 0 && writers.every(({ manager }) => manager === KEEPER_PROCESS));
}

/**
 * Reads it from the API server, all kinds side by side. `access`: WPS's own RoleBinding, without which no Secret shows;
 * where somebody removed it, it is written again first, because what cannot be seen may be anybody's.
 */
export async function readDoomed(
  writing: Writing,
  access: Manifest<"rolebindings">,
  settings: Pick<KubernetesSettings, "imagePullSecrets" | "inEachNamespace">,
): Promise<DoomedReport> {
  const { client, permitId, signal } = writing;
  const { listable, unlisted } = await readOtherKinds(client, permitName(permitId), signal);
  const found = await Promise.all([
    ...DOOMED_KINDS.map(async (resource) => ({
      kind: RESOURCES[resource].kind,
      objects: await readKnown(writing, resource, access),
    })),
    ...listable.map(async (kind) => ({ kind: kind.kind, objects: await readOther(writing, kind) })),
  ]);
  return { doomed: doomedAmong(found, permitId, settings), unlisted };
}

async function readKnown(
  writing: Writing,
  resource: Resource,
  access: Manifest<"rolebindings">,
): Promise<MetadataOnly[]> {
  const { client, permitId, signal } = writing;
  const namespace = permitName(permitId);
  try {
    return (await client.listMetadata(resource, { namespace }, signal)).items;
  } catch (thrown) {
    if (resource !== "secrets" || !(thrown instanceof Fault) || thrown.reason !== "denied") throw thrown;
    await applyOwned(writing, "rolebindings", access);
    return (await client.listMetadata(resource, { namespace }, signal)).items;
  }
}

async function readOther({ client, permitId, signal }: Writing, kind: OtherKind): Promise<MetadataOnly[]> {
  try {
    return await client.listOther(kind, permitName(permitId), signal);
  } catch (thrown) {
    if (isAbsent(thrown)) return []; // its definition went in between, and every object of it
    throw thrown;
  }
}
