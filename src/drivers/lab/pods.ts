/** What StatefulSet controller, scheduler and kubelet do: pods come, wait, run, get ready, and go without force. */
import { volumeName, workspaceName } from "../../core/names.ts";
import { gateTimer, passesGate } from "./gate.ts";
import { type LabCompute, type LabPod, type LabScope, type LabTimer, REPLICAS_MAX } from "./objects.ts";
import type { World } from "./world.ts";

/** Makes and ends pods as the compute objects ask; once nothing moves any more, it changes nothing. */
export function settlePods(world: World, scope: LabScope): void {
  for (const compute of Object.values(scope.computes)) settleCompute(world, scope, compute);
  for (const pod of Object.values(scope.pods)) {
    if (isOrphan(scope, pod) || scope.deletedAtMs !== null) endPod(world, pod);
    if (pod.deletedAtMs !== null) settleEnding(world, scope, pod);
    else if (pod.phase === "pending") settlePending(world, scope, pod);
  }
}

function settleCompute(world: World, scope: LabScope, compute: LabCompute): void {
  if (compute.deletedAtMs !== null && compute.finalizers.length === 0) {
    delete scope.computes[compute.name];
    world.moved();
    return;
  }
  if (compute.owned) settleWish(world, scope, compute);
  const { acted } = compute;
  const isStanding = compute.deletedAtMs === null && scope.deletedAtMs === null && compute.owned;
  let ready = 0;
  for (let ordinal = 0; ordinal < REPLICAS_MAX; ordinal++) {
    const name = `${compute.name}-${ordinal}`;
    const pod = scope.pods[name];
    const wanted = isStanding && acted !== null && ordinal < acted.replicas;
    if (wanted && pod === undefined) {
      const belongs = { to: "workspace", key: compute.key, uid: compute.uid } as const;
      addPod(world, scope, name, belongs, acted.template);
    }
    if (pod !== undefined && (!wanted || pod.phase === "failed" || pod.phase === "succeeded")) {
      endPod(world, pod);
    }
    if (pod !== undefined && pod.ready && pod.belongs.uid === compute.uid) ready++;
  }
  if (compute.readyReplicas !== ready) {
    compute.readyReplicas = ready;
    world.bump(compute);
  }
}

/** Lets the controller read what is asked for now, after its delay; until then it acts on what it read before. */
function settleWish(
  world: World,
  scope: LabScope,
  { uid, replicas, template, acted, unread }: LabCompute,
): void {
  const wish = { replicas, template: structuredClone(template) };
  if (JSON.stringify(unread.at(-1) ?? acted) === JSON.stringify(wish)) return;
  unread.push(wish);
  world.schedule("sync", scope.name, uid, world.settings.syncMs);
}

function readWish(world: World, scope: LabScope, uid: string): void {
  const compute = Object.values(scope.computes).find((one) => one.uid === uid);
  const next = compute?.unread.shift();
  if (compute === undefined || next === undefined) return;
  compute.acted = next;
  world.bump(compute); // its status
}

/** A pod that nothing has happened to yet. It keeps the template of its making. */
export function addPod(
  world: World,
  scope: LabScope,
  name: string,
  belongs: LabPod["belongs"],
  template: LabPod["template"],
): void {
  const identity = scope.identities[workspaceName(belongs.key)];
  scope.pods[name] = {
    name,
    uid: world.newUid(),
    version: world.newVersion(),
    owned: true,
    deletedAtMs: null,
    finalizers: [],
    belongs,
    template: structuredClone(template),
    protocol: belongs.to === "workspace" ? identity?.protocol ?? null : null,
    node: null,
    phase: "pending",
    ready: false,
    reason: null,
    ending: false,
    gate: {
      rounds: 0,
      cleanRounds: 0,
      passed: false,
      blind: false,
      failed: null,
      begunAtMs: world.nowMs,
      endedAtMs: null,
    },
    proven: false,
    connections: [],
  };
}

/** Asks a pod to go, with its grace period. Asking again changes nothing. */
export function endPod(world: World, pod: LabPod): void {
  if (pod.deletedAtMs !== null) return;
  pod.deletedAtMs = world.nowMs;
  pod.ready = false;
  world.bump(pod);
}

function isOrphan(scope: LabScope, pod: LabPod): boolean {
  const { to, uid } = pod.belongs;
  const owners = Object.values(to === "task" ? scope.tasks : scope.computes);
  return !owners.some((owner) => owner.uid === uid && owner.deletedAtMs === null);
}

function settleEnding(world: World, scope: LabScope, pod: LabPod): void {
  const isOver = pod.phase !== "running" && (pod.phase !== "pending" || pod.node === null);
  if (isOver) {
    if (pod.finalizers.length > 0) return;
    delete scope.pods[pod.name];
    world.moved();
  } else if (!pod.ending && world.isReachable(pod.node)) {
    pod.ending = true;
    world.schedule("gone", scope.name, pod.uid, world.settings.stopMs);
  }
}

