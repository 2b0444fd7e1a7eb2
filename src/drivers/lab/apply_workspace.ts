/** The actions on compute and identity of a workspace. */
import type { ApplyContext } from "../../core/driver.ts";
import { isGated } from "../../core/isolation.ts";
import { permitName, workspaceName } from "../../core/names.ts";
import { sha256Hex } from "../../core/sha256.ts";
import type { Action } from "../../core/step.ts";
import { type DesiredWorkspace, identityHash } from "../../core/workspace.ts";
import { findScope, requireScope } from "./apply_scope.ts";
import { isFresh, silent } from "./canaries.ts";
import { conflict, foreign, terminating } from "./faults.ts";
import type { LabCompute, LabControl, LabIdentity, LabScope, LabTemplate } from "./objects.ts";
import { endPod } from "./pods.ts";
import type { Requests } from "./request.ts";
import { seenOf, type World } from "./world.ts";

function labelOf(scope: string, key: string): string {
  return `statefulset ${scope}/${workspaceName(key)}`;
}

function ownCompute(scope: LabScope, key: string): LabCompute | undefined {
  const compute = scope.computes[workspaceName(key)];
  if (compute !== undefined && !compute.owned) throw foreign(labelOf(scope.name, key));
  return compute;
}

function identityOf(world: World, scope: LabScope, workspace: DesiredWorkspace): LabIdentity {
  const name = workspaceName(workspace.key);
  const present = scope.identities[name];
  if (present !== undefined && !present.owned) throw foreign(`secret ${scope.name}/${name}`);
  return scope.identities[name] ??= {
    name,
    uid: world.newUid(),
    version: world.newVersion(),
    owned: true,
    key: workspace.key,
    kind: workspace.kind,
    owner: workspace.owner,
    protocol: workspace.protocol,
    hash: null,
    passwordHash: null,
    hasHostKey: false,
    hasService: false,
  };
}

/** Secret and Service. Of the password only a fingerprint is kept. */
export async function ensureIdentity(
  requests: Requests,
  context: ApplyContext,
  { workspace, rotate, seen }: Extract<Action, { kind: "ensure-identity" }>,
): Promise<string> {
  const name = permitName(context.permitId);
  const object = `${name}/${workspaceName(workspace.key)}`;
  const doing = `give ${workspace.key} its identity`;
  const password = await context.password(workspace.key, rotate);
  const hostKey = workspace.protocol === "sftp" ? await context.hostKey(workspace.owner) : null;
  await requests.write(`secret ${object}`, name, (world) => {
    const identity = identityOf(world, requireScope(world, context.permitId, doing), workspace);
    const present = identity.hash === null ? null : seenOf(identity);
    if (seen !== undefined && (seen?.uid !== present?.uid || seen?.version !== present?.version)) {
      throw conflict(`secret ${object}`, "it is not as it was observed");
    }
    const written = {
      hash: identityHash(workspace),
      passwordHash: sha256Hex(password),
      hasHostKey: hostKey !== null,
    };
    const before = JSON.stringify(identity);
    Object.assign(identity, written);
    if (JSON.stringify(identity) !== before) world.bump(identity);
  });
  await requests.write(`service ${object}`, name, (world) => {
    const identity = identityOf(world, requireScope(world, context.permitId, doing), workspace);
    if (identity.hasService && identity.protocol === workspace.protocol) return;
    identity.hasService = true;
    identity.protocol = workspace.protocol;
    world.bump(identity);
  });
  return `secret and service ${object} are written`;
}

function templateOf(
  world: World,
  workspace: DesiredWorkspace,
  control: LabControl | null,
): LabTemplate {
  const { posture, account, fsGroup, mounts, tier } = workspace;
  const gated = isGated(workspace);
  const { template: revision } = world.settings;
  return structuredClone({ posture, account, fsGroup, mounts, tier, revision, gated, control });
}

