/** The first stretch of a plan: what access must be taken away, and the steps that take it (invariant 2). */
import { liveInstance } from "./condition.ts";
import type { Desired } from "./desired.ts";
import type { Doubt } from "./doubt.ts";
import { isGated } from "./isolation.ts";
import type { Observed, ObservedTask, ObservedWorkspace } from "./observed.ts";
import { awaitStep, cutStep, numberWaves, type StepDraft, stopStep } from "./plan_steps.ts";
import { removeTaskStep } from "./plan_volume_steps.ts";
import type { Step } from "./step.ts";
import { type DesiredWorkspace, networkHash, specHash } from "./workspace.ts";

/** What should be, as far as it is known. */
export type Wish = Exclude<Desired, { mode: "unknown" }> | Doubt;

/**
 * What takes a failed provisioning back (DESIGN 6): the compute that never became reachable goes, what already
 * serves people stays, volumes are never touched, networks stay shut. `uncut`: see PlanInput.
 */
export function planRollback(observed: Observed, uncut: ReadonlySet<string>): Step[] {
  const halfMade = observed.workspaces.filter(({ network, power }) =>
    network.state !== "open" && power === "running"
  );
  const why = { text: "provisioning failed; half-made compute is taken back", stop: true };
  return numberWaves(takeAway(halfMade.map((workspace) => ({ workspace, why })), uncut));
}

/** A workspace whose access must go, why, and whether its pod must go too. */
export interface Taking {
  workspace: ObservedWorkspace;
  why: { text: string; stop: boolean };
}

/** What must be taken away of what exists. `closing`: the job takes away; then nothing doubtful stays. `proven`: see PlanInput. */
export function takingsOf(
  observed: Observed,
  wish: Wish,
  { closing, proven }: { closing: boolean; proven: ReadonlySet<string> },
): Taking[] {
  const isGuarded = observed.scope.state === "intact";
  return observed.workspaces.flatMap((workspace) => {
    const why = reasonToTake(workspace, wish, { closing, proven, isGuarded });
    return why === null ? [] : [{ workspace, why }];
  });
}

/**
 * Cut, see that it is cut, stop, see that the pods are gone: in that order for each workspace, and none is stopped
 * later because another's network is not seen to be cut yet. What is in `uncut` (see PlanInput) is cut again and stopped
 * without seeing it cut; all the same nothing else follows before its network is shut.
 */
export function takeAway(takings: Taking[], uncut: ReadonlySet<string> = new Set()): StepDraft[][] {
  const isOpen = ({ workspace: { network } }: Taking): boolean => network.state === "open";
  const isRefused = (taking: Taking): boolean => isOpen(taking) && uncut.has(taking.workspace.key);
  const isAwaited = (taking: Taking): boolean => isOpen(taking) && !isRefused(taking);
  // What somebody else opens is cut once, with the stop; cutting again would never change it.
  const cutting = takings.filter(({ workspace: { network, power } }) =>
    network.state === "open" || (network.state === "breached" && power === "running")
  );
  // Whose power is off needs no second stop: its pods end by themselves, or are waited for by name.
  const stopping = takings.filter(({ workspace, why }) => why.stop && workspace.power === "running");
  const leaving = takings.filter(({ workspace, why }) => why.stop && mayHaveInstances(workspace));
  const gone = [...new Set([...keysOf(stopping), ...keysOf(leaving)])];
  const stops = (list: Taking[]): StepDraft[] =>
    list.map((taking) => {
      const { workspace, why } = taking;
      return stopStep(workspace, why.text, workspace.network.state === "breached" || isRefused(taking));
    });
  const why = "an open connection or mount lives as long as its pod";
  return [
    cutting.map(({ workspace, why }) => cutStep(workspace, why.text)),
    stops(stopping.filter((taking) => !isAwaited(taking))),
    // A breach that is not ours cannot be cut by us: then only stopping helps, and waiting would never end.
    awaitCut("permit", takings.filter(isAwaited)),
    stops(stopping.filter(isAwaited)),
    [
      ...(gone.length === 0
        ? []
        : [awaitStep("gone", "pods", why, [{ is: "instances-gone", workspaces: gone }])]),
      ...awaitCut("what could not be cut", takings.filter(isRefused)),
    ],
  ].filter((wave) => wave.length > 0);
}

/**
 * The consolidations that must end, and why: each that runs where the permit is held or deleted, for it reads sensitive
 * uploads and writes `raw`; else one whose network somebody else opens. It is safe to repeat, so it begins anew. What
 * succeeded stays: it says that its uploads may go.
 */
export function endingTasks({ tasks }: Observed, wish: Wish): { task: ObservedTask; why: string }[] {
  return tasks.filter(({ state, pods }) => state === "running" || (state === "failed" && pods.length > 0))
    .flatMap((task) => {
      if (wish.mode === "hold") return [{ task, why: wish.why }];
      if (wish.mode === "destroy") return [{ task, why: DELETED_WHY }];
      const { network } = task;
      return network.state === "breached" ? [{ task, why: `${network.by} opens its network` }] : [];
    });
}

/** Why everything of a deleted permit goes. */
export const DELETED_WHY = "the permit is deleted";

