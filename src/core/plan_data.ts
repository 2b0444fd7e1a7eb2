/** The stages of a plan that concern data: claims, taint, consolidation (invariants 3 and 4). */
import type { Observed, ObservedTask } from "./observed.ts";
import { areCanariesFresh } from "./isolation.ts";
import { findVolume, type GiveInput } from "./plan_give.ts";
import { ASK_WHY, askStep, awaitStep, laterStep, type StepDraft } from "./plan_steps.ts";
import {
  consolidateStep,
  destroyVolumeStep,
  removeTaskStep,
  RETAIN_WHY,
  taintStep,
  volumeStep,
} from "./plan_volume_steps.ts";
import { isRefused } from "./refusal.ts";
import type { Condition, Consolidation } from "./step.ts";

/** A volume that is being deleted by somebody is waited for, by name, before anything else of it is done. */
export function volumeWaits(give: GiveInput): StepDraft[] {
  return give.desired.volumes.filter(({ key }) =>
    findVolume(give.input.observed, key)?.state === "terminating"
  )
    .map(({ key }) => {
      const why = "somebody deleted its claim; what it holds is kept and bound again";
      return awaitStep("volume", key, why, [{ is: "volumes-gone", volumes: [key] }]);
    });
}

/** Claims, rebinding, taint. */
export function storageStage(give: GiveInput): StepDraft[] {
  const { input: { observed }, desired } = give;
  return desired.volumes.flatMap((volume) => {
    const existing = findVolume(observed, volume.key);
    if (existing === undefined || existing.state === "released") return [volumeStep(volume, existing)];
    return desired.newlyTainted.has(volume.key) ||
        (desired.sensitive.has(volume.key) && !existing.tainted && isTaintable(give, volume.key))
      ? [taintStep(volume, existing.seen)]
      : [];
  });
}

/** What is bound only once a pod mounts it is retained then; said now, so that a plan tells the whole way. */
export function retainsAhead({ input: { observed }, desired }: GiveInput): StepDraft[] {
  return desired.volumes.filter(({ key }) => findVolume(observed, key)?.state !== "bound").map(({ key }) =>
    laterStep("retain-volume", key, RETAIN_WHY, [{ is: "volumes-usable", volumes: [key] }], [
      { is: "volumes-retained", volumes: [key] },
    ])
  );
}

function isTaintable(give: GiveInput, key: string): boolean {
  const name = give.desired.volumes.find((volume) => volume.key === key)?.id.volume ?? "";
  return give.input.phases.volumes.get(name)?.sensitive === "when-tainted";
}

/** Uploads into their target, verified and kept there, and only then destroyed (invariant 4). */
export function consolidationStage(give: GiveInput): StepDraft[][] {
  const { observed } = give.input;
  const taskOf = (key: string): ObservedTask | null =>
    observed.tasks.find((task) => task.key === key) ?? null;
  const open = give.desired.consolidations.filter(({ fromKey }) => taskOf(fromKey)?.state !== "succeeded");
  const ending = open.filter(({ fromKey }) => (taskOf(fromKey)?.terminating ?? null) !== null);
  const waiting = open.filter((consolidation) =>
    taskOf(consolidation.fromKey)?.state !== "running" && !ending.includes(consolidation) &&
    !isRefused(consolidation, observed, give.input.tried)
  );
  const isFresh = areCanariesFresh(observed);
  const uploads = open.map(({ fromKey }) => fromKey);
  return [
    ending.length === 0 ? [] : [awaitTasks(ending.map(({ fromKey }) => fromKey))],
    ...(waiting.length === 0 || isFresh ? [] : canariesFirst(give)),
    waiting.map((consolidation) =>
      isFresh || !give.clear
        ? consolidateStep(
          consolidation,
          taskOf(consolidation.fromKey),
          mounting(observed, consolidation.fromKey),
        )
        : laterStep("consolidate", consolidation.fromKey, VERIFIED_WHY, [{ is: "canaries-fresh" }], [])
    ),
    open.length === 0
      ? []
      : [awaitStep("consolidated", uploads.join(", "), VERIFIED_WHY, [{ is: "consolidated", uploads }])],
    // What ends now and begins anew is removed now: a plan names no step twice.
    open.flatMap(destroyLater).filter(({ kind, target }) =>
      kind !== "remove-task" || !give.ending.has(target)
    ),
    give.desired.consolidations.flatMap((consolidation) =>
      destroyVerified(consolidation, taskOf(consolidation.fromKey), observed)
    ),
  ];
}

