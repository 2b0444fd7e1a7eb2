/** What is really so for a pod, by packets and mounts, whatever objects and marks say of it. */
import { LAB_TARGETS, type LabTarget, mayEnter, mayLeave, rulesFor } from "./network.ts";
import type { LabBacking, LabPod, LabScope } from "./objects.ts";
import { mountedBacking } from "./volumes.ts";
import type { World } from "./world.ts";

/** A mount of a pod with the data behind it. */
export interface TrueMount {
  path: string;
  volumeKey: string;
  writable: boolean;
  /** Sensitive data is or was on it. */
  sensitive: boolean;
  backing: LabBacking | null;
}

/** A pod as it really is. */
export interface TruePod {
  pod: LabPod;
  /** Empty while no container runs: only then anything is visible to anybody. */
  mounts: TrueMount[];
  /** Where a packet from it gets to now. */
  leaves: LabTarget[];
  /** Who gets in now: "gateway", "stranger", address ranges. */
  enters: string[];
  /** What it is or was connected with: all of it counts as connected until the pod is gone. */
  connections: string[];
}

/** A pod's truth at this instant. */
export function truthOf(world: World, scope: LabScope, pod: LabPod): TruePod {
  const mounts = pod.phase !== "running" ? [] : pod.template.mounts.map((mount) => {
    const backing = mountedBacking(world, scope, mount.volumeKey) ?? null;
    return {
      path: mount.path,
      volumeKey: mount.volumeKey,
      writable: mount.mode !== "ro",
      sensitive: backing?.touched ?? world.isSensitive(mount.volume.volume),
      backing,
    };
  });
  const ranges = rulesFor(scope, pod).flatMap(({ ingress }) => Array.isArray(ingress) ? ingress : []);
  const sources = [...(["gateway", "stranger"] as const), ...ranges.map((cidr) => ({ cidr }))];
  return {
    pod,
    mounts,
    leaves: LAB_TARGETS.filter((target) => mayLeave(scope, pod, target)),
    enters: sources.filter((source) => mayEnter(scope, pod, source))
      .map((source) => typeof source === "string" ? source : source.cidr),
    connections: [...pod.connections],
  };
}

/** Every way out of a pod, DESIGN 4: egress of any kind, inbound from others than the gateway; open connections too. */
export function waysOut({ leaves, enters, connections }: TruePod): string[] {
  const now = [
    ...leaves.map((target) => `to ${target}`),
    ...enters.filter((source) => source !== "gateway").map((source) => `from ${source}`),
  ];
  return [...new Set([...now, ...connections])];
}
