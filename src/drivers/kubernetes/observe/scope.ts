/** The permit's namespace as it stands: complete, incomplete, going away. */
import { MEMBERS_MAX } from "../../../core/member.ts";
import { permitName } from "../../../core/names.ts";
import type { ObservedScope, Seen } from "../../../core/observed.ts";
import { canonicalJson } from "../../../core/sha256.ts";
import { DEFAULT_DENY_SPEC, GUARD, scopeManifests } from "../manifests/scope.ts";
import { isOurs, NOTE, note } from "../marks.ts";
import type { ClusterTraits, KubernetesSettings } from "../settings.ts";
import type { MetadataOnly, StoredMetadata } from "../wire.ts";
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

interface Guard {
  kind: string;
  /** The live object; null: missing. */
  live: MetadataOnly | null;
  expected: { metadata: { name: string } };
  /** The part that is compared, of either. */
  part: (object: object) => unknown;
  /** `exact`: nothing may be added. Otherwise the API server's defaults may. */
  exact: boolean;
}

/** Which guards are missing, foreign or altered, one text each. */
export function guardFaults(
  snapshot: Snapshot,
  { secretsRole }: Pick<KubernetesSettings, "secretsRole">,
  traits: ClusterTraits,
): string[] {
  const { permitId, quotas, limits, policies, accounts, bindings, namespace } = snapshot;
  const find = <T extends MetadataOnly>(list: T[], name: string): T | null =>
    list.find(({ metadata }) => metadata.name === name) ?? null;
  const named = (
    list: MetadataOnly[],
    { metadata: { name } }: { metadata: { name: string } },
  ): MetadataOnly | null => find(list, name);
  const quota = find(quotas, GUARD.quota);
  const members = Number(quota === null ? MEMBERS_MAX : note(quota, NOTE.members));
  const expected = scopeManifests({ permitId, fsGroup: 0, members, secretsRole, traits });
  const field = (key: string) => (object: object): unknown => Reflect.get(object, key);
  const guards: Guard[] = [
    { kind: "ResourceQuota", live: quota, expected: expected.quota, part: field("spec"), exact: true },
    {
      kind: "LimitRange",
      live: named(limits, expected.limits),
      expected: expected.limits,
      part: field("spec"),
      exact: false,
    },
    {
      kind: "NetworkPolicy",
      live: named(policies, expected.defaultDeny),
      expected: expected.defaultDeny,
      part: field("spec"),
      exact: true,
    },
    {
      kind: "ServiceAccount",
      live: named(accounts, expected.account),
      expected: expected.account,
      part: field("automountServiceAccountToken"),
      exact: true,
    },
    {
      kind: "RoleBinding",
      live: named(bindings, expected.secretsAccess),
      expected: expected.secretsAccess,
      part: field("roleRef"),
      exact: false,
    },
    {
      kind: "RoleBinding",
      live: named(bindings, expected.secretsAccess),
      expected: expected.secretsAccess,
      part: field("subjects"),
      exact: false,
    },
  ];
  const labels = namespace?.metadata.labels ?? {};
  const expectedLabels = expected.namespace.metadata.labels ?? {};
  const altered = Object.entries(expectedLabels).filter(([key, value]) => labels[key] !== value).map((
    [key],
  ) => key);
  const texts = guards.flatMap((guard) => {
    const fault = faultOfGuard(guard, permitId);
    return fault === null ? [] : [fault];
  });
  if (altered.length > 0) {
    texts.unshift(`Namespace ${permitName(permitId)} has other labels: ${altered.join(", ")}`);
  }
  return [...new Set(texts)];
}

function faultOfGuard({ kind, live, expected, part, exact }: Guard, permitId: string): string | null {
  const name = `${kind} ${expected.metadata.name}`;
  if (live === null) return `${name} is missing`;
  if (!isOurs(live, permitId)) return `${name} is not WPS's`;
  if (live.metadata.deletionTimestamp !== undefined) return `${name} is being deleted`;
  const has = part(live), wants = part(expected);
  const fits = exact ? canonicalJson(has) === canonicalJson(wants) : holds(has, wants);
  return fits ? null : `${name} is altered`;
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
