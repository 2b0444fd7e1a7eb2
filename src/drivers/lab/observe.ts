/** The lab as a driver sees it through the API: objects and their marks, never the truth behind them. */
import { permitName, workspaceName } from "../../core/names.ts";
import type {
  Instance,
  Observed,
  ObservedCanaries,
  ObservedNetwork,
  ObservedScope,
  ObservedTask,
  ObservedWorkspace,
  TaskPod,
  Trouble,
} from "../../core/observed.ts";
import { portOf, specHash } from "../../core/workspace.ts";
import { evidenceOf, inWords } from "./apply_proof.ts";
import { DEFAULT_DENY } from "./network.ts";
import type { LabPod, LabPolicy, LabScope } from "./objects.ts";
import { observeObjects } from "./observe_objects.ts";
import { observeVolumes } from "./observe_volumes.ts";
import { contentsOf, foreignIn, isDefaultDenyIntact, missingGuards } from "./scopes.ts";
import { seenOf, type World } from "./world.ts";

/** Everything of one permit at this instant. */
export function observePermit(world: World, permitId: string, canaries: ObservedCanaries): Observed {
  const name = permitName(permitId);
  const found = world.state.scopes[name];
  const scope = found?.owned ? found : undefined;
  const foreignScope = found !== undefined && !found.owned
    ? [{ object: `namespace ${name}`, why: "it bears the permit's name and not WPS's mark" }]
    : [];
  return {
    permitId,
    scope: observeScope(scope),
    workspaces: scope === undefined ? [] : observeWorkspaces(world, scope),
    volumes: observeVolumes(world, permitId, scope),
    tasks: scope === undefined ? [] : observeTasks(scope),
    foreign: scope === undefined ? foreignScope : foreignIn(scope),
    objects: observeObjects(world, permitId, scope),
    canaries,
    atMs: world.nowMs,
  };
}

/** The permits that have anything that bears our mark. */
export function listPermits(world: World): string[] {
  const { scopes, backings } = world.state;
  const owned = [...Object.values(scopes), ...Object.values(backings)].filter((object) => object.owned);
  return [...new Set(owned.map(({ permitId }) => permitId))].sort();
}

function observeScope(scope: LabScope | undefined): ObservedScope {
  if (scope === undefined) return { state: "absent" };
  const { name } = scope;
  const seen = seenOf(scope);
  if (scope.deletedAtMs !== null) {
    const left = contentsOf(scope);
    const what = left.length === 0 ? "it is being removed" : `still in it: ${left.join(", ")}`;
    return { state: "terminating", name, detail: `namespace ${name}: ${what}`, seen };
  }
  const missing = missingGuards(scope);
  return missing.length === 0
    ? { state: "intact", name, detail: null, seen }
    : { state: "incomplete", name, detail: missing.join("; "), seen };
}

function observeWorkspaces(world: World, scope: LabScope): ObservedWorkspace[] {
  const pods = Object.values(scope.pods).filter(({ belongs, owned }) => owned && belongs.to === "workspace");
  const keys = new Set([
    ...Object.values(scope.computes).filter(({ owned }) => owned).map(({ key }) => key),
    ...Object.values(scope.identities).filter(({ owned }) => owned).map(({ key }) => key),
    ...Object.values(scope.policies).flatMap(({ owned, rules }) =>
      owned && rules.selects !== null ? [rules.selects] : []
    ),
    ...pods.map(({ belongs }) => belongs.key),
  ]);
  return [...keys].sort().map((key) => observeWorkspace(world, scope, key, pods));
}

function observeWorkspace(world: World, scope: LabScope, key: string, pods: LabPod[]): ObservedWorkspace {
  const name = workspaceName(key);
  const compute = scope.computes[name]?.owned ? scope.computes[name] : undefined;
  const identity = scope.identities[name];
  const slash = key.indexOf("/");
  return {
    key,
    kind: key.slice(0, slash),
    owner: key.slice(slash + 1),
    power: compute === undefined ? null : compute.replicas > 0 ? "running" : "stopped",
    specHash: compute === undefined
      ? null
      : compute.replicas > 1
      ? `altered: ${compute.replicas} replicas`
      : specHash(compute.template),
    outdated: compute !== undefined && compute.template.revision !== world.settings.template,
    tier: compute?.template.tier ?? null,
    identityHash: identity?.hash ?? null,
    identity: identity?.hash == null ? null : seenOf(identity),
    network: observeNetwork(scope, key),
    instances: pods.filter(({ belongs }) => belongs.key === key).map((pod) => observeInstance(world, pod)),
    endpoint: identity === undefined || !identity.hasService ? null : {
      protocol: identity.protocol,
      host: `${name}.${scope.name}.svc`,
      port: portOf(identity.protocol),
    },
    compute: seenOf(compute),
    unsettled: compute === undefined || compute.unread.length === 0
      ? null
      : `statefulset ${scope.name}/${name}: its controller has not acted on it yet`,
    terminating: compute?.deletedAtMs == null
      ? null
      : `statefulset ${scope.name}/${name}: finalizer ${compute.finalizers.join(", ")}`,
  };
}

