/** The permit's namespace as it stands: complete, incomplete, going away. */
import { MEMBERS_MAX } from "../../../core/member.ts";
import { permitName } from "../../../core/names.ts";
import type { ObservedScope, Seen } from "../../../core/observed.ts";
import { canonicalJson } from "../../../core/sha256.ts";
import { DEFAULT_DENY_SPEC, GUARD, scopeManifests } from "../manifests/scope.ts";
import { isOurs, NOTE, note } from "../marks.ts";
import type { ClusterTraits, KubernetesSettings } from "../settings.ts";
import { type MetadataOnly, type Resource, RESOURCES, type StoredMetadata } from "../wire.ts";
import type { Snapshot } from "./snapshot.ts";

/** Identity and version of an object (invariant 9). */
export function seenOf({ metadata }: { metadata: StoredMetadata }): NonNullable<Seen> {
  return { uid: metadata.uid, version: metadata.resourceVersion };
}

/** Finalizers for a person: "finalizers a, b"; null when there are none. */
export function finalizersOf({ metadata }: MetadataOnly): string | null {
  const names = metadata.finalizers ?? [];
  return names.length === 0 ? null : `${names.length === 1 ? "finalizer" : "finalizers"} ${names.join(", ")}`;
}

/** The namespace's state. A namespace of somebody else's is reported as foreign, and the scope as absent. */
export function scopeOf(
  snapshot: Snapshot,
  settings: Pick<KubernetesSettings, "secretsRole">,
  traits: ClusterTraits,
): ObservedScope {
  const { namespace, permitId } = snapshot;
  if (namespace === null || !isOurs(namespace, permitId)) return { state: "absent" };
  const name = namespace.metadata.name, seen = seenOf(namespace);
  if (namespace.metadata.deletionTimestamp !== undefined) {
    return { state: "terminating", name, detail: terminatingDetail(snapshot, name), seen };
  }
  const faults = guardFaults(snapshot, settings, traits);
  return {
    state: faults.length === 0 ? "intact" : "incomplete",
    name,
    detail: faults.join("; ") || null,
    seen,
  };
}

/** What the namespace controller says it waits for, by its own condition names. */
function terminatingDetail(snapshot: Snapshot, name: string): string {
  const raised = (snapshot.namespace?.status?.conditions ?? []).filter(({ status }) => status === "True");
  const texts = raised.map(({ type, message }) => `${type}: ${message ?? "no message"}`);
  return [`Namespace ${name} is Terminating`, ...texts, ...heldObjects(snapshot)].join("; ");
}

/** The conditions count what is held; these are its names. */
function heldObjects({ claims, pods, jobs, statefulSets, services, secrets }: Snapshot): string[] {
  const kinds: [string, MetadataOnly[]][] = [
    ["PVC", claims],
    ["pod", pods],
    ["Job", jobs],
    ["StatefulSet", statefulSets],
    ["Service", services],
    ["Secret", secrets],
  ];
  const held = kinds.flatMap(([kind, objects]) =>
    objects.flatMap((object) => {
      const finalizers = finalizersOf(object);
      const isLeaving = object.metadata.deletionTimestamp !== undefined;
      return isLeaving && finalizers !== null ? [`${kind} ${object.metadata.name}: ${finalizers}`] : [];
    })
  );
  return held.slice(0, HELD_MAX);
}

/** So many names say enough, and a job's line stays readable. */
const HELD_MAX = 10;

/** One guard: the objects among which it is found, and the fields that it must have. */
interface Guard {
  resource: Resource;
  among: MetadataOnly[];
  expected: { metadata: { name: string } };
  fields: string[];
}

/** Which guards are missing, foreign or altered, one text each. The API server's defaults may stand beside our fields. */
export function guardFaults(
  snapshot: Snapshot,
  { secretsRole }: Pick<KubernetesSettings, "secretsRole">,
  traits: ClusterTraits,
): string[] {
  const { permitId, quotas, limits, policies, accounts, bindings, namespace } = snapshot;
  const quota = quotas.find(({ metadata }) => metadata.name === GUARD.quota);
  const members = Number(quota === undefined ? MEMBERS_MAX : note(quota, NOTE.members));
  const expected = scopeManifests({ permitId, fsGroup: 0, members, secretsRole, traits });
  const guards: Guard[] = [
    { resource: "resourcequotas", among: quotas, expected: expected.quota, fields: ["spec"] },
    { resource: "limitranges", among: limits, expected: expected.limits, fields: ["spec"] },
    { resource: "networkpolicies", among: policies, expected: expected.defaultDeny, fields: [] },
    {
      resource: "serviceaccounts",
      among: accounts,
      expected: expected.account,
      fields: ["automountServiceAccountToken"],
    },
    {
      resource: "rolebindings",
      among: bindings,
      expected: expected.secretsAccess,
      fields: ["roleRef", "subjects"],
    },
  ];
  const labels = namespace?.metadata.labels ?? {};
  const altered = Object.entries(expected.namespace.metadata.labels ?? {})
    .filter(([key, value]) => labels[key] !== value).map(([key]) => key);
  return [
    ...(altered.length > 0
      ? [`Namespace ${permitName(permitId)} has other labels: ${altered.join(", ")}`]
      : []),
    ...guards.flatMap((guard) => faultOfGuard(guard, snapshot) ?? []),
  ];
}

function faultOfGuard({ resource, among, expected, fields }: Guard, snapshot: Snapshot): string | null {
  const { name } = expected.metadata;
  const text = `${RESOURCES[resource].kind} ${name}`;
  const live = among.find(({ metadata }) => metadata.name === name);
  if (live === undefined) return `${text} is missing`;
  if (!isOurs(live, snapshot.permitId)) return `${text} is not WPS's`;
  if (live.metadata.deletionTimestamp !== undefined) return `${text} is being deleted`;
  const fits = resource === "networkpolicies"
    ? isDefaultDenyIntact(snapshot)
    : fields.every((field) => holds(Reflect.get(live, field), Reflect.get(expected, field)));
  return fits ? null : `${text} is altered`;
}

/** Whether the namespace's default-deny stands exactly as written: what `shut` without an own policy rests on. */
export function isDefaultDenyIntact(
  { policies, permitId }: Pick<Snapshot, "policies" | "permitId">,
): boolean {
  const live = policies.find(({ metadata }) => metadata.name === GUARD.defaultDeny);
  return live !== undefined && isOurs(live, permitId) && live.metadata.deletionTimestamp === undefined &&
    canonicalJson(live.spec) === canonicalJson(DEFAULT_DENY_SPEC);
}

/** Whether `live` has everything of `wanted`; objects may have more, lists and scalars are equal. */
export function holds(live: unknown, wanted: unknown): boolean {
  if (wanted === null || typeof wanted !== "object") return live === wanted;
  if (live === null || typeof live !== "object") return false;
  if (Array.isArray(wanted)) {
    return Array.isArray(live) && live.length === wanted.length &&
      wanted.every((item, index) => holds(live[index], item));
  }
  return Object.entries(wanted).every(([key, value]) => holds(Reflect.get(live, key), value));
}
