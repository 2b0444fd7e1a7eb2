/** Namespaces: what makes one whole, and how one goes (pods first, then the rest, as Kubernetes orders it). */
import type { ForeignObject } from "../../core/observed.ts";
import type { LabPolicy, LabScope, LabTimer } from "./objects.ts";
import { DEFAULT_DENY, DENY_ALL, sameRules } from "./network.ts";
import type { World } from "./world.ts";

/** A namespace with nothing in it. `owned`: it bears WPS's mark for that permit. */
export function addScope(world: World, name: string, permitId: string, owned: boolean): LabScope {
  const scope: LabScope = {
    name,
    uid: world.newUid(),
    version: world.newVersion(),
    owned,
    deletedAtMs: null,
    finalizers: [],
    permitId,
    fsGroup: 0,
    quota: false,
    limits: false,
    account: false,
    ending: false,
    computes: {},
    identities: {},
    policies: {},
    enforced: {},
    pods: {},
    claims: {},
    tasks: {},
    settings: {},
  };
  world.state.scopes[name] = scope;
  return scope;
}

/** The policy that denies every pod of a namespace. It is enforced before the first pod can come. */
export function defaultDeny(world: World): LabPolicy {
  return {
    name: DEFAULT_DENY,
    uid: world.newUid(),
    version: world.newVersion(),
    owned: true,
    rules: { ...DENY_ALL },
    opening: null,
  };
}

/** The guards that a namespace of WPS lacks, by name; empty: it is intact. */
export function missingGuards(scope: LabScope): string[] {
  const fault = scope.policies[DEFAULT_DENY] === undefined ? "is missing" : "was altered";
  const policy = isDefaultDenyIntact(scope) ? [] : [`networkpolicy ${DEFAULT_DENY} ${fault}`];
  return [
    ...(scope.limits ? [] : ["limitrange is missing"]),
    ...(scope.quota ? [] : ["resourcequota is missing"]),
    ...(scope.account ? [] : ["service account is missing"]),
    ...policy,
  ];
}

/** Whether the policy that denies every pod stands as it was written. */
export function isDefaultDenyIntact({ policies }: LabScope): boolean {
  const deny = policies[DEFAULT_DENY];
  return deny !== undefined && deny.owned && sameRules(deny.rules, DENY_ALL);
}

/** What is still in a namespace, in the words of the platform. */
export function contentsOf(scope: LabScope): string[] {
  const names = (kind: string, objects: Record<string, { name: string; finalizers?: string[] }>): string[] =>
    Object.values(objects).map(({ name, finalizers }) =>
      `${kind} ${name}${finalizers?.length ? ` (finalizer ${finalizers.join(", ")})` : ""}`
    );
  return [
    ...names("pod", scope.pods),
    ...names("statefulset", scope.computes),
    ...names("job", scope.tasks),
    ...names("persistentvolumeclaim", scope.claims),
  ];
}

/** What lies in a namespace of WPS without its mark, of the kinds that WPS makes. */
export function foreignIn(scope: LabScope): ForeignObject[] {
  return [
    ...unmarked(scope, "statefulset", scope.computes),
    ...unmarked(scope, "persistentvolumeclaim", scope.claims),
    ...unmarked(scope, "networkpolicy", scope.policies),
    ...unmarked(scope, "pod", scope.pods),
    ...unmarked(scope, "job", scope.tasks),
  ];
}

/** Everything that its end would destroy although it is not WPS's (invariant 8). */
export function doomedIn(scope: LabScope): ForeignObject[] {
  return [...foreignIn(scope), ...unmarked(scope, "configmap", scope.settings)];
}

function unmarked(
  scope: LabScope,
  kind: string,
  objects: Record<string, { name: string; owned: boolean }>,
): ForeignObject[] {
  const why = "it lies in the permit's namespace and does not bear WPS's mark";
  return Object.values(objects).filter(({ owned }) => !owned).map(({ name }) => ({
    object: `${kind} ${scope.name}/${name}`,
    why,
  }));
}

/** Ends what a deleted namespace holds, and the namespace when it is empty. */
export function settleScope(world: World, scope: LabScope): void {
  if (scope.deletedAtMs === null || Object.keys(scope.pods).length > 0) return;
  for (const object of [scope.computes, scope.tasks, scope.claims].flatMap((kind) => Object.values(kind))) {
    if (object.deletedAtMs !== null) continue;
    object.deletedAtMs = world.nowMs;
    world.bump(object);
  }
  if (Object.keys(scope.identities).length + Object.keys(scope.policies).length > 0) {
    scope.identities = {};
    scope.policies = {};
    world.moved();
  }
  if (contentsOf(scope).length > 0 || scope.finalizers.length > 0 || scope.ending) return;
  scope.ending = true;
  world.schedule("vanish", scope.name, scope.uid, world.settings.namespaceMs);
}

/** The namespace is gone. */
export function scopeTimer(world: World, scope: LabScope, _timer: LabTimer): void {
  delete world.state.scopes[scope.name];
  world.moved();
}
