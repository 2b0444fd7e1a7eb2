/** An observation as the invariants see it, and what a plan's steps would make of it. Pure. */
import {
  type Breach,
  breachesOf,
  type GuardedInstance,
  guardedMount,
  type GuardedState,
  waysOutOf,
} from "./invariants.ts";
import { volumeName } from "./names.ts";
import type { Instance, Observed, ObservedTask, ObservedWorkspace, TaskPod } from "./observed.ts";
import type { VolumeRecord } from "./permit.ts";
import type { PhaseSet } from "./phase.ts";
import type { Action, Consolidation } from "./step.ts";
import { parseVolumeKey } from "./volume.ts";
import type { Mount } from "./workspace.ts";

/** What an observation alone does not tell. */
export interface GuardContext {
  phases: Pick<PhaseSet, "volumes">;
  records: readonly VolumeRecord[];
  /** Uids of the instances whose isolation is on record. */
  proven: ReadonlySet<string>;
  /** The permit is deleted: volumes may go. */
  isDeleted: boolean;
}

/** The state that was observed. Instances that have ended see nothing any more. */
export function guardedOf(observed: Observed, context: GuardContext): GuardedState {
  const marked = markedIn(observed, context);
  const instances = [
    ...observed.workspaces.flatMap((workspace) =>
      workspace.instances.filter(({ state }) => state !== "failed")
        .map((instance) => guardedInstance(workspace, instance, context, marked))
    ),
    ...observed.tasks.flatMap((task) => task.pods.map((pod) => guardedTask(task, pod, context, marked))),
  ];
  return {
    instances,
    strangers: instances.flatMap((instance) => strangersOf(instance, observed)),
    lost: context.isDeleted ? [] : lostOf(observed, context.records),
  };
}

/** What changes a state: an action, or the end of a wait after which the pods of these workspaces are gone. */
export type Foreseeable = Action | { kind: "gone"; workspaces: readonly string[] };

/**
 * What the steps would newly break, in the order in which they are run. Empty: none of them passes through a state that
 * must not be.
 */
export function foreseen(
  observed: Observed,
  context: GuardContext,
  actions: readonly Foreseeable[],
): Breach[] {
  const before = breachesOf(guardedOf(observed, context)).map(keyOf);
  const marked = new Set(markedIn(observed, context));
  const state = guardedOf(observed, context);
  const found: Breach[] = [];
  for (const action of actions) {
    foresee(state, action, observed, context, marked);
    found.push(...breachesOf(state).filter((breach) => !before.includes(keyOf(breach))));
    before.push(...found.map(keyOf));
  }
  return found;
}

function keyOf({ invariant, target }: Breach): string {
  return `${invariant} ${target}`;
}

function foresee(
  state: GuardedState,
  action: Foreseeable,
  observed: Observed,
  context: GuardContext,
  marked: Set<string>,
): void {
  switch (action.kind) {
    case "cut-network":
      for (const instance of state.instances) {
        if (instance.key === action.workspace.key && action.workspace.network.state !== "breached") {
          Object.assign(instance, { waysOut: [], isOpened: false });
        }
      }
      return;
    case "stop":
      // Nothing that gives follows before its pods are seen to be gone.
      state.instances = state.instances.filter(({ key }) => key !== action.workspace.key);
      return;
    case "gone":
      state.instances = state.instances.filter(({ key }) => !action.workspaces.includes(key));
      return;
    case "ensure-volume":
    case "rebind-volume":
    case "taint-volume":
      if (!action.volume.sensitive) return;
      marked.add(action.volume.key);
      for (const mount of state.instances.flatMap(({ mounts }) => mounts)) {
        if (mount.volumeKey === action.volume.key) Object.assign(mount, { sensitive: true, known: true });
      }
      return;
    case "start": {
      const { key, owner, mounts } = action.workspace;
      const network = observed.workspaces.find((workspace) => workspace.key === key)?.network;
      give(state, observed, {
        uid: "to come",
        name: `the pod of ${key}`,
        key,
        owner,
        mounts: mounts.map((mount) => mountIn(mount, context, marked)),
        waysOut: network?.state === "breached" ? [{ text: network.by, isAllowList: false }] : [],
        isOpened: false,
        isProven: false,
        isGated: true,
      });
      return;
    }
    case "consolidate":
      give(state, observed, consolidating(action.consolidation, observed, context, marked));
      return;
    case "prove-isolation":
      return change(state, action.instanceUid, { isProven: true });
    case "open-network":
      return change(state, action.instanceUid, {
        isOpened: true,
        waysOut: waysOutOf(action.workspace.posture),
      });
    default:
      return;
  }
}

