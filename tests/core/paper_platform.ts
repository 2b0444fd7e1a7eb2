/**
 * The smallest platform on which a plan can be played: every write is acknowledged at once, and what takes time
 * (pods, deletions, consolidations) happens at the next `tick`. It checks the invariants after every single action.
 */
import { identityHash, networkHash, specHash } from "../../src/core/workspace.ts";
import type {
  Instance,
  Observed,
  ObservedTask,
  ObservedVolume,
  ObservedWorkspace,
  TaskPod,
} from "../../src/core/observed.ts";
import { isWayOut, type PhaseSet, type Posture } from "../../src/core/phase.ts";
import type { Action, Consolidation } from "../../src/core/step.ts";
import type { DesiredWorkspace } from "../../src/core/workspace.ts";
import { neverSeen } from "../conformance/fixtures.ts";

/** Nobody has asked the canaries yet. */
export const UNASKED: Observed["canaries"] = { asking: null, answer: null };

/** A platform holding one permit. */
export interface PaperPlatform {
  observe(): Observed;
  apply(action: Action): void;
  /** Pods become ready or go, consolidations finish, claims bind. */
  tick(): void;
  /** What was violated so far; empty in a correct program. */
  violations: string[];
  /** Lets a test interfere. */
  state: PaperState;
}

interface PaperState {
  scope: Observed["scope"];
  workspaces: Map<string, ObservedWorkspace>;
  volumes: Map<string, ObservedVolume>;
  tasks: Map<string, ObservedTask>;
  foreign: Observed["foreign"];
  canaries: Observed["canaries"];
  /** Instances whose network was ever open with a way out. */
  exposed: Set<string>;
  /** Instances whose isolation was shown. */
  proven: Set<string>;
  /** The permit is deleted: only now may data volumes be destroyed. */
  deleted: boolean;
}

