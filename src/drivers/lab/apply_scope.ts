/** ensure-scope and destroy-scope. */
import { permitName } from "../../core/names.ts";
import type { Action } from "../../core/step.ts";
import { conflict, doomed, foreign, notFound, terminating } from "./faults.ts";
import { DEFAULT_DENY, DENY_ALL, sameRules } from "./network.ts";
import type { LabScope } from "./objects.ts";
import type { Requests } from "./request.ts";
import { addScope, contentsOf, defaultDeny, doomedIn } from "./scopes.ts";
import type { World } from "./world.ts";

/** The permit's namespace for an action that only takes away; null: absent or not ours, so there is nothing to take. */
export function findScope(world: World, permitId: string): LabScope | null {
  const scope = world.state.scopes[permitName(permitId)];
  return scope?.owned ? scope : null;
}

/** The permit's namespace for an action that gives. Throws when it is absent, going or not ours. */
export function requireScope(world: World, permitId: string, doing: string): LabScope {
  const name = permitName(permitId);
  const scope = world.state.scopes[name];
  if (scope === undefined) throw notFound(doing, `namespace ${name}`);
  if (!scope.owned) throw foreign(`namespace ${name}`);
  if (scope.deletedAtMs !== null) throw terminating(doing, `namespace ${name}, which is Terminating,`);
  return scope;
}

/** Namespace, then limits and quota (FACTS 9: before any claim), then default-deny and account. */
export async function ensureScope(
  requests: Requests,
  permitId: string,
  action: Extract<Action, { kind: "ensure-scope" }>,
): Promise<string> {
  const name = permitName(permitId);
  await requests.write(`namespace ${name}`, name, (world) => {
    if (world.state.scopes[name] === undefined) {
      if (action.seen !== null) throw conflict(`namespace ${name}`, "it is gone");
      addScope(world, name, permitId, true).fsGroup = action.fsGroup;
      return;
    }
    const scope = requireScope(world, permitId, "complete the permit's namespace");
    if (action.seen?.uid !== scope.uid || action.seen.version !== String(scope.version)) {
      throw conflict(`namespace ${name}`, "it is not as it was observed");
    }
    if (scope.fsGroup === action.fsGroup) return;
    scope.fsGroup = action.fsGroup;
    world.bump(scope);
  });
  await requests.write(`limitrange and resourcequota in ${name}`, name, (world) => {
    const scope = requireScope(world, permitId, "limit the permit's namespace");
    if (scope.limits && scope.quota) return;
    scope.limits = true;
    scope.quota = true;
    world.moved();
  });
  await requests.write(`networkpolicy ${DEFAULT_DENY} in ${name}`, name, (world) => {
    const scope = requireScope(world, permitId, "guard the permit's namespace");
    const present = scope.policies[DEFAULT_DENY];
    if (present !== undefined && !present.owned) throw foreign(`networkpolicy ${name}/${DEFAULT_DENY}`);
    if (present === undefined) scope.policies[DEFAULT_DENY] = defaultDeny(world);
    else if (!sameRules(present.rules, DENY_ALL)) {
      present.rules = { ...DENY_ALL };
      world.bump(present);
    }
    if (scope.account) return;
    scope.account = true;
    world.moved();
  });
  return `namespace ${name} is complete`;
}

/** Asks the namespace to go, unless anything of somebody else's would go along (invariant 8). */
export async function destroyScope(
  requests: Requests,
  permitId: string,
  action: Extract<Action, { kind: "destroy-scope" }>,
): Promise<string> {
  const name = permitName(permitId);
  return await requests.write(`namespace ${name}`, name, (world) => {
    const scope = world.state.scopes[name];
    if (scope === undefined) return `namespace ${name} is gone`;
    if (!scope.owned) throw foreign(`namespace ${name}`);
    if (action.seen?.uid !== scope.uid) {
      throw conflict(`namespace ${name}`, "it is not the one that was observed");
    }
    if (scope.deletedAtMs !== null) return `namespace ${name} is going: ${contentsOf(scope).length} objects`;
    const [stranger] = doomedIn(scope);
    if (stranger !== undefined) throw doomed(`namespace ${name}`, stranger);
    scope.deletedAtMs = world.nowMs;
    world.bump(scope);
    return `namespace ${name} was asked to go`;
  });
}