/** Whoever copies data passes a gate as whoever looks at it does (invariant 6). */
function canariesFirst({ clear, input: { observed: { canaries } } }: GiveInput): StepDraft[][] {
  if (!clear) return [];
  const why = ASK_WHY["before-start"];
  return [
    canaries.asking === null ? [askStep("before-start", [])] : [],
    [awaitStep("canaries", "before-start", why, [{ is: "canaries-fresh" }])],
  ];
}

/** The workspaces with a pod that mounts a volume. */
function mounting({ workspaces }: Observed, volumeKey: string): string[] {
  return workspaces.filter(({ instances }) =>
    instances.some(({ mounts }) => mounts.some((mount) => mount.volumeKey === volumeKey))
  ).map(({ key }) => key);
}

const VERIFIED_WHY = "uploads are destroyed only after their copies were verified";

/** What {@link destroyVerified} will do; said now, so that the count of steps is known from the start. */
function destroyLater({ fromKey, into }: Consolidation): StepDraft[] {
  const before: Condition[] = [
    { is: "consolidated", uploads: [fromKey] },
    { is: "volumes-retained", volumes: [into.key] },
  ];
  return [
    laterStep("destroy-volume", fromKey, VERIFIED_WHY, before, [{ is: "volumes-gone", volumes: [fromKey] }]),
    laterStep("remove-task", fromKey, "it succeeded", before, []),
  ];
}

/** Only once the target is bound and set to be retained: it now holds the only copy. */
function destroyVerified(
  consolidation: Consolidation,
  task: ObservedTask | null,
  observed: Observed,
): StepDraft[] {
  const { fromKey, into } = consolidation;
  const volume = findVolume(observed, fromKey), target = findVolume(observed, into.key);
  if (task?.state !== "succeeded" || volume === undefined) return [];
  if (target?.state !== "bound" || !target.retained) return destroyLater(consolidation);
  const before: Condition[] = [
    { is: "consolidated", uploads: [fromKey] },
    { is: "volumes-retained", volumes: [into.key] },
  ];
  return [
    destroyVolumeStep(volume, "its copies were verified", before),
    ...(task.terminating === null ? [removeTaskStep(task, "it succeeded")] : []),
  ];
}

function awaitTasks(tasks: string[]): StepDraft {
  return awaitStep("gone", tasks.join(", "), "an ended consolidation leaves before a new one", [{
    is: "tasks-gone",
    tasks,
  }]);
}

/**
 * Tasks whose uploads are gone, and those of a phase before this one, which does not name them: what they copied stays,
 * and the next preparation begins them again.
 */
export function cleanupStage({ input: { observed }, desired, ending }: GiveInput): StepDraft[] {
  const staying = observed.tasks.filter(({ key, terminating }) => terminating === null && !ending.has(key));
  return staying.flatMap((task) => {
    if (findVolume(observed, task.key) === undefined) {
      return task.state === "running" ? [] : [removeTaskStep(task, "its uploads are gone")];
    }
    const isWanted = desired.consolidations.some(({ fromKey }) => fromKey === task.key);
    return isWanted ? [] : [removeTaskStep(task, "the phase does not name it")];
  });
}

/** Uploads that WPS destroyed are seen to be gone: what stays is named (DESIGN 8). */
export function awaitDestroyed(give: GiveInput): StepDraft[] {
  const destroyed = new Set(give.input.records.filter((record) => record.destroyed).map(({ key }) => key));
  const volumes = give.input.observed.volumes.filter(({ key, state }) =>
    state === "terminating" && destroyed.has(key)
  )
    .map(({ key }) => key);
  if (volumes.length === 0) return [];
  return [
    awaitStep("gone", volumes.join(", "), "gone means claim and backing volume", [{
      is: "volumes-gone",
      volumes,
    }]),
  ];
}
