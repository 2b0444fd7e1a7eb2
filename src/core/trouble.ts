/** What keeps a wait from ending and does not pass by itself, in codes that a person and a machine can act on. */
import { liveInstance } from "./condition.ts";
import type { Observed, ObservedVolume, Trouble } from "./observed.ts";
import type { Condition } from "./step.ts";

/** A trouble with what it is about. */
export interface FoundTrouble {
  reason: Trouble;
  /** In the platform's words; null: the condition's own text has them already. */
  text: string | null;
  /** What to do, and what follows by itself. */
  advice: string;
  /** What to do once the wait was given up: then nothing follows by itself. */
  remedy: string;
  target: string;
}

/** What to do about each. */
export const ADVICE: Record<Trouble, string> = {
  "image-unavailable": "Correct the image's name in the configuration, or let the nodes reach its registry",
  "unschedulable": "Free room on the nodes, or correct tiers, nodeSelector and tolerations",
  "isolation-unproven":
    "Find out why the cluster does not enforce NetworkPolicy for this pod (its network plugin, policies that stand above NetworkPolicy)",
  "storage-class-missing":
    "Create the storage class that the claim names, or a default one; correct drivers.kubernetes.storageClasses for new volumes",
};

/** What follows by itself while it is waited for. */
const FOLLOWS: Partial<Record<Trouble, string>> = {
  "image-unavailable": "it is pulled again by itself",
  "unschedulable": "it is scheduled again by itself",
};

/** The trouble behind conditions that do not hold: that of a volume before that of the pod that needs it. Null: none. */
export function troubleOf(conditions: Condition[], observed: Observed): FoundTrouble | null {
  for (const condition of conditions) {
    const found = troubleBehind(condition, observed);
    if (found !== null) return found;
  }
  return null;
}

function troubleBehind(condition: Condition, observed: Observed): FoundTrouble | null {
  if (condition.is === "volumes-usable") return ofVolumes(condition.volumes, observed);
  if (condition.is === "ready") {
    const workspace = observed.workspaces.find(({ key }) => key === condition.workspace);
    const instance = workspace === undefined ? null : liveInstance(workspace);
    if (instance === null || instance.ready) return null;
    const volume = ofVolumes(instance.mounts.map(({ volumeKey }) => volumeKey), observed);
    return volume ?? found(instance.trouble, instance.name, null);
  }
  if (condition.is !== "consolidated") return null;
  for (const { key, name, state, trouble } of observed.tasks) {
    if (state !== "running" || trouble == null || !condition.uploads.includes(key)) continue;
    const keys = observed.volumes.map((volume) => volume.key);
    return ofVolumes(keys, observed) ?? found(trouble.reason, name, trouble.text);
  }
  return null;
}

function ofVolumes(keys: string[], observed: Observed): FoundTrouble | null {
  const volume = observed.volumes.find((candidate: ObservedVolume) =>
    candidate.trouble != null && keys.includes(candidate.key)
  );
  return volume === undefined ? null : found(volume.trouble, volume.name, volume.detail);
}

function found(reason: Trouble | null | undefined, target: string, text: string | null): FoundTrouble | null {
  if (reason == null) return null;
  const remedy = ADVICE[reason];
  const follows = FOLLOWS[reason];
  return { reason, text, advice: follows === undefined ? remedy : `${remedy}; ${follows}`, remedy, target };
}