/** `taking` with the end of these consolidations: the first wave ends them, and none of them waits for a pod. */
export function endTasks(
  live: { task: ObservedTask; why: string }[],
  taking: StepDraft[][],
): StepDraft[][] {
  if (live.length === 0) return taking;
  const [first = [], ...rest] = taking;
  const ending = live.filter(({ task }) => task.terminating === null);
  const keys = live.map(({ task }) => task.key);
  const gone = awaitStep("gone", keys.join(", "), "what it has mounted lives as long as its pod", [
    { is: "tasks-gone", tasks: keys },
  ]);
  return [[...first, ...ending.map(({ task, why }) => removeTaskStep(task, why))], ...rest, [gone]];
}

/** Whether a pod is there, or one may still come of an older wish. */
function mayHaveInstances({ instances, unsettled }: ObservedWorkspace): boolean {
  return instances.length > 0 || unsettled !== null;
}

function keysOf(takings: Taking[]): string[] {
  return takings.map(({ workspace }) => workspace.key);
}

function awaitCut(target: string, takings: Taking[]): StepDraft[] {
  if (takings.length === 0) return [];
  const why = "nothing else moves before the network is seen to be cut";
  return [awaitStep("cut", target, why, [{ is: "network-shut", workspaces: keysOf(takings) }])];
}

/**
 * Why access of an existing workspace must be taken away now, and whether its pod must go; null: it stays as it is.
 * `isGuarded`: what denies all pods of the permit stands.
 */
function reasonToTake(
  workspace: ObservedWorkspace,
  desired: Wish,
  { closing, proven, isGuarded }: { closing: boolean; proven: ReadonlySet<string>; isGuarded: boolean },
): Taking["why"] | null {
  const { power, network } = workspace;
  if (power !== "running" && !mayHaveInstances(workspace) && network.state !== "open") return null;
  if (desired.mode === "hold") return { text: desired.why, stop: true };
  if (desired.mode === "destroy") return { text: DELETED_WHY, stop: true };
  if (desired.mode === "doubt") return reasonInDoubt(workspace, desired, closing);
  const wanted = desired.workspaces.find((candidate) => candidate.key === workspace.key);
  if (wanted === undefined) return { text: "the phase does not name it", stop: true };
  if (wanted.power === "stopped") return { text: "the phase wants it stopped", stop: true };
  const difference = reasonToReplace(workspace, wanted);
  if (difference !== null) return { text: difference, stop: true };
  // A start must find nothing of it, nor of whoever shares a volume with it: also what ends already is waited for.
  if (power === "running" ? workspace.specHash !== specHash(wanted) : mayHaveInstances(workspace)) {
    if (workspace.specHash?.startsWith("altered: ")) {
      return { text: `it is ${workspace.specHash}`, stop: true };
    }
    const isThere = workspace.instances.length > 0;
    return {
      text: isThere ? "its old pod has not ended yet" : "a pod of an older wish may come",
      stop: true,
    };
  }
  const live = liveInstance(workspace);
  // Shut by its own policy now, and by what before? Its gate is older than that, and an open connection outlives both.
  if (!isGuarded && live !== null && isGated(wanted) && !proven.has(live.uid)) {
    return { text: "a guard was missing before its isolation was shown", stop: true };
  }
  if (workspace.network.state !== "open") return null;
  if (live !== null && workspace.network.openedFor === live.uid) {
    if (!isGated(wanted) || proven.has(live.uid)) return null;
    return { text: "there is no evidence of its isolation", stop: false };
  }
  // Rules for another pod hold this one back from nothing: only the guard did, and what it let out meanwhile stays connected.
  return { text: "its network was opened for a pod that is no longer there", stop: !isGuarded };
}

/**
 * What is known of a wish is enough to take away what it does not name, wants stopped or with another network. Who may
 * go on working goes on, unless the job takes access away: then what may stay is not known, and nothing stays.
 */
function reasonInDoubt(
  { key, network, power }: ObservedWorkspace,
  doubt: Doubt,
  closing: boolean,
): Taking["why"] | null {
  const wanted = doubt.named.get(key);
  if (wanted === undefined) return { text: "no phase is known to name it", stop: true };
  if (wanted.power === "stopped") return { text: "the phase wants it stopped", stop: true };
  if (network.state === "breached") return { text: `${network.by} opens its network`, stop: true };
  if (network.state === "open" && network.posture !== wanted.rule.network) {
    return { text: `network changes from ${network.posture} to ${wanted.rule.network}`, stop: true };
  }
  if (power !== "running") return { text: "its old pod has not ended yet", stop: true };
  // Cut a moment ago, or never opened: a failed provisioning would take it back in any case.
  if (network.state === "shut") return { text: "it is shut, and what it may have is not known", stop: true };
  return closing ? { text: "access is taken away, and what may stay is not known", stop: true } : null;
}

/** What of a running workspace asks for a new pod (DESIGN 8): network, mounts, account; null: nothing. */
function reasonToReplace(workspace: ObservedWorkspace, wanted: DesiredWorkspace): string | null {
  const hash = specHash(wanted);
  const { network } = workspace;
  if (network.state === "breached") return `${network.by} opens its network`;
  if (network.state === "open" && network.posture !== wanted.posture) {
    return `network changes from ${network.posture} to ${wanted.posture}`;
  }
  if (network.state === "open" && network.hash !== networkHash(wanted)) return "its network rules change";
  const stale = workspace.instances.find((i) => i.state !== "terminating" && i.specHash !== hash);
  return stale === undefined ? null : `network, mounts or account of ${stale.name} change`;
}