function observeInstance(world: World, pod: LabPod): Instance {
  const state = world.isKnownLost(pod.node)
    ? "unreachable"
    : pod.deletedAtMs !== null
    ? "terminating"
    : pod.phase === "succeeded"
    ? "failed"
    : pod.phase;
  return {
    uid: pod.uid,
    name: pod.name,
    state,
    ready: pod.ready && state === "running",
    specHash: specHash(pod.template),
    mounts: structuredClone(pod.template.mounts),
    gated: pod.template.gated,
    node: pod.node,
    reason: pod.reason,
    trouble: state !== "pending"
      ? null
      : pod.gate.failed !== null
      ? "isolation-unproven"
      : troubleOf(pod.reason),
  };
}

/** The lab's pods say why they do not start in Kubernetes' codes. */
function troubleOf(reason: string | null): Trouble | null {
  if (reason?.startsWith("ImagePullBackOff")) return "image-unavailable";
  return reason?.startsWith("Unschedulable") ? "unschedulable" : null;
}

/** What the policies add up to, as the API has them: enforcement may lag. */
function observeNetwork(scope: LabScope, key: string): ObservedNetwork {
  const own = scope.policies[workspaceName(key)];
  const seen = seenOf(own?.owned ? own : undefined);
  const by = openerOf(scope, key);
  if (by !== null) return { state: "breached", by, seen };
  if (own?.owned && own.opening !== null) return { state: "open", ...own.opening, seen };
  return { state: "shut", seen };
}

/**
 * What opens a workspace's network beside WPS, or that of a task (null); null: nothing does. Without the default-deny a
 * pod is open that the workspace's own policy does not select, because it was opened for another one; where there is no
 * pod, the next one counts.
 */
function openerOf(scope: LabScope, key: string | null): string | null {
  const widening = Object.values(scope.policies).find((
    { name, owned, rules: { selects, egress, ingress } },
  ) =>
    (selects === null || selects === key) && (!owned || name === DEFAULT_DENY) &&
    (egress !== "none" || (ingress ?? "none") !== "none")
  );
  if (widening !== undefined) return `networkpolicy ${widening.name}`;
  const own = key === null ? undefined : scope.policies[workspaceName(key)];
  if (isDefaultDenyIntact(scope) || (own?.owned && deniesAllOf(scope, own))) return null;
  return `absence of networkpolicy ${DEFAULT_DENY}`;
}

/** Whether a workspace's policy selects each pod of it, or the next one where there is none. */
function deniesAllOf({ pods }: LabScope, { rules: { selects, onlyPod } }: LabPolicy): boolean {
  const live = Object.values(pods).filter(({ belongs, phase }) =>
    belongs.to === "workspace" && belongs.key === selects && (phase === "pending" || phase === "running")
  );
  return onlyPod === null || (live.length > 0 && live.every(({ uid }) => uid === onlyPod));
}

function observeTasks(scope: LabScope): ObservedTask[] {
  const by = openerOf(scope, null);
  return Object.values(scope.tasks).filter(({ owned }) => owned).map((task) => ({
    key: task.key,
    name: task.name,
    state: task.state,
    trouble: troubleOfTask(scope, task.uid),
    message: task.message,
    refused: task.refused,
    pods: Object.values(scope.pods).filter(({ belongs }) => belongs.uid === task.uid).map(observeTaskPod),
    network: by === null ? { state: "shut" } : { state: "breached", by },
    proof: proofOfTask(scope, task.uid),
    terminating: task.deletedAtMs === null ? null : `job ${task.name} is being deleted: its pods are ending`,
    seen: seenOf(task),
  }));
}

function observeTaskPod({ uid, name, template: { mounts, gated } }: LabPod): TaskPod {
  return { uid, name, mounts: structuredClone(mounts), gated };
}

/** What the gate saw that its pod has passed. */
function proofOfTask(scope: LabScope, uid: string): ObservedTask["proof"] {
  const passed = Object.values(scope.pods).find(({ belongs, gate }) => belongs.uid === uid && gate.passed);
  if (passed === undefined) return null;
  const { gate: { rounds, cleanRounds, begunAtMs, endedAtMs }, template: { control } } = passed;
  const found = evidenceOf(scope, passed, {
    rounds,
    cleanRounds,
    begunAtMs,
    endedAtMs: endedAtMs ?? begunAtMs,
  });
  return {
    ...found,
    method: "task",
    control: { before: control === null ? null : inWords(control), after: null },
  };
}

function troubleOfTask({ pods }: LabScope, uid: string): ObservedTask["trouble"] {
  const failed =
    Object.values(pods).find(({ belongs, gate, phase }) =>
      belongs.uid === uid && phase === "pending" && gate.failed !== null
    )?.gate.failed ?? null;
  return failed === null ? null : { reason: "isolation-unproven", text: failed };
}
