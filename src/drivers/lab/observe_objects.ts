/** Everything of a permit, object by object, as a list of each kind would show it. */
import type { ObservedObject } from "../../core/observed.ts";
import type { LabScope } from "./objects.ts";
import type { World } from "./world.ts";

interface Listed {
  owned: boolean;
  name: string;
  uid: string;
}

/** What bears WPS's mark for the permit. */
export function observeObjects(
  world: World,
  permitId: string,
  scope: LabScope | undefined,
): ObservedObject[] {
  const found: ObservedObject[] = [];
  const add = (
    kind: string,
    object: Listed,
    of: ObservedObject["of"],
    foundBy: string,
    isWithin: boolean,
  ): void => {
    if (object.owned) found.push({ kind, name: object.name, uid: object.uid, of, foundBy, isWithin });
  };
  if (scope !== undefined) {
    const list = (plural: string): string => `list of ${plural} in namespace ${scope.name}`;
    add("Namespace", scope, { kind: "permit", key: permitId }, `get namespace ${scope.name}`, false);
    for (const compute of Object.values(scope.computes)) {
      add("StatefulSet", compute, { kind: "workspace", key: compute.key }, list("statefulsets"), true);
    }
    for (const identity of Object.values(scope.identities)) {
      add("Secret", identity, { kind: "workspace", key: identity.key }, list("secrets"), true);
    }
    for (const policy of Object.values(scope.policies)) {
      const { selects } = policy.rules;
      const of = selects === null
        ? { kind: "permit" as const, key: permitId }
        : { kind: "workspace" as const, key: selects };
      add("NetworkPolicy", policy, of, list("networkpolicies"), true);
    }
    for (const pod of Object.values(scope.pods)) {
      add("Pod", pod, { kind: pod.belongs.to, key: pod.belongs.key }, list("pods"), true);
    }
    for (const claim of Object.values(scope.claims)) {
      add(
        "PersistentVolumeClaim",
        claim,
        { kind: "volume", key: claim.key },
        list("persistentvolumeclaims"),
        true,
      );
    }
    for (const task of Object.values(scope.tasks)) {
      add("Job", task, { kind: "task", key: task.key }, list("jobs"), true);
    }
  }
  for (const backing of Object.values(world.state.backings)) {
    if (backing.permitId !== permitId) continue;
    add(
      "PersistentVolume",
      backing,
      { kind: "volume", key: backing.key },
      "list of persistentvolumes of the permit",
      false,
    );
  }
  return found;
}
