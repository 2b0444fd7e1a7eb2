/** What stands in the way and is not WPS's (invariant 8): named, never touched. */
import { permitName, volumeName } from "../../../core/names.ts";
import type { ForeignObject } from "../../../core/observed.ts";
import { GUARD } from "../manifests/scope.ts";
import { isOurs, NOTE, note, whyForeign } from "../marks.ts";
import { describePlace, type MetadataOnly, type Resource } from "../wire.ts";
import { allowsAnything, describePolicy } from "./network.ts";
import type { Snapshot } from "./snapshot.ts";

/** Every name that core/names.ts derives ends in 12 hex digits of a hash; a pod's adds its ordinal. */
const DERIVED_NAME = /-[0-9a-f]{12}(-\d+)?$/;

/**
 * Foreign objects: whatever bears a name that WPS may need, any claim, a policy that lets traffic through, a pod that
 * mounts a volume of the permit. Anything else in the namespace is in nobody's way.
 */
export function foreignOf(snapshot: Snapshot): ForeignObject[] {
  const { permitId, namespace } = snapshot;
  if (namespace !== null && !isOurs(namespace, permitId)) {
    return [{ object: `Namespace ${permitName(permitId)}`, why: whyForeign(namespace, permitId) }];
  }
  return [...sameNamed(snapshot), ...strangePolicies(snapshot), ...strangePods(snapshot)];
}

function sameNamed(snapshot: Snapshot): ForeignObject[] {
  const { permitId } = snapshot;
  const guards: ReadonlySet<string> = new Set(Object.values(GUARD));
  const kinds: [Resource, MetadataOnly[]][] = [
    ["resourcequotas", snapshot.quotas],
    ["limitranges", snapshot.limits],
    ["serviceaccounts", snapshot.accounts],
    ["rolebindings", snapshot.bindings],
    ["networkpolicies", snapshot.policies],
    ["persistentvolumeclaims", snapshot.claims],
    ["secrets", snapshot.secrets],
    ["services", snapshot.services],
    ["statefulsets", snapshot.statefulSets],
    ["jobs", snapshot.jobs],
    ["pods", snapshot.pods],
  ];
  return kinds.flatMap(([resource, objects]) =>
    objects.filter((object) => {
      const { name } = object.metadata;
      // A claim is data, whatever its name: the end of the namespace would destroy it.
      const isInTheWay = resource === "persistentvolumeclaims" || guards.has(name) || DERIVED_NAME.test(name);
      return isInTheWay && !isOurs(object, permitId);
    }).map((object) => ({
      object: describePlace(resource, { namespace: permitName(permitId), name: object.metadata.name }),
      why: whyForeign(object, permitId),
    }))
  );
}

/** Ours, altered, is not foreign: WPS writes it anew. */
function strangePolicies({ policies, permitId }: Snapshot): ForeignObject[] {
  return policies.filter((policy) => !isOurs(policy, permitId) && allowsAnything(policy.spec))
    .filter(({ metadata: { name } }) => !DERIVED_NAME.test(name) && name !== GUARD.defaultDeny)
    .map((policy) => ({
      object: describePlace("networkpolicies", {
        namespace: permitName(permitId),
        name: policy.metadata.name,
      }),
      why: `${describePolicy(policy, permitId)} lets traffic through, and policies add up`,
    }));
}

function strangePods({ pods, claims, permitId }: Snapshot): ForeignObject[] {
  const keys = new Map(
    claims.filter((claim) => isOurs(claim, permitId)).map((claim) => {
      const key = note(claim, NOTE.volumeKey) ?? claim.metadata.name;
      return [volumeName(key), key];
    }),
  );
  return pods.filter((pod) => !isOurs(pod, permitId) && !DERIVED_NAME.test(pod.metadata.name)).flatMap(
    (pod) => {
      const mounted = (pod.spec?.volumes ?? []).flatMap(({ persistentVolumeClaim }) =>
        keys.get(persistentVolumeClaim?.claimName ?? "") ?? []
      );
      if (mounted.length === 0) return [];
      const object = describePlace("pods", { namespace: permitName(permitId), name: pod.metadata.name });
      return [{ object, why: `it mounts ${mounted.join(", ")}` }];
    },
  );
}
