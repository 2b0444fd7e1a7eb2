/** Invariant 3 on what is desired: which volumes become sensitive by what is mounted beside them. */
import type { DesiredWorkspace } from "./workspace.ts";

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
