/** cut-network and open-network. */
import { permitName, workspaceName } from "../../core/names.ts";
import type { Action } from "../../core/step.ts";
import { type DesiredWorkspace, networkHash } from "../../core/workspace.ts";
import { findScope, requireScope } from "./apply_scope.ts";
import { conflict, foreign } from "./faults.ts";
import type { LabPod, LabRules, LabScope } from "./objects.ts";
import type { Requests } from "./request.ts";
import type { World } from "./world.ts";

function labelOf(scope: string, key: string): string {
  return `networkpolicy ${scope}/${workspaceName(key)}`;
}

/**
 * Deny both ways, unconditionally. It moves the version also where nothing was open, so that an opening which was
 * decided before this cut is refused (invariant 9).
 */
export async function cutNetwork(
  requests: Requests,
  permitId: string,
  { workspace }: Extract<Action, { kind: "cut-network" }>,
): Promise<string> {
  const name = permitName(permitId);
  const what = labelOf(name, workspace.key);
  return await requests.write(what, name, (world) => {
    const scope = findScope(world, permitId);
    if (scope === null) return `${what} needs no cut: its namespace is not there`;
    // A namespace that is going takes no new object; its default-deny stands until its pods are gone.
    if (scope.deletedAtMs !== null && scope.policies[workspaceName(workspace.key)] === undefined) {
      return `${what} needs no cut: nothing opened it`;
    }
    writePolicy(
      world,
      scope,
      workspace.key,
      { selects: workspace.key, onlyPod: null, egress: "none", ingress: "none" },
      null,
    );
    return `${what} denies both ways`;
  });
}

function writePolicy(
  world: World,
  scope: LabScope,
  key: string,
  rules: LabRules,
  opening: LabScope["policies"][string]["opening"],
): void {
  const name = workspaceName(key);
  const present = scope.policies[name];
  if (present !== undefined && !present.owned) throw foreign(labelOf(scope.name, key));
  const { uid, version } = present ?? { uid: world.newUid(), version: 0 };
  const policy = { name, uid, version, owned: true, rules, opening };
  scope.policies[name] = policy;
  world.bump(policy);
}

/** For one pod: another that takes its place stays shut. */
function rulesOf({ key, posture, allowedCidrs }: DesiredWorkspace, onlyPod: string): LabRules {
  const egress =
    ({ isolated: "none", proxied: "proxy", open: "any", "inbound-allowlist": "none" } as const)[posture];
  const ingress = posture === "inbound-allowlist" ? [...allowedCidrs] : "gateway";
  return { selects: key, onlyPod, egress, ingress };
}

/** The live pod of a workspace with that uid. Throws a conflict Fault when it is not there any more. */
export function instanceOf(scope: LabScope, workspaceKey: string, instanceUid: string): LabPod {
  const pod = Object.values(scope.pods).find(({ uid }) => uid === instanceUid);
  if (pod !== undefined && pod.belongs.key === workspaceKey) return pod;
  throw conflict(`pod of ${scope.name}/${workspaceName(workspaceKey)}`, "the one that was observed is gone");
}

/** The posture's rules and the inbound rule, for that instance, if nothing moved since `seen`. */
export async function openNetwork(
  requests: Requests,
  permitId: string,
  { workspace, instanceUid, seen }: Extract<Action, { kind: "open-network" }>,
): Promise<string> {
  const name = permitName(permitId);
  const what = labelOf(name, workspace.key);
  return await requests.write(what, name, (world) => {
    const scope = requireScope(world, permitId, `open the network of ${workspace.key}`);
    instanceOf(scope, workspace.key, instanceUid);
    const present = scope.policies[workspaceName(workspace.key)];
    if (present !== undefined && !present.owned) throw foreign(what);
    if (seen?.uid !== present?.uid || (present !== undefined && seen?.version !== String(present.version))) {
      throw conflict(what, "it changed since it was observed");
    }
    const opening = { posture: workspace.posture, hash: networkHash(workspace), openedFor: instanceUid };
    const rules = rulesOf(workspace, instanceUid);
    if (JSON.stringify([present?.rules, present?.opening]) === JSON.stringify([rules, opening])) {
      return `${what} stands`;
    }
    writePolicy(world, scope, workspace.key, rules, opening);
    return `${what} opens ${workspace.posture} for pod ${instanceUid}`;
  });
}
