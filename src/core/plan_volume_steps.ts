/** The steps of a plan that concern data: volumes and their consolidation. The others: plan_steps.ts. */
import type { ObservedTask, ObservedVolume, Seen } from "./observed.ts";
import { barrierOf, type StepDraft } from "./plan_steps.ts";
import type { Condition, Consolidation } from "./step.ts";
import type { DesiredVolume } from "./volume.ts";

/** A volume's claim: new, or bound again to the data of a vanished one. */
export function volumeStep(volume: DesiredVolume, existing: ObservedVolume | undefined): StepDraft {
  const released = existing?.state === "released";
  const kind = released ? "rebind-volume" : "ensure-volume";
  const why = released ? "its claim vanished, its data is kept" : "a workspace of this phase mounts it";
  const after: Condition[] = [{ is: "volumes-usable", volumes: [volume.key] }];
  return {
    do: "apply",
    kind,
    target: volume.key,
    why,
    before: [],
    after,
    action: { kind, volume, seen: existing?.seen ?? null },
  };
}

/** The mark of invariant 3, before the mount. */
export function taintStep(volume: DesiredVolume, seen: Seen): StepDraft {
  const why = "it is about to be mounted read-write beside sensitive data (invariant 3)";
  return {
    do: "apply",
    kind: "taint-volume",
    target: volume.key,
    why,
    before: [],
    after: [],
    action: { kind: "taint-volume", volume, seen },
  };
}

/** Reclaim policy Retain. */
export function retainStep(volume: ObservedVolume): StepDraft {
  return {
    do: "apply",
    kind: "retain-volume",
    target: volume.key,
    why: RETAIN_WHY,
    before: [],
    after: [],
    action: { kind: "retain-volume", volume },
  };
}

/** Why a volume is retained. */
export const RETAIN_WHY = "data must survive the loss of its claim";

/** Destroy a volume for good (invariant 4). */
export function destroyVolumeStep(volume: ObservedVolume, why: string, before: Condition[]): StepDraft {
  const after: Condition[] = [{ is: "volumes-gone", volumes: [volume.key] }];
  return {
    do: "apply",
    kind: "destroy-volume",
    target: volume.key,
    why,
    before,
    after,
    action: { kind: "destroy-volume", volume },
  };
}

/** Start (or repeat) a consolidation. `mounting`: the workspaces that still mount its uploads. */
export function consolidateStep(
  consolidation: Consolidation,
  task: ObservedTask | null,
  mounting: string[],
): StepDraft {
  return {
    do: "apply",
    kind: "consolidate",
    target: consolidation.fromKey,
    why: `the phase works on ${consolidation.into.key}`,
    before: [...barrierOf(mounting), { is: "canaries-fresh" }],
    after: [{ is: "consolidated", uploads: [consolidation.fromKey] }],
    action: { kind: "consolidate", consolidation, task },
  };
}

/** Remove a task's leftovers. */
export function removeTaskStep(task: ObservedTask, why: string): StepDraft {
  return {
    do: "apply",
    kind: "remove-task",
    target: task.key,
    why,
    before: [],
    after: [],
    action: { kind: "remove-task", task },
  };
}
