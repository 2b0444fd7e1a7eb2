/** What the end of a permit's namespace would destroy although it is not WPS's (invariant 8). */
import { Fault } from "../../core/fault.ts";
import { permitName } from "../../core/names.ts";
import { applyOwned, type Writing } from "./write.ts";
import { isOurs, whyForeign } from "./marks.ts";
import type { KubernetesSettings } from "./settings.ts";
import { describePlace, type Manifest, type MetadataOnly, type Resource, RESOURCES } from "./wire.ts";

/**
 * The kinds that are looked for: WPS's own, and those of Kubernetes itself that hold somebody's work or settings. Others,
 * custom resources among them, are not: the role would have to let WPS list everything.
 */
export const DOOMED_KINDS = [
  "configmaps",
  "cronjobs",
  "daemonsets",
  "deployments",
  "ingresses",
  "jobs",
  "limitranges",
  "networkpolicies",
  "persistentvolumeclaims",
  "pods",
  "replicasets",
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

/** An object that nobody may destroy by the way. */
export interface Doomed {
  /** "ConfigMap wps-p-…/notes". */
  object: string;
  why: string;
}

/** Which of these the namespace's end must wait for. What a controller made of a listed object is told of by that object. */
export function doomedAmong(
  found: ReadonlyMap<Resource, MetadataOnly[]>,
  permitId: string,
  { imagePullSecrets, inEachNamespace }: Pick<KubernetesSettings, "imagePullSecrets" | "inEachNamespace">,
): Doomed[] {
  const known = new Set([
    ...BUILT_IN,
    ...inEachNamespace,
    ...imagePullSecrets.map((name) => `${RESOURCES.secrets.kind}/${name}`),
  ]);
  const uids = new Set([...found.values()].flat().map(({ metadata }) => metadata.uid));
  const isMade = ({ metadata: { ownerReferences = [], annotations } }: MetadataOnly): boolean =>
    ownerReferences.some(({ uid, controller }) => controller === true && uids.has(uid)) ||
    annotations?.[TOKEN_OF] !== undefined;
  return [...found].flatMap(([resource, objects]) =>
    objects.filter((object) =>
      !isOurs(object, permitId) && !isMade(object) &&
      !known.has(`${RESOURCES[resource].kind}/${object.metadata.name}`)
    ).map((object) => ({
      object: describePlace(resource, { namespace: permitName(permitId), name: object.metadata.name }),
      why: whyForeign(object, permitId),
    }))
  );
}

/**
 * Reads it from the API server. `access`: WPS's own RoleBinding, without which no Secret shows; where somebody removed it,
 * it is written again first, because what cannot be seen may be anybody's.
 */
export async function readDoomed(
  writing: Writing,
  access: Manifest<"rolebindings">,
  settings: Pick<KubernetesSettings, "imagePullSecrets" | "inEachNamespace">,
): Promise<Doomed[]> {
  const { client, permitId, signal } = writing;
  const namespace = permitName(permitId);
  const read = async (resource: Resource): Promise<[Resource, MetadataOnly[]]> => {
    try {
      return [resource, (await client.listMetadata(resource, { namespace }, signal)).items];
    } catch (thrown) {
      if (resource !== "secrets" || !(thrown instanceof Fault) || thrown.reason !== "denied") throw thrown;
      await applyOwned(writing, "rolebindings", access);
      return [resource, (await client.listMetadata(resource, { namespace }, signal)).items];
    }
  };
  return doomedAmong(new Map(await Promise.all(DOOMED_KINDS.map(read))), permitId, settings);
}