/** An empty platform for `permitId`. */
export function paperPlatform(permitId: string, phases: PhaseSet): PaperPlatform {
  let serial = 0;
  const violations: string[] = [];
  const next = (): string => String(++serial);
  const state: PaperState = {
    scope: { state: "absent" },
    workspaces: new Map(),
    volumes: new Map(),
    tasks: new Map(),
    foreign: [],
    canaries: structuredClone(UNASKED),
    exposed: new Set(),
    proven: new Set(),
    deleted: false,
  };
  const isSensitive = (key: string): boolean => {
    const volume = state.volumes.get(key);
    return volume?.tainted === true || phases.volumes.get(volume?.id.volume ?? "")?.sensitive === "always";
  };
  const holdsData = (workspace: ObservedWorkspace, instance: Instance): boolean =>
    instance.mounts.some((m) =>
      isSensitive(m.volumeKey) && !(workspace.kind === "airlock" && m.volume.owner === workspace.owner)
    );

  function check(action: Action): void {
    for (const workspace of state.workspaces.values()) {
      for (const instance of workspace.instances) {
        const open = workspace.network.state === "open" && isWayOut(workspace.network.posture);
        if (open) state.exposed.add(instance.uid);
        if (state.exposed.has(instance.uid) && holdsData(workspace, instance)) {
          violations.push(`invariant 1 after ${action.kind}: ${workspace.key} has data and a way out`);
        }
      }
    }
    barrier(action);
  }

  /** Invariant 2: who starts with data shares no volume with a pod that had a way out. */
  function barrier(action: Action): void {
    if (action.kind !== "start") return;
    const starting = state.workspaces.get(action.workspace.key);
    const live = starting?.instances.at(-1);
    if (starting === undefined || live === undefined || !holdsData(starting, live)) return;
    const keys = new Set(live.mounts.map((m) => m.volumeKey));
    for (const other of state.workspaces.values()) {
      for (const instance of other.instances) {
        if (instance === live || !state.exposed.has(instance.uid)) continue;
        if (instance.mounts.some((m) => keys.has(m.volumeKey))) {
          violations.push(
            `invariant 2: ${starting.key} starts while ${instance.name} of ${other.key} shares a volume`,
          );
        }
      }
    }
  }

  const entry = (wanted: DesiredWorkspace): ObservedWorkspace => {
    const known = state.workspaces.get(wanted.key);
    if (known !== undefined) return known;
    const made = neverSeen(wanted.key);
    state.workspaces.set(wanted.key, made);
    return made;
  };

  function start(wanted: DesiredWorkspace): void {
    const workspace = entry(wanted);
    workspace.power = "running";
    workspace.specHash = specHash(wanted);
    workspace.outdated = false;
    workspace.compute = { uid: next(), version: next() };
    if (workspace.instances.some((i) => i.state !== "terminating")) return;
    for (const { volumeKey } of wanted.mounts) {
      if (state.volumes.get(volumeKey) === undefined) {
        violations.push(`${wanted.key} starts without volume ${volumeKey}`);
      }
    }
    workspace.instances.push({
      uid: next(),
      name: `${wanted.key}-0`,
      state: "pending",
      ready: false,
      specHash: specHash(wanted),
      mounts: wanted.mounts,
      gated: wanted.sensitive,
      node: null,
      reason: null,
    });
  }

  function stop(key: string): void {
    const workspace = state.workspaces.get(key);
    if (workspace === undefined) return;
    workspace.power = workspace.power === null ? null : "stopped";
    for (const instance of workspace.instances) {
      Object.assign(instance, { state: "terminating", ready: false });
    }
  }

  function taskPod({ from, fromKey, into }: Consolidation): TaskPod {
    const mounts: TaskPod["mounts"] = [
      { volume: from, volumeKey: fromKey, path: "/uploads", mode: "ro" },
      { volume: into.id, volumeKey: into.key, path: "/raw", mode: "rw" },
    ];
    return { uid: next(), name: `task of ${fromKey}`, mounts, gated: true };
  }

  function ensureVolume(action: Extract<Action, { kind: "ensure-volume" | "rebind-volume" }>): void {
    const { volume } = action;
    const isTaintable = phases.volumes.get(volume.id.volume)?.sensitive === "when-tainted";
    const known = state.volumes.get(volume.key);
    state.volumes.set(volume.key, {
      id: volume.id,
      key: volume.key,
      name: `vol-${volume.key}`,
      state: "pending",
      retained: known?.retained ?? false,
      tainted: known?.tainted === true || (volume.sensitive && isTaintable),
      size: volume.size,
      detail: null,
      seen: { uid: next(), version: next() },
    });
  }

  function perform(action: Action): void {
    switch (action.kind) {
      case "ensure-scope":
        state.scope = {
          state: "intact",
          name: permitId,
          detail: null,
          seen: { uid: next(), version: next() },
        };
        return;
      case "ensure-volume":
      case "rebind-volume":
        return ensureVolume(action);
      case "taint-volume":
      case "retain-volume": {
        const volume = state.volumes.get(action.volume.key);
        if (volume !== undefined) {
          Object.assign(volume, action.kind === "taint-volume" ? { tainted: true } : { retained: true });
        }
        return;
      }
      case "ensure-identity":
        entry(action.workspace).identityHash = identityHash(action.workspace);
        return;
      case "start":
        return start(action.workspace);
      case "cut-network": {
        const workspace = state.workspaces.get(action.workspace.key);
        if (workspace !== undefined) workspace.network = { state: "shut", seen: null };
        return;
      }
      case "stop":
        return stop(action.workspace.key);
      case "replace-instance":
        for (const instance of state.workspaces.get(action.workspace.key)?.instances ?? []) {
          instance.state = "terminating";
        }
        return;
      case "remove-workspace":
        if ((state.workspaces.get(action.workspace.key)?.instances.length ?? 0) > 0) {
          violations.push(`${action.workspace.key} removed with pods`);
        }
        state.workspaces.delete(action.workspace.key);
        return;
      case "open-network":
        return open(action.workspace, action.instanceUid);
      case "prove-isolation":
        return prove(action);
      case "ask-canaries":
        state.canaries.asking = {
          detail: null,
          after: [...state.canaries.asking?.after ?? [], ...action.after],
        };
        return;
      case "consolidate":
        state.tasks.set(action.consolidation.fromKey, {
          key: action.consolidation.fromKey,
          name: "task",
          state: "running",
          message: null,
          pods: [taskPod(action.consolidation)],
          network: { state: "shut" },
          terminating: null,
          seen: null,
        });
        return;
      case "remove-task":
        state.tasks.delete(action.task.key);
        return;
      case "destroy-volume":
        if (phases.volumes.get(action.volume.id.volume)?.per !== "dataHolder" && !state.deleted) {
          violations.push(`invariant 4: ${action.volume.key} destroyed`);
        }
        state.volumes.delete(action.volume.key);
        return;
      case "destroy-scope":
        state.scope = { state: "absent" };
    }
  }

  function prove({ workspace, instanceUid }: Extract<Action, { kind: "prove-isolation" }>): void {
    const isReady = state.workspaces.get(workspace.key)?.instances.some(({ uid, ready }) =>
      uid === instanceUid && ready
    );
    if (isReady && state.canaries.answer?.after.includes(instanceUid)) state.proven.add(instanceUid);
    else violations.push(`invariant 6: ${workspace.key} proven without its gate or the canaries after it`);
  }

  function open(wanted: DesiredWorkspace, instanceUid: string): void {
    const posture: Posture = wanted.posture;
    if (wanted.sensitive && !state.proven.has(instanceUid)) {
      violations.push(`invariant 6: ${wanted.key} opened unproven`);
    }
    entry(wanted).network = {
      state: "open",
      posture,
      hash: networkHash(wanted),
      openedFor: instanceUid,
      seen: null,
    };
  }

  return {
    state,
    violations,
    observe: () =>
      structuredClone({
        permitId,
        scope: state.scope,
        workspaces: [...state.workspaces.values()],
        volumes: [...state.volumes.values()],
        tasks: [...state.tasks.values()],
        foreign: state.foreign,
        objects: [],
        canaries: state.canaries,
        atMs: 0,
      }),
    apply(action: Action): void {
      perform(action);
      check(action);
    },
    tick(): void {
      for (const workspace of state.workspaces.values()) {
        workspace.instances = workspace.instances.filter((instance) => instance.state !== "terminating");
        for (const instance of workspace.instances) {
          Object.assign(instance, { state: "running", ready: true, node: "lab" });
        }
      }
      if (state.canaries.asking !== null) {
        const { after } = state.canaries.asking;
        state.canaries = {
          asking: null,
          answer: { askedAtMs: 0, alive: ["a", "b"], silent: [], after },
        };
      }
      for (const task of state.tasks.values()) Object.assign(task, { state: "succeeded", pods: [] });
      for (const volume of state.volumes.values()) volume.state = "bound";
    },
  };
}
