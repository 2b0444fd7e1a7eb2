/** The last stages of a plan: a pod that never came up, proof, and only then reachability. */
import { liveInstance } from "./condition.ts";
import { areCanariesConfirmed, isGated } from "./isolation.ts";
import type { Observed, ObservedNetwork } from "./observed.ts";
import { findWorkspace, type GiveInput, needsStart } from "./plan_give.ts";
import {
  askStep,
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
    return live !== null && !live.ready && existing.outdated ? [{ existing, wanted, uid: live.uid }] : [];
  });
  const why = "its template is outdated and its pod never became ready";
  return [
    pinned.map(({ existing, wanted }) => startStep(wanted, existing.compute, [], why)),
    pinned.map(({ existing, uid }) => replaceStep(existing, uid)),
  ];
}

/**
 * Ready, proven, open: for what starts now and for what runs already. `held` starts once the canaries are known to be
 * alive. Who passed its gate is proven as soon as they are known to be still alive after that.
 */
export function reachStage(
  give: GiveInput,
  starting: DesiredWorkspace[],
  held: DesiredWorkspace[],
): StepDraft[][] {
  const { observed } = give.input;
  const running = give.desired.workspaces.filter((workspace) => workspace.power === "running");
  const settled = running.flatMap((workspace) => settledOf(give, workspace, starting));
  const unready = running.filter((workspace) => !settled.some((found) => found.workspace === workspace));
  const opening = settled.filter(({ network }) => network.state !== "open");
  const isWaiting = ({ workspace, uid }: Settled): boolean =>
    isGated(workspace) && !areCanariesConfirmed(observed, uid);
  const waiting = opening.filter(isWaiting), sure = opening.filter((found) => !isWaiting(found));
  const ready = (key: string): Condition[] => [{ is: "ready", workspace: key }];
  return [
    sure.filter(({ workspace }) => isGated(workspace)).map(({ workspace, uid }) => proveStep(workspace, uid)),
    sure.map(({ workspace, uid, network }) => openStep(workspace, uid, network.seen)),
    askOnce(observed, waiting.map(({ uid }) => uid), held.length > 0),
    [
      ...unready.filter((workspace) => !held.includes(workspace))
        .map(({ key }) => awaitStep("ready", key, "nobody is let in before it is ready", ready(key))),
      ...awaitCanaries(waiting, held.length > 0),
    ],
    held.map(({ key }) => laterStep("start", key, HELD_WHY, [{ is: "canaries-fresh" }], ready(key))),
    [...waiting.map(({ workspace }) => workspace), ...unready].filter(isGated)
      .map(({ key }) => laterStep("prove-isolation", key, PROVE_WHY, ready(key), [])),
    [...waiting.map(({ workspace }) => workspace), ...unready].map((workspace) =>
      laterStep("open-network", workspace.key, openWhy(workspace), ready(workspace.key), [
        { is: "reachable", workspace: workspace.key },
      ])
    ),
  ];
}

const HELD_WHY = "data comes near only where a leak would show";

interface Settled {
  workspace: DesiredWorkspace;
  network: ObservedNetwork;
  uid: string;
}

/** A workspace whose pod is ready and stays; empty: it is not. */
function settledOf(give: GiveInput, workspace: DesiredWorkspace, starting: DesiredWorkspace[]): Settled[] {
  if (starting.includes(workspace) || give.shutting.has(workspace.key)) return [];
  const existing = findWorkspace(give, workspace.key);
  const live = existing === undefined ? null : liveInstance(existing);
  if (existing === undefined || live === null || live.state !== "running" || !live.ready) return [];
  return [{ workspace, network: existing.network, uid: live.uid }];
}

/** Nothing where they are being asked already for all of these. */
function askOnce({ canaries: { asking } }: Observed, after: string[], forStart: boolean): StepDraft[] {
  const unasked = after.filter((uid) => asking?.after.includes(uid) !== true);
  return unasked.length > 0 || (forStart && asking === null) ? [askStep(unasked)] : [];
}

function awaitCanaries(waiting: Settled[], forStart: boolean): StepDraft[] {
  if (waiting.length === 0 && !forStart) return [];
  const conditions: Condition[] = [
    ...(forStart ? [{ is: "canaries-fresh" } as const] : []),
    ...waiting.map(({ workspace }) => ({ is: "canaries-confirmed", workspace: workspace.key } as const)),
  ];
  return [
    awaitStep("canaries", "canaries", "isolation is shown against addresses that are alive", conditions),
  ];
}
