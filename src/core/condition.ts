/** Judges conditions against an observation, naming what is still in the way (DESIGN 6: named waits). */
import { areCanariesConfirmed, areCanariesFresh, canariesInWay } from "./isolation.ts";
import type { Instance, Observed, ObservedTask, ObservedWorkspace } from "./observed.ts";
import type { Condition } from "./step.ts";
import type { DesiredWorkspace } from "./workspace.ts";

/** Says one instance's state for a person: "pod research-a-0 is terminating on node lab". */
export function describeInstance(instance: Instance): string {
  const where = instance.node === null ? "" : ` on node ${instance.node}`;
  const why = instance.reason === null ? "" : `: ${instance.reason}`;
  const state = instance.state === "running"
    ? (instance.ready ? "running" : "running, not ready")
    : instance.state;
  return `pod ${instance.name} is ${state}${where}${why}`;
}

/** The instance that counts: the one that is not on its way out. */
export function liveInstance(workspace: ObservedWorkspace): Instance | null {
  return workspace.instances.find((instance) => instance.state !== "terminating") ?? null;
}

/** What keeps a condition from holding, one text per obstacle in the words of the platform; empty: it holds. */
export function unmet(condition: Condition, observed: Observed): string[] {
  const find = (key: string): ObservedWorkspace | undefined => observed.workspaces.find((w) => w.key === key);
  switch (condition.is) {
    case "network-shut":
      return condition.workspaces.flatMap((key) => {
        const network = find(key)?.network;
        if (network === undefined || network.state === "shut") return [];
        return [`network of ${key} is ${network.state === "open" ? "open" : `opened by ${network.by}`}`];
      });
    case "instances-gone":
      return condition.workspaces.flatMap((key) => {
        const found = find(key);
        if (found === undefined) return [];
        if (found.instances.length > 0) return found.instances.map(describeInstance);
        return found.unsettled === null ? [] : [found.unsettled];
      });
    case "workspaces-gone":
      return condition.workspaces.flatMap((key) => {
        const found = find(key);
        return found === undefined ? [] : [found.terminating ?? `${key} still exists`];
      });
    case "scope-intact":
      return observed.scope.state === "intact" ? [] : [`scope is ${observed.scope.state}`];
    case "scope-gone":
      if (observed.scope.state === "absent") return [];
      return [
        observed.scope.state === "terminating"
          ? observed.scope.detail
          : `${observed.scope.name} still exists`,
      ];
    case "volumes-usable":
    case "volumes-gone":
    case "volumes-retained":
      return unmetByVolumes(condition, observed);
    case "tasks-gone":
    case "consolidated":
      return unmetByTasks(condition, observed);
    case "ready":
      return unready(condition.workspace, find(condition.workspace));
    case "reachable":
      return find(condition.workspace)?.network.state === "open"
        ? []
        : [`${condition.workspace} is not reachable`];
    case "nothing-foreign":
      return observed.foreign.map((object) => `${object.object}: ${object.why}`);
    case "canaries-fresh":
      return areCanariesFresh(observed)
        ? []
        : [canariesInWay(observed) ?? "the canaries have not been asked lately"];
    case "canaries-confirmed": {
      const instance = liveInstanceOf(find(condition.workspace));
      if (instance !== null && areCanariesConfirmed(observed, instance.uid)) return [];
      return [
        canariesInWay(observed) ??
          `the canaries have not been asked since the gate of ${condition.workspace}`,
      ];
    }
    case "members-named":
      return condition.roles.map((role) => `no ${role} has been named`);
  }
}

function unmetByVolumes(
  condition: Extract<Condition, { is: "volumes-usable" | "volumes-gone" | "volumes-retained" }>,
  observed: Observed,
): string[] {
  return condition.volumes.flatMap((key) => {
    const volume = observed.volumes.find((candidate) => candidate.key === key);
    if (condition.is === "volumes-retained") {
      return volume?.state === "bound" && volume.retained ? [] : [`volume ${key} is not retained yet`];
    }
    if (volume === undefined) return condition.is === "volumes-gone" ? [] : [`volume ${key} does not exist`];
    if (condition.is === "volumes-usable" && volume.state === "bound") return [];
    return [volume.detail ?? `volume ${volume.name} is ${volume.state}`];
  });
}

function unmetByTasks(
  condition: Extract<Condition, { is: "tasks-gone" | "consolidated" }>,
  observed: Observed,
): string[] {
  const find = (key: string): ObservedTask | undefined => observed.tasks.find((task) => task.key === key);
  if (condition.is === "tasks-gone") {
    return condition.tasks.flatMap((key) => {
      const task = find(key);
      return task === undefined ? [] : [task.terminating ?? `consolidation of ${key} still exists`];
    });
  }
  return condition.uploads.flatMap((key) => {
    const task = find(key);
    if (task?.state === "succeeded") return [];
    return [`consolidation of ${key} ${task?.refused ? "was refused" : task?.state ?? "has not started"}`];
  });
}

function liveInstanceOf(workspace: ObservedWorkspace | undefined): Instance | null {
  return workspace === undefined ? null : liveInstance(workspace);
}

function unready(key: string, workspace: ObservedWorkspace | undefined): string[] {
  const instance = liveInstanceOf(workspace);
  if (instance === null) return [`${key} has no pod yet`];
  return instance.state === "running" && instance.ready ? [] : [describeInstance(instance)];
}

/** Whether image, tier or template wait for the next start (DESIGN 8); `wanted` null: its tier does not count. */
export function isOutdated(seen: ObservedWorkspace, wanted: DesiredWorkspace | null): boolean {
  const tier = seen.tier ?? null;
  return seen.outdated || (wanted?.power === "running" && tier !== null && tier !== wanted.tier);
}

/** A condition in words, for plans: what must hold before and after a step. */
export function describeCondition(condition: Condition): string {
  switch (condition.is) {
    case "network-shut":
      return `network shut: ${condition.workspaces.join(", ")}`;
    case "instances-gone":
      return `no pod left: ${condition.workspaces.join(", ")}`;
    case "workspaces-gone":
      return `gone: ${condition.workspaces.join(", ")}`;
    case "scope-intact":
      return "namespace with default-deny, quota and limits";
    case "scope-gone":
      return "namespace gone";
    case "volumes-usable":
      return `usable: ${condition.volumes.join(", ")}`;
    case "volumes-gone":
      return `claim and backing volume gone: ${condition.volumes.join(", ")}`;
    case "volumes-retained":
      return `retained: ${condition.volumes.join(", ")}`;
    case "tasks-gone":
      return `consolidation gone: ${condition.tasks.join(", ")}`;
    case "consolidated":
      return `verified in the target: ${condition.uploads.join(", ")}`;
    case "ready":
      return `ready: ${condition.workspace}`;
    case "reachable":
      return `reachable: ${condition.workspace}`;
    case "nothing-foreign":
      return "nothing foreign in the way";
    case "canaries-fresh":
      return "canaries alive";
    case "canaries-confirmed":
      return `canaries still alive after the gate: ${condition.workspace}`;
    case "members-named":
      return `named: ${condition.roles.join(", ")}`;
  }
}
