/** The two long stretches of a plan: giving what the phase wants, and destroying a deleted permit (invariant 2's order). */
import { liveInstance } from "./condition.ts";
import type { Desired } from "./desired.ts";
import type { Observed, ObservedTask, ObservedVolume, ObservedWorkspace } from "./observed.ts";
import type { PlanInput } from "./plan_input.ts";
import {
  awaitStep,
  barrierOf,
  consolidateStep,
  destroyScopeStep,
  destroyVolumeStep,
  identityStep,
  laterStep,
  openStep,
  openWhy,
  PROVE_WHY,
  proveStep,
  removeStep,
  removeTaskStep,
  replaceStep,
  RETAIN_WHY,
  scopeStep,
  startStep,
  type StepDraft,
  taintStep,
  volumeStep,
} from "./plan_steps.ts";
import type { Condition, Consolidation } from "./step.ts";
import { type DesiredWorkspace, identityHash, specHash } from "./workspace.ts";

/** What {@link planGive} needs beside the plan's input. */
export interface GiveInput {
  input: PlanInput;
  desired: Extract<Desired, { mode: "apply" }>;
  /** Workspaces that are being stopped by the waves before. */
  leaving: ReadonlySet<string>;
  /** Workspaces whose network alone is being cut by the waves before. */
  shutting: ReadonlySet<string>;
  /** An obstacle stands: nothing is given. */
  blocked: boolean;
  /** No waves stand before these. */
  clear: boolean;
}

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
  return [
    removals,
    ...scopeWaves,
    volumeWaits(give),
    [...storageStage(give), ...(desired.consolidations.length > 0 ? [] : identityStage(give, starting))],
    ...consolidationStage(give),
    desired.consolidations.length > 0 ? identityStage(give, starting) : [],
    starting.map((workspace) => startOf(workspace, give)),
    retainsAhead(give),
    ...replaceStage(give),
    ...reachStage(give, starting),
    cleanupStage(give),
    [...awaitRemoved(leftOver.filter(({ terminating }) => terminating !== null)), ...awaitDestroyed(give)],
    desired.missing.length === 0 ? [] : [
      awaitStep("members", "permit", "the phase asks for a person nobody has named yet", [
        { is: "members-named", roles: desired.missing },
      ]),
    ],
  ];
}

function findWorkspace(give: GiveInput, key: string): ObservedWorkspace | undefined {
  return give.input.observed.workspaces.find((workspace) => workspace.key === key);
}

function findVolume(observed: Observed, key: string): ObservedVolume | undefined {
  return observed.volumes.find((volume) => volume.key === key);
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

/** A volume that is being deleted by somebody is waited for, by name, before anything else of it is done. */
function volumeWaits(give: GiveInput): StepDraft[] {
  return give.desired.volumes.filter(({ key }) =>
    findVolume(give.input.observed, key)?.state === "terminating"
  )
    .map(({ key }) => {
      const why = "somebody deleted its claim; what it holds is kept and bound again";
      return awaitStep("volume", key, why, [{ is: "volumes-gone", volumes: [key] }]);
    });
}

/** Claims, rebinding, taint. */
function storageStage(give: GiveInput): StepDraft[] {
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

/** What is bound only once a pod mounts it is retained then; said now, so that the count of steps is known from the start. */
function retainsAhead({ input: { observed }, desired }: GiveInput): StepDraft[] {
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
function consolidationStage(give: GiveInput): StepDraft[][] {
  const { observed } = give.input;
  const taskOf = (key: string): ObservedTask | null =>
    observed.tasks.find((task) => task.key === key) ?? null;
  const open = give.desired.consolidations.filter(({ fromKey }) => taskOf(fromKey)?.state !== "succeeded");
  const ending = open.filter(({ fromKey }) => (taskOf(fromKey)?.terminating ?? null) !== null);
  const waiting = open.filter(({ fromKey }) =>
    taskOf(fromKey)?.state !== "running" && !ending.some((c) => c.fromKey === fromKey)
  );
  const uploads = open.map(({ fromKey }) => fromKey);
  const why = "uploads are destroyed only after their copies were verified";
  return [
    ending.length === 0 ? [] : [awaitTasks(ending.map(({ fromKey }) => fromKey))],
    waiting.map((consolidation) => consolidateStep(consolidation, taskOf(consolidation.fromKey))),
    open.length === 0
      ? []
      : [awaitStep("consolidated", uploads.join(", "), why, [{ is: "consolidated", uploads }])],
    open.map(({ fromKey }) =>
      laterStep("destroy-volume", fromKey, why, [{ is: "consolidated", uploads: [fromKey] }], [
        { is: "volumes-gone", volumes: [fromKey] },
      ])
    ),
    give.desired.consolidations.flatMap((consolidation) =>
      destroyVerified(consolidation, taskOf(consolidation.fromKey), observed)
    ),
  ];
}

/** Only once the target is bound and set to be retained: it now holds the only copy. */
function destroyVerified(
  { fromKey, into }: Consolidation,
  task: ObservedTask | null,
  observed: Observed,
): StepDraft[] {
  const volume = findVolume(observed, fromKey), target = findVolume(observed, into.key);
  if (task?.state !== "succeeded" || volume === undefined) return [];
  if (target?.state !== "bound" || !target.retained) return [];
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

/** Tasks whose uploads are gone. */
function cleanupStage(give: GiveInput): StepDraft[] {
  const { observed } = give.input;
  return observed.tasks.filter((task) =>
    task.state !== "running" && task.terminating === null && findVolume(observed, task.key) === undefined
  ).map((task) => removeTaskStep(task, "its uploads are gone"));
}

/** Uploads that WPS destroyed are seen to be gone: what stays is named (DESIGN 8). */
function awaitDestroyed(give: GiveInput): StepDraft[] {
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

function needsStart(workspace: DesiredWorkspace, give: GiveInput): boolean {
  if (workspace.power !== "running") return false;
  const existing = findWorkspace(give, workspace.key);
  if (existing === undefined || give.leaving.has(workspace.key)) return true;
  return existing.power !== "running" || existing.specHash !== specHash(workspace);
}

function identityStage(give: GiveInput, starting: DesiredWorkspace[]): StepDraft[] {
  const identity = (workspace: DesiredWorkspace, rotate: boolean, why: string): StepDraft =>
    identityStep(workspace, findWorkspace(give, workspace.key), rotate, why);
  const fresh = starting.map((workspace) => identity(workspace, true, "a start gets a new password"));
  const changed = give.desired.workspaces.filter((workspace) => {
    const existing = findWorkspace(give, workspace.key);
    return workspace.power === "running" && existing !== undefined && !starting.includes(workspace) &&
      existing.identityHash !== identityHash(workspace);
  }).map((workspace) => identity(workspace, false, "its account or keys differ"));
  return [...fresh, ...changed];
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

/** A pod that never became ready and belongs to an old template would stay for ever (DESIGN 8). */
function replaceStage(give: GiveInput): StepDraft[][] {
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

/** Ready, kept, proven, open: for what starts now and for what runs already. */
function reachStage(give: GiveInput, starting: DesiredWorkspace[]): StepDraft[][] {
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
