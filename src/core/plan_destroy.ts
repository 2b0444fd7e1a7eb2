/** The end of a deleted permit, in invariant 2's order. */
import type { Observed } from "./observed.ts";
import { awaitStep, destroyScopeStep, removeStep, type StepDraft } from "./plan_steps.ts";
import { destroyVolumeStep, removeTaskStep } from "./plan_volume_steps.ts";

/** Children, then volumes, then the namespace; it ends only when an observation finds nothing (DESIGN 5, 8). */
export function planDestroy(observed: Observed, volumes: boolean): StepDraft[][] {
  const why = "the permit is deleted";
  const keys = observed.workspaces.map(({ key }) => key);
  const tasks = observed.tasks.map(({ key }) => key);
  const volumeKeys = observed.volumes.map(({ key }) => key);
  const standing = observed.volumes.filter((volume) => volume.state !== "terminating");
  const children: StepDraft[][] = [
    [
      ...observed.workspaces.filter(({ terminating }) => terminating === null).map((w) => removeStep(w, why)),
      ...observed.tasks.filter(({ terminating }) => terminating === null).map((task) =>
        removeTaskStep(task, why)
      ),
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
    scope.state === "intact" || scope.state === "incomplete" ? [destroyScopeStep(scope.seen)] : [],
    scope.state === "absent" ? [] : [scopeGone],
  ];
}
