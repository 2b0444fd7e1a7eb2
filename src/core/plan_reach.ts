/** The last stages of a plan: a pod that never came up, proof, and only then reachability. */
import { isOutdated, liveInstance } from "./condition.ts";
import { findWorkspace, type GiveInput, needsStart } from "./plan_give.ts";
import {
  awaitStep,
  laterStep,
  openStep,
  openWhy,
  PROVE_WHY,
  proveStep,
  replaceStep,
  startStep,
  type StepDraft,
} from "./plan_steps.ts";
import type { Condition } from "./step.ts";
import type { DesiredWorkspace } from "./workspace.ts";

/** A pod that never became ready and belongs to an old template would stay for ever (DESIGN 8). */
export function replaceStage(give: GiveInput): StepDraft[][] {
  const pinned = give.input.observed.workspaces.flatMap((existing) => {
    const wanted = give.desired.workspaces.find(({ key }) => key === existing.key);
    const live = liveInstance(existing);
    if (wanted?.power !== "running" || give.leaving.has(existing.key) || needsStart(wanted, give)) return [];
    return live !== null && !live.ready && isOutdated(existing, wanted)
      ? [{ existing, wanted, uid: live.uid }]
      : [];
  });
  const why = "its template is outdated and its pod never became ready";
  return [
    pinned.map(({ existing, wanted }) => startStep(wanted, existing.compute, [], why)),
    pinned.map(({ existing, uid }) => replaceStep(existing, uid)),
  ];
}

/** Ready, kept, proven, open: for what starts now and for what runs already. */
export function reachStage(give: GiveInput, starting: DesiredWorkspace[]): StepDraft[][] {
  const running = give.desired.workspaces.filter((workspace) => workspace.power === "running");
  const settled = running.flatMap((workspace) => {
    if (starting.includes(workspace) || give.shutting.has(workspace.key)) return [];
    const existing = findWorkspace(give, workspace.key);
    const live = existing === undefined ? null : liveInstance(existing);
    if (existing === undefined || live === null || live.state !== "running" || !live.ready) return [];
    return [{ workspace, network: existing.network, uid: live.uid }];
  });
  const unready = running.filter((workspace) => !settled.some((found) => found.workspace === workspace));
  const opening = settled.filter(({ network }) => network.state !== "open");
  const ready = (key: string): Condition[] => [{ is: "ready", workspace: key }];
  return [
    opening.filter(({ workspace }) => isProven(workspace)).map(({ workspace, uid }) =>
      proveStep(workspace, uid)
    ),
    opening.map(({ workspace, uid, network }) => openStep(workspace, uid, network.seen)),
    unready.map(({ key }) => awaitStep("ready", key, "nobody is let in before it is ready", ready(key))),
    unready.filter(isProven).map(({ key }) => laterStep("prove-isolation", key, PROVE_WHY, ready(key), [])),
    unready.map((workspace) =>
      laterStep("open-network", workspace.key, openWhy(workspace), ready(workspace.key), [
        { is: "reachable", workspace: workspace.key },
      ])
    ),
  ];
}

/** Isolation is shown wherever sensitive data is. */
function isProven(workspace: DesiredWorkspace): boolean {
  return workspace.sensitive && workspace.posture === "isolated";
}
