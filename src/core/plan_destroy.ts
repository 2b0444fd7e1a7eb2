/** The end of a deleted permit, in invariant 2's order. */
import type { Observed } from "./observed.ts";
import { DELETED_WHY } from "./plan_taking.ts";
import { awaitStep, destroyScopeStep, removeStep, type StepDraft } from "./plan_steps.ts";
import { destroyVolumeStep, removeTaskStep } from "./plan_volume_steps.ts";
import type { Obstacle } from "./step.ts";

/**
 * Children, then volumes, then the namespace; it ends only when an observation finds nothing (DESIGN 5, 8). `ending`: keys
 * of the consolidations that the waves before end. A namespace in which anything foreign lies stays (invariant 8).
 */
export function planDestroy(
  observed: Observed,
  { volumes, ending }: { volumes: boolean; ending: ReadonlySet<string> },
): StepDraft[][] {
  const why = DELETED_WHY;
  const keys = observed.workspaces.map(({ key }) => key);
  const tasks = observed.tasks.map(({ key }) => key);
  const volumeKeys = observed.volumes.map(({ key }) => key);
  const standing = observed.volumes.filter((volume) => volume.state !== "terminating");
  const children: StepDraft[][] = [
    [
      ...observed.workspaces.filter(({ terminating }) => terminating === null).map((w) => removeStep(w, why)),
      ...observed.tasks.filter(({ key, terminating }) => terminating === null && !ending.has(key))
        .map((task) => removeTaskStep(task, why)),
    ],
    keys.length + tasks.length === 0 ? [] : [
      awaitStep("gone", "workspaces", "volumes go only after what uses them", [
        { is: "workspaces-gone", workspaces: keys },
        { is: "tasks-gone", tasks },
      ]),
    ],
  ];
  if (!volumes) return children;
  const { scope } = observed;
  const scopeGone = awaitStep("gone", "namespace", "a deletion ends when nothing is found", [{
    is: "scope-gone",
  }]);
  return [
    ...children,
    standing.map((volume) => destroyVolumeStep(volume, why, [])),
    volumeKeys.length === 0 ? [] : [
      awaitStep("gone", "volumes", "gone means claim and backing volume", [{
        is: "volumes-gone",
        volumes: volumeKeys,
      }]),
    ],
    ...(foreignBeside(observed).length > 0 ? [] : [
      scope.state === "intact" || scope.state === "incomplete" ? [destroyScopeStep(scope.seen)] : [],
      scope.state === "absent" ? [] : [scopeGone],
    ]),
  ];
}

/** What keeps a deleted permit's namespace: it is not WPS's and would go along. It goes with one that ends already. */
export function foreignBeside({ scope, foreign }: Observed): Obstacle[] {
  if (scope.state !== "intact" && scope.state !== "incomplete") return [];
  return foreign.map(({ object, why }): Obstacle => ({
    reason: "foreign-object",
    target: object,
    message: `Cannot end namespace ${scope.name}: ${object} would go with it and is not WPS's: ${why}`,
    advice: `Move or remove ${object}, then run wps jobs retry`,
  }));
}
