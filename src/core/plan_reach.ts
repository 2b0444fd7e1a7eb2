/** The last stages of a plan: a pod that never came up, proof, and only then reachability. */
import { isOutdated, liveInstance } from "./condition.ts";
import { areCanariesConfirmed, isGated } from "./isolation.ts";
import type { Observed, ObservedNetwork } from "./observed.ts";
import { findWorkspace, type GiveInput, needsStart } from "./plan_give.ts";
import {
  ASK_WHY,
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
  const fresh: Condition[] = [{ is: "canaries-fresh" }];
  const confirmed = waiting.map(({ workspace }) =>
    ({ is: "canaries-confirmed", workspace: workspace.key }) as const
  );
  const coming = [...waiting.map(({ workspace }) => workspace), ...unready];
  return [
    sure.filter(({ workspace }) => isGated(workspace)).map(({ workspace, uid }) => proveStep(workspace, uid)),
    sure.map(({ workspace, uid, network }) => openStep(workspace, uid, network.seen)),
    askOnce(observed, waiting.map(({ uid }) => uid), held.length > 0),
    [
      ...unready.filter((workspace) => !held.includes(workspace))
        .map(({ key }) => awaitStep("ready", key, "nobody is let in before it is ready", ready(key))),
      ...(held.length === 0 ? [] : [awaitStep("canaries", "before-start", ASK_WHY["before-start"], fresh)]),
      ...(waiting.length === 0
        ? []
        : [awaitStep("canaries", "after-gate", ASK_WHY["after-gate"], confirmed)]),
    ],
    held.map(({ key }) => laterStep("ensure-identity", key, START_WHY, fresh, [])),
    held.map(({ key }) => laterStep("start", key, ASK_WHY["before-start"], fresh, ready(key))),
    held.map(({ key }) =>
      laterStep("await-ready", key, "nobody is let in before it is ready", [], ready(key))
    ),
    ...(waiting.length > 0 || !unready.some(isGated) ? [] : askLater()),
    coming.filter(isGated).map(({ key }) => laterStep("prove-isolation", key, PROVE_WHY, ready(key), [])),
    coming.map((workspace) =>
      laterStep("open-network", workspace.key, openWhy(workspace), ready(workspace.key), [
        { is: "reachable", workspace: workspace.key },
      ])
    ),
  ];
}

/** Said now, so that the count of steps is known from the start. */
function askLater(): StepDraft[][] {
  const why = ASK_WHY["after-gate"];
  return [
    [laterStep("ask-canaries", "after-gate", why, [], [])],
    [laterStep("await-canaries", "after-gate", why, [], [])],
  ];
}

/** Why a workspace that starts gets its identity anew. */
export const START_WHY = "a start gets a new password";

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
  return [
    ...(forStart && asking === null ? [askStep("before-start", [])] : []),
    ...(unasked.length > 0 ? [askStep("after-gate", unasked)] : []),
  ];
}