function give(state: GuardedState, observed: Observed, instance: GuardedInstance): void {
  state.instances.push(instance);
  state.strangers = [...state.strangers ?? [], ...strangersOf(instance, observed)];
}

/** The pod that a consolidation is about to get. */
function consolidating(
  { from, fromKey, into }: Consolidation,
  observed: Observed,
  context: GuardContext,
  marked: ReadonlySet<string>,
): GuardedInstance {
  const network = observed.tasks.find(({ key }) => key === fromKey)?.network ?? { state: "shut" };
  const mounts: Mount[] = [
    { volume: from, volumeKey: fromKey, path: "", mode: "ro" },
    { volume: into.id, volumeKey: into.key, path: "", mode: "rw" },
  ];
  const pod = { uid: "to come", name: `of the ${taskTitle(fromKey)}`, mounts, gated: true };
  return guardedTask({ key: fromKey, network }, pod, context, marked);
}

/** What stands where a pod's volume should be and bears no mark of this permit: the pod has it (invariant 8). */
function strangersOf(
  { name, mounts }: Pick<GuardedInstance, "name" | "mounts">,
  { foreign }: Observed,
): NonNullable<GuardedState["strangers"]> {
  return mounts.flatMap(({ volumeKey }) =>
    foreign.filter(({ object }) => object.endsWith(`/${volumeName(volumeKey)}`))
      .map(({ object, why }) => ({ target: name, what: `${object} (${why})` }))
  );
}

function change({ instances }: GuardedState, uid: string, given: Partial<GuardedInstance>): void {
  const instance = instances.find((candidate) => candidate.uid === uid);
  if (instance !== undefined) Object.assign(instance, given);
}

function guardedInstance(
  { key, owner, network }: ObservedWorkspace,
  { uid, name, mounts, gated }: Instance,
  context: GuardContext,
  marked: ReadonlySet<string>,
): GuardedInstance {
  const isOpened = network.state === "open" && network.openedFor === uid;
  return {
    uid,
    name: `pod ${name}`,
    key,
    owner,
    mounts: mounts.map((mount) => mountIn(mount, context, marked)),
    waysOut: network.state === "breached"
      ? [{ text: network.by, isAllowList: false }]
      : network.state === "open" && isOpened
      ? waysOutOf(network.posture)
      : [],
    isOpened,
    isProven: context.proven.has(uid),
    isGated: gated,
  };
}

/** Nobody is let in to a consolidation, so there is no opening that a proof would have to go before. */
function guardedTask(
  { key, network }: Pick<ObservedTask, "key" | "network">,
  { uid, name, mounts, gated }: TaskPod,
  context: GuardContext,
  marked: ReadonlySet<string>,
): GuardedInstance {
  return {
    uid,
    name: `pod ${name}`,
    key: taskTitle(key),
    owner: parseVolumeKey(key).owner ?? "",
    mounts: mounts.map((mount) => mountIn(mount, context, marked)),
    waysOut: network.state === "breached" ? [{ text: network.by, isAllowList: false }] : [],
    isOpened: false,
    isProven: false,
    isGated: gated,
  };
}

/** A consolidation for a person, by its uploads; never a workspace's key. */
export function taskTitle(key: string): string {
  return `consolidation of ${key}`;
}

function mountIn(
  mount: Mount,
  { phases }: GuardContext,
  marked: ReadonlySet<string>,
): GuardedInstance["mounts"][0] {
  const isAlways = phases.volumes.get(mount.volume.volume)?.sensitive === "always";
  const known = isAlways || marked.has(mount.volumeKey);
  return guardedMount(mount, known, known);
}

/** Tainted in the store or on the volume: either counts (invariant 3). */
function markedIn({ volumes }: Observed, { records }: GuardContext): ReadonlySet<string> {
  return new Set([...records, ...volumes].filter(({ tainted }) => tainted).map(({ key }) => key));
}

function lostOf({ volumes }: Observed, records: readonly VolumeRecord[]): GuardedState["lost"] {
  return records.filter(({ bound, destroyed }) => bound && !destroyed).flatMap(({ key }) => {
    const found = volumes.find((volume) => volume.key === key);
    if (found === undefined) return [{ volumeKey: key, why: "existed and is no longer there" }];
    return found.state === "lost" ? [{ volumeKey: key, why: found.detail ?? "has lost what backed it" }] : [];
  });
}
