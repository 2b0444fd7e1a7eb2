/** Finding one thing in an observation, and comparing two of them. */
import type { Observed, ObservedTask, ObservedVolume, ObservedWorkspace } from "../../src/core/observed.ts";

/** A workspace of an observation. */
export function find(observed: Observed, key: string): ObservedWorkspace | undefined {
  return observed.workspaces.find((workspace) => workspace.key === key);
}

/** A volume of an observation. */
export function findVolume(observed: Observed, key: string): ObservedVolume | undefined {
  return observed.volumes.find((volume) => volume.key === key);
}

/** A task of an observation, by its uploads volume's key. */
export function findTask(observed: Observed, key: string): ObservedTask | undefined {
  return observed.tasks.find((task) => task.key === key);
}

/** An observation without its time and the site's canaries, which move by themselves; lists in the order of their keys. */
export function stable(observed: Observed): Omit<Observed, "atMs" | "canaries"> {
  const byKey = (a: { key: string }, b: { key: string }): number =>
    a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
  const { atMs: _time, canaries: _canaries, ...rest } = observed;
  return {
    ...rest,
    workspaces: [...observed.workspaces].sort(byKey),
    volumes: [...observed.volumes].sort(byKey),
    tasks: [...observed.tasks].sort(byKey),
    foreign: [...observed.foreign].sort((a, b) => a.object < b.object ? -1 : 1),
  };
}
