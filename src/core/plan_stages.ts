/** The long stretch of a plan that gives what the phase wants (invariant 2's order). */
import { areCanariesFresh, isGated } from "./isolation.ts";
import type { ObservedWorkspace } from "./observed.ts";
import {
  awaitDestroyed,
  cleanupStage,
  consolidationStage,
  retainsAhead,
  storageStage,
  volumeWaits,
} from "./plan_data.ts";
import { findWorkspace, type GiveInput, needsStart } from "./plan_give.ts";
import { reachStage, replaceStage, START_WHY } from "./plan_reach.ts";
import {
  awaitStep,
  barrierOf,
  identityStep,
  laterStep,
  removeStep,
  scopeStep,
  startStep,
  type StepDraft,
} from "./plan_steps.ts";
import type { Condition } from "./step.ts";
import { type DesiredWorkspace, identityHash } from "./workspace.ts";

/** Storage, data, identity, compute, proof, reachability, in that order, each wave only if something is to do. */
export function planGive(give: GiveInput): StepDraft[][] {
  const { input: { observed }, desired, blocked } = give;
  const leftOver = observed.workspaces.filter((workspace) => isLeftOver(workspace, desired));
  const removals = leftOver.filter(({ terminating }) => terminating === null)
    .map((workspace) => removeStep(workspace, "the phase does not name it"));
  if (blocked) return [removals];
  const wanted = desired.workspaces.length > 0 || desired.consolidations.length > 0;
  const scopeWaves = wanted ? scopeStage(give) : [];
  const starting = desired.workspaces.filter((workspace) => needsStart(workspace, give));
  // Behind a wait everything is planned anew: then the canaries are asked when it is over.
  const isHeld = give.clear && !areCanariesFresh(observed) && !isConsolidating(give);
  const held = isHeld ? starting.filter(isGated) : [];
  const going = starting.filter((workspace) => !held.includes(workspace));
  return [
    removals,
    ...scopeWaves,
    volumeWaits(give),
    [...storageStage(give), ...(desired.consolidations.length > 0 ? [] : identityStage(give, going))],
    ...consolidationStage(give),
    desired.consolidations.length > 0 ? identityStage(give, going) : [],
    going.map((workspace) => startOf(workspace, give)),
    retainsAhead(give),
    ...replaceStage(give),
    ...reachStage(give, starting, held),
    cleanupStage(give),
    [...awaitRemoved(leftOver.filter(({ terminating }) => terminating !== null)), ...awaitDestroyed(give)],
    desired.missing.length === 0 ? [] : [
      awaitStep("members", "permit", "the phase asks for a person nobody has named yet", [
        { is: "members-named", roles: desired.missing },
      ]),
    ],
  ];
}

/** Then nothing starts before its end, and the canaries that were alive before it say nothing of then. */
function isConsolidating({ input: { observed }, desired }: GiveInput): boolean {
  return desired.consolidations.some(({ fromKey }) =>
    observed.tasks.find(({ key }) => key === fromKey)?.state !== "succeeded"
  );
}

function isLeftOver(workspace: ObservedWorkspace, desired: GiveInput["desired"]): boolean {
  return !desired.workspaces.some(({ key }) => key === workspace.key);
}

function awaitRemoved(removing: ObservedWorkspace[]): StepDraft[] {
  if (removing.length === 0) return [];
  const workspaces = removing.map(({ key }) => key);
  return [
    awaitStep("gone", "workspaces", "what is removed is seen to be gone", [{
      is: "workspaces-gone",
      workspaces,
    }]),
  ];
}

/** Only where there is none: an incomplete one is healed before everything else. */
function scopeStage(give: GiveInput): StepDraft[][] {
  const { scope } = give.input.observed;
  if (scope.state === "absent") {
    return [[scopeStep(give.input.permit.fsGroup, null, "the permit has no namespace yet")]];
  }
  if (scope.state !== "terminating") return [];
  const gone = awaitStep("gone", "namespace", "its namespace is being deleted by somebody", [{
    is: "scope-gone",
  }]);
  return [[gone], [
    laterStep("ensure-scope", "permit", "the permit needs a namespace", [], [{ is: "scope-intact" }]),
  ]];
}

function identityStage(give: GiveInput, starting: DesiredWorkspace[]): StepDraft[] {
  const identity = (workspace: DesiredWorkspace, rotate: boolean, why: string): StepDraft =>
    identityStep(workspace, findWorkspace(give, workspace.key), rotate, why);
  const fresh = starting.map((workspace) => identity(workspace, true, START_WHY));
  const going = give.desired.workspaces.filter((workspace) =>
    workspace.power === "running" && !needsStart(workspace, give) &&
    findWorkspace(give, workspace.key) !== undefined
  );
  // Its pod goes on: the folder in it follows the Secret, and sessions stay.
  const unknown = going.filter(({ key }) => give.input.passwords?.has(key) === false);
  const changed = going.filter((workspace) =>
    !unknown.includes(workspace) &&
    findWorkspace(give, workspace.key)?.identityHash !== identityHash(workspace)
  );
  return [
    ...fresh,
    ...unknown.map((workspace) =>
      identity(workspace, true, "no password of it is kept, so nobody can connect")
    ),
    ...changed.map((workspace) => identity(workspace, false, "its account or keys differ")),
  ];
}

function startOf(workspace: DesiredWorkspace, give: GiveInput): StepDraft {
  const existing = findWorkspace(give, workspace.key);
  const why = existing === undefined
    ? "the phase wants it running"
    : "it must run with what the phase gives it";
  const shared = new Set(workspace.mounts.map((mount) => mount.volumeKey));
  const barrier = give.input.observed.workspaces.filter(({ key, instances }) =>
    key === workspace.key || give.leaving.has(key) ||
    (isLeftOverOrStopped(key, give) && instances.some((i) => i.mounts.some((m) => shared.has(m.volumeKey))))
  ).map(({ key }) => key);
  const ready: Condition[] = [{ is: "ready", workspace: workspace.key }];
  // Behind a wait the object will have another version: the next plan starts it.
  if (!give.clear) {
    return laterStep("start", workspace.key, why, barrierOf(barrier), ready);
  }
  return startStep(workspace, existing?.compute ?? null, barrier, why);
}

function isLeftOverOrStopped(key: string, give: GiveInput): boolean {
  return give.desired.workspaces.find((workspace) => workspace.key === key)?.power !== "running";
}
