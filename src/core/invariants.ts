/** The invariants of DESIGN 5 that concern what is desired: judged before anything is planned. */
import { isWayOut } from "./phase.ts";
import type { DesiredWorkspace, Mount } from "./workspace.ts";

/** Whether the one exception of DESIGN 4 applies: an airlock that mounts only its own holder's uploads. */
function isAirlockOfItsOwn(workspace: DesiredWorkspace): boolean {
  return workspace.posture === "inbound-allowlist" &&
    workspace.mounts.every((mount) =>
      mount.volume.volume === "uploads" && mount.volume.owner === workspace.owner
    );
}

/**
 * Invariant 1: the sensitive mounts that a running workspace with a way out would have. Empty: it may run.
 * `isSensitive` judges a volume key with taint taken into account.
 */
export function dataBesideWayOut(
  workspace: DesiredWorkspace,
  isSensitive: (volumeKey: string) => boolean,
): Mount[] {
  if (workspace.power !== "running" || !isWayOut(workspace.posture) || isAirlockOfItsOwn(workspace)) {
    return [];
  }
  return workspace.mounts.filter((mount) => isSensitive(mount.volumeKey));
}

/**
 * Invariant 3: the volumes that running workspaces taint, to a fixed point: mounted read-write beside sensitive
 * data, or beside what became sensitive so. Returns the keys that are newly tainted.
 */
export function spreadTaint(workspaces: DesiredWorkspace[], sensitive: ReadonlySet<string>): Set<string> {
  const tainted = new Set<string>();
  const counts = (key: string): boolean => sensitive.has(key) || tainted.has(key);
  for (let before = -1; before !== tainted.size;) {
    before = tainted.size;
    for (const { power, mounts } of workspaces) {
      if (power !== "running" || !mounts.some((mount) => counts(mount.volumeKey))) continue;
      for (const mount of mounts) {
        if (mount.mode !== "ro" && !counts(mount.volumeKey)) tainted.add(mount.volumeKey);
      }
    }
  }
  return tainted;
}