function settlePending(world: World, scope: LabScope, pod: LabPod): void {
  if (pod.node === null && waitsFor(world, scope, pod) === null) {
    pod.node = chooseNode(world);
    if (pod.node !== null) world.bump(pod);
  }
  const reason = waitsFor(world, scope, pod) ??
    (pod.node === null ? "Unschedulable: no node is available" : blockedBy(world, scope, pod));
  const isComing = world.isScheduled("run", pod.uid) || world.isScheduled("gate", pod.uid);
  if (reason === null && !isComing && world.isReachable(pod.node)) {
    // Behind its gate the container has nothing to wait for.
    const isThrough = pod.template.gated && pod.gate.rounds > 0;
    world.schedule("run", scope.name, pod.uid, isThrough ? 0 : world.settings.startMs);
  }
  const said = reason ?? (pod.template.gated && pod.gate.rounds > 0 ? pod.reason : null) ??
    "ContainerCreating";
  if (pod.reason !== said) {
    pod.reason = said;
    world.bump(pod);
  }
}

/** Storage that the scheduler waits for, in its words; null: everything is bound. */
function waitsFor(_world: World, scope: LabScope, pod: LabPod): string | null {
  for (const { volumeKey } of pod.template.mounts) {
    const name = volumeName(volumeKey);
    const claim = scope.claims[name];
    if (claim === undefined) return `Unschedulable: persistentvolumeclaim "${name}" not found`;
    if (claim.deletedAtMs !== null && pod.node === null) {
      return `Unschedulable: persistentvolumeclaim "${name}" is being deleted`;
    }
    if (claim.phase !== "bound") return `Unschedulable: persistentvolumeclaim "${name}" is ${claim.phase}`;
  }
  return null;
}

/** What keeps the container of a scheduled pod from running. */
function blockedBy(world: World, scope: LabScope, pod: LabPod): string | null {
  if (pod.belongs.to === "task") return null;
  const { key } = pod.belongs;
  if (world.settings.brokenKinds.includes(key.slice(0, key.indexOf("/")))) {
    return `ImagePullBackOff: image for ${key} cannot be pulled`;
  }
  const identity = scope.identities[workspaceName(key)];
  return identity?.hash == null
    ? `CreateContainerConfigError: secret "${workspaceName(key)}" not found`
    : null;
}

/** The reachable node with the fewest pods; the first of equals. */
function chooseNode(world: World): string | null {
  const pods = Object.values(world.state.scopes).flatMap((scope) => Object.values(scope.pods));
  const load = (name: string): number => pods.filter((pod) => pod.node === name).length;
  const names = world.state.nodes.filter(({ lostAtMs }) => lostAtMs === null).map(({ name }) => name);
  return names.reduce<string | null>(
    (best, name) => best === null || load(name) < load(best) ? name : best,
    null,
  );
}

/** A pod's timer has come: it runs, is ready, or its grace period is over. */
export function podTimer(world: World, scope: LabScope, timer: LabTimer): void {
  if (timer.kind === "gate") return gateTimer(world, scope, timer);
  if (timer.kind === "sync") return readWish(world, scope, timer.uid);
  const pod = Object.values(scope.pods).find(({ uid }) => uid === timer.uid);
  if (pod === undefined) return;
  const reachable = world.isReachable(pod.node);
  if (timer.kind === "gone") {
    pod.ending = false;
    if (reachable) {
      pod.phase = "succeeded";
      pod.connections = [];
    }
  } else if (timer.kind === "run") {
    if (pod.deletedAtMs !== null || pod.phase !== "pending" || !reachable) return;
    if (waitsFor(world, scope, pod) !== null || blockedBy(world, scope, pod) !== null) return;
    // The gate's own rounds find out whether the policies are enforced yet; settling tries again.
    if (!passesGate(world, scope, pod)) return;
    pod.phase = "running";
    pod.reason = "ContainersNotReady: it has started and does not answer yet";
    if (pod.belongs.to === "task") world.schedule("finish", scope.name, pod.uid, world.settings.taskMs);
    else world.schedule("ready", scope.name, pod.uid, world.settings.readyMs);
  } else if (timer.kind === "ready") {
    if (pod.deletedAtMs !== null || pod.phase !== "running" || !reachable) return;
    pod.ready = true;
    pod.reason = null;
  }
  world.bump(pod);
}

/** What a node's loss or return does to its pods, once the cluster has noticed. */
export function nodeChanged(world: World, scope: LabScope): void {
  for (const pod of Object.values(scope.pods)) {
    if (pod.phase !== "running") continue;
    if (world.isKnownLost(pod.node) && (pod.ready || pod.reason === null)) {
      pod.ready = false;
      pod.reason = `NodeLost: node ${pod.node} does not answer`;
      world.bump(pod);
    } else if (world.isReachable(pod.node) && !pod.ready && pod.deletedAtMs === null) {
      const [kind, ms] = pod.belongs.to === "task"
        ? ["finish", world.settings.taskMs] as const
        : ["ready", world.settings.readyMs] as const;
      if (!world.isScheduled(kind, pod.uid)) world.schedule(kind, scope.name, pod.uid, ms);
    }
  }
}
