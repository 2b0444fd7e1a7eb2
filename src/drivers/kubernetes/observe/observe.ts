/** A snapshot as the planner knows it. Pure. */
import type { Observed, ObservedCanaries } from "../../../core/observed.ts";
import type { ClusterTraits, KubernetesSite } from "../settings.ts";
import { isOurs } from "../marks.ts";
import { foreignOf } from "./foreign.ts";
import { objectsOf } from "./objects.ts";
import { scopeOf } from "./scope.ts";
import type { Snapshot } from "./snapshot.ts";
import { tasksOf } from "./tasks.ts";
import { volumesOf } from "./volumes.ts";
import { workspacesOf } from "./workspaces.ts";

/** Everything of one permit in WPS's words. Within a namespace of somebody else's nothing is ours. */
export function describeSnapshot(
  snapshot: Snapshot,
  site: KubernetesSite,
  traits: ClusterTraits,
  canaries: ObservedCanaries,
): Observed {
  const { permitId, namespace, atMs } = snapshot;
  const isStranger = namespace !== null && !isOurs(namespace, permitId);
  return {
    permitId,
    scope: scopeOf(snapshot, site.settings, traits),
    workspaces: isStranger ? [] : workspacesOf(snapshot, site),
    volumes: volumesOf(isStranger ? { ...snapshot, claims: [] } : snapshot),
    tasks: isStranger ? [] : tasksOf(snapshot),
    foreign: foreignOf(snapshot),
    objects: isStranger ? [] : objectsOf(snapshot),
    canaries,
    atMs,
  };
}