/** Compute with power on; `control` is what the canaries last answered. Its pod keeps an old template until it goes, as with update strategy OnDelete. */
export async function start(
  requests: Requests,
  permitId: string,
  { workspace, seen }: Extract<Action, { kind: "start" }>,
  control: LabControl | null,
): Promise<string> {
  const name = permitName(permitId);
  if (isGated(workspace) && !isFresh(control, requests.path.clock.now())) {
    throw silent(`start ${workspace.key}`);
  }
  const what = labelOf(name, workspace.key);
  return await requests.write(what, name, (world) => {
    const scope = requireScope(world, permitId, `start ${workspace.key}`);
    const compute = ownCompute(scope, workspace.key);
    if (compute === undefined) {
      if (seen !== null) throw conflict(what, "it is gone");
      scope.computes[workspaceName(workspace.key)] = newCompute(world, workspace, control);
      return `${what} was made`;
    }
    if (seen === null) throw conflict(what, "it exists and had not been observed");
    if (seen.uid !== compute.uid || seen.version !== String(compute.version)) {
      throw conflict(what, "it changed since it was observed");
    }
    if (compute.deletedAtMs !== null) throw terminating(`start ${workspace.key}`, what);
    const template = templateOf(world, workspace, isGated(workspace) ? control : null);
    if (compute.replicas === 1 && JSON.stringify(compute.template) === JSON.stringify(template)) {
      return `${what} stands`;
    }
    compute.replicas = 1;
    compute.template = template;
    world.bump(compute);
    return `${what} was written with power on`;
  });
}

function newCompute(world: World, workspace: DesiredWorkspace, control: LabControl | null): LabCompute {
  return {
    name: workspaceName(workspace.key),
    uid: world.newUid(),
    version: world.newVersion(),
    owned: true,
    deletedAtMs: null,
    finalizers: [],
    key: workspace.key,
    kind: workspace.kind,
    owner: workspace.owner,
    replicas: 1,
    template: templateOf(world, workspace, isGated(workspace) ? control : null),
    acted: null,
    unread: [],
    stoppedAfter: null,
    readyReplicas: 0,
  };
}

/**
 * Power off. What is absent or not ours is left so. The version moves also where power was off already, so that a
 * start which was decided before this stop is refused (invariant 9).
 */
export async function stop(
  requests: Requests,
  permitId: string,
  { workspace }: Extract<Action, { kind: "stop" }>,
): Promise<string> {
  const name = permitName(permitId);
  const what = labelOf(name, workspace.key);
  return await requests.write(what, name, (world) => {
    const compute = findScope(world, permitId)?.computes[workspaceName(workspace.key)];
    if (compute === undefined || !compute.owned) return `${what} is not there`;
    const stoppedAfter = workspace.compute?.version ?? null;
    if (compute.replicas !== 0 || compute.stoppedAfter !== stoppedAfter) {
      compute.replicas = 0;
      compute.stoppedAfter = stoppedAfter;
      world.bump(compute);
    }
    return `${what} was written with power off`;
  });
}

/** Compute, then Secret, Service and policy. Refused while a pod of it stands. */
export async function removeWorkspace(
  requests: Requests,
  permitId: string,
  { workspace }: Extract<Action, { kind: "remove-workspace" }>,
): Promise<string> {
  const name = permitName(permitId);
  const object = workspaceName(workspace.key);
  const what = labelOf(name, workspace.key);
  await requests.write(what, name, (world) => {
    const scope = findScope(world, permitId);
    const pod = Object.values(scope?.pods ?? {}).find(({ belongs }) => belongs.key === workspace.key);
    if (pod !== undefined) throw terminating(`remove ${workspace.key}`, `pod ${name}/${pod.name}`);
    const compute = scope?.computes[object];
    if (compute === undefined || !compute.owned || compute.deletedAtMs !== null) return;
    const { compute: seen } = workspace;
    if (seen?.uid !== compute.uid || seen.version !== String(compute.version)) {
      throw conflict(what, "it changed since it was observed");
    }
    compute.deletedAtMs = world.nowMs;
    world.bump(compute);
  });
  await requests.write(`secret, service and networkpolicy ${name}/${object}`, name, (world) => {
    const scope = findScope(world, permitId);
    if (scope === null || scope.computes[object]?.owned) return;
    if (scope.identities[object]?.owned) delete scope.identities[object];
    if (scope.policies[object]?.owned) delete scope.policies[object];
    world.moved();
  });
  return `${what} with secret, service and networkpolicy was removed`;
}

/** Ends exactly that pod, with its grace period; the compute object makes the next one. */
export async function replaceInstance(
  requests: Requests,
  permitId: string,
  { workspace, instanceUid }: Extract<Action, { kind: "replace-instance" }>,
): Promise<string> {
  const name = permitName(permitId);
  return await requests.write(`pod of ${workspace.key}`, name, (world) => {
    const scope = requireScope(world, permitId, `replace the pod of ${workspace.key}`);
    const pod = Object.values(scope.pods).find(({ uid }) => uid === instanceUid);
    if (pod === undefined || pod.belongs.key !== workspace.key) {
      throw conflict(`pod of ${name}/${workspaceName(workspace.key)}`, "the one that was observed is gone");
    }
    endPod(world, pod);
    return `pod ${name}/${pod.name} was asked to go`;
  });
}
