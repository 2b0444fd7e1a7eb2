/**
 * `plan`: from what should be and what is, the ordered steps between them (DESIGN 2, invariant 2). Pure and
 * deterministic. Taking away always comes first, and nothing that gives follows in the same stretch: after a wait
 * the runner observes and plans anew, so a giving step is only ever run on an observation in which all that had
 * to go is gone. That is the barrier across the permit.
 */
import { dataBesideWayOut } from "./invariants.ts";
import { liveInstance } from "./condition.ts";
import { desire, type Desired } from "./desired.ts";
import type { Observed, ObservedWorkspace } from "./observed.ts";
import type { VolumeRecord } from "./permit.ts";
import type { Obstacle, Plan, Step } from "./step.ts";
import type { PlanInput } from "./plan_input.ts";
import { planDestroy, planGive } from "./plan_stages.ts";
import {
  awaitStep,
  cutStep,
  numberWaves,
  retainStep,
  scopeStep,
  type StepDraft,
  stopStep,
} from "./plan_steps.ts";
import { networkHash, specHash } from "./workspace.ts";
import type { DesiredWorkspace } from "./workspace.ts";

/** The steps that lead from `observed` to what the permit should be; none when nothing differs. */
export function plan(input: PlanInput): Plan {
  const { permit, observed } = input;
  const desired = desire({ ...input, observedVolumes: observed.volumes });
  const obstacles = desired.mode === "apply" ? findObstacles(desired, input) : [];
  if (desired.mode === "unknown") {
    obstacles.push({
      reason: "invalid",
      target: "permit",
      message: `Cannot plan ${permit.permitId}: no phase file describes status ${desired.status}`,
      advice: "Restore the phase file and run wps phases check, then wps jobs retry",
    });
    return { permitId: permit.permitId, version: permit.version, steps: [], obstacles };
  }
  const takings = observed.workspaces.flatMap((workspace) => {
    const why = reasonToTake(workspace, desired);
    return why === null ? [] : [{ workspace, why }];
  });
  const taking = takeAway(takings);
  const insisted = input.insist === true && desired.mode === "hold" ? overtake(observed, taking) : [];
  const waves: StepDraft[][] = [secure(input, desired), ...insisted, ...taking];
  if (input.takingOnly === true) {
    return { permitId: permit.permitId, version: permit.version, steps: numberWaves(waves), obstacles: [] };
  }
  if (desired.mode === "destroy") waves.push(...planDestroy(observed, desired.volumes));
  if (desired.mode === "apply") {
    const keys = (stop: boolean): Set<string> =>
      new Set(takings.filter(({ why }) => why.stop === stop).map(({ workspace }) => workspace.key));
    const give = {
      input,
      desired,
      leaving: keys(true),
      shutting: keys(false),
      blocked: obstacles.length > 0,
    };
    waves.push(...planGive({ ...give, clear: taking.length === 0 }));
  }
  const steps: Step[] = numberWaves(waves);
  return { permitId: permit.permitId, version: permit.version, steps, obstacles };
}

/**
 * What comes before everything else, also while halted or blocked: an altered guard may itself be what opens the
 * networks, and a bound volume that is not retained is one deletion away from being lost (DESIGN 8).
 */
function secure({ permit, observed: { scope, volumes } }: PlanInput, desired: Desired): StepDraft[] {
  if (desired.mode === "destroy") return [];
  const heal = scope.state === "incomplete"
    ? [scopeStep(permit.fsGroup, scope.seen, scope.detail ?? "a guard of the namespace is missing")]
    : [];
  return [
    ...heal,
    ...volumes.filter(({ state, retained }) => state === "bound" && !retained).map(retainStep),
  ];
}

/** Cut and stop also what is seen so already, so that a late start or opening meets another version than it saw. */
function overtake({ workspaces }: Observed, taking: StepDraft[][]): StepDraft[][] {
  const why = "the permit is halted; nothing that was under way may come after this";
  const taken = taking.flat();
  const isTaken = (kind: StepDraft["kind"], target: string): boolean =>
    taken.some((step) => step.kind === kind && step.target === target);
  return [
    workspaces.filter(({ key }) => !isTaken("cut-network", key)).map((workspace) => cutStep(workspace, why)),
    workspaces.filter(({ key, compute }) => compute !== null && !isTaken("stop", key))
      .map((workspace) => stopStep(workspace, why)),
  ];
}

/**
 * What takes a failed provisioning back (DESIGN 6): the compute that never became reachable goes, what already
 * serves people stays, volumes are never touched, networks stay shut.
 */
export function planRollback(observed: Observed): Step[] {
  const halfMade = observed.workspaces.filter(({ network, power }) =>
    network.state !== "open" && power === "running"
  );
  const why = { text: "provisioning failed; half-made compute is taken back", stop: true };
  return numberWaves(takeAway(halfMade.map((workspace) => ({ workspace, why }))));
}

interface Taking {
  workspace: ObservedWorkspace;
  why: { text: string; stop: boolean };
}

/** Cut, see that it is cut, stop, see that the pods are gone: in that order, for the whole permit. */
function takeAway(takings: Taking[]): StepDraft[][] {
  // What somebody else opens is cut once, with the stop; cutting again would never change it.
  const open = takings.filter(({ workspace: { network, power } }) =>
    network.state === "open" || (network.state === "breached" && power === "running")
  );
  // Whose power is off needs no second stop: its pods end by themselves, or are waited for by name.
  const stopping = takings.filter(({ workspace, why }) => why.stop && workspace.power === "running");
  const leaving = takings.filter(({ workspace, why }) => why.stop && workspace.instances.length > 0);
  const keys = (list: Taking[]): string[] => list.map(({ workspace }) => workspace.key);
  const gone = [...new Set([...keys(stopping), ...keys(leaving)])];
  return [
    open.map(({ workspace, why }) => cutStep(workspace, why.text)),
    // A breach that is not ours cannot be cut by us: then only stopping helps, and waiting would never end.
    open.filter(({ workspace }) => workspace.network.state === "open").length === 0 ? [] : [
      awaitStep("cut", "permit", "nothing else moves before the network is seen to be cut", [{
        is: "network-shut",
        workspaces: keys(open.filter(({ workspace }) => workspace.network.state === "open")),
      }]),
    ],
    stopping.map(({ workspace, why }) => stopStep(workspace, why.text)),
    gone.length === 0 ? [] : [
      awaitStep("gone", "pods", "an open connection or mount lives as long as its pod", [{
        is: "instances-gone",
        workspaces: gone,
      }]),
    ],
  ].filter((wave) => wave.length > 0);
}

/** Why access of an existing workspace must be taken away now, and whether its pod must go; null: it stays as it is. */
function reasonToTake(workspace: ObservedWorkspace, desired: Desired): Taking["why"] | null {
  const { network, power, instances } = workspace;
  if (power !== "running" && instances.length === 0 && network.state !== "open") return null;
  if (desired.mode === "hold") return { text: "the permit is halted", stop: true };
  if (desired.mode === "destroy") return { text: "the permit is deleted", stop: true };
  if (desired.mode === "unknown") return null;
  const wanted = desired.workspaces.find((candidate) => candidate.key === workspace.key);
  if (wanted === undefined) return { text: "the phase does not name it", stop: true };
  if (wanted.power === "stopped") return { text: "the phase wants it stopped", stop: true };
  const difference = reasonToReplace(workspace, wanted);
  if (difference !== null) return { text: difference, stop: true };
  // A start must find nothing of it, nor of whoever shares a volume with it: also what ends already is waited for.
  if (instances.length > 0 && (power !== "running" || workspace.specHash !== specHash(wanted))) {
    return { text: "its old pod has not ended yet", stop: true };
  }
  if (workspace.network.state !== "open") return null;
  const live = liveInstance(workspace);
  if (live !== null && workspace.network.openedFor === live.uid) return null;
  return { text: "its network was opened for a pod that is no longer there", stop: false };
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
  if (stale !== undefined) return `network, mounts or account of ${stale.name} change`;
  // A template that is not what we want yet without a pod of its own is simply written anew by start.
  return null;
}

/** What forbids giving anything: named, so that the job stalls and says so. */
function findObstacles(desired: Extract<Desired, { mode: "apply" }>, input: PlanInput): Obstacle[] {
  const { observed } = input;
  const foreign = observed.foreign.map((object): Obstacle => ({
    reason: "foreign-object",
    target: object.object,
    message: `Cannot go on: ${object.object} is not WPS's: ${object.why}`,
    advice: `Rename or remove ${object.object}, then run wps jobs retry`,
  }));
  const breaches = observed.workspaces.flatMap((workspace): Obstacle[] =>
    workspace.network.state === "breached" && workspace.power !== "running" &&
      workspace.instances.length === 0
      ? [{
        reason: "isolation-unproven",
        target: workspace.key,
        message: `Cannot start ${workspace.key}: ${workspace.network.by} opens its network`,
        advice: `Remove ${workspace.network.by}, then run wps jobs retry`,
      }]
      : []
  );
  const exposed = desired.workspaces.flatMap((workspace) =>
    dataBesideWayOut(workspace, (key) => desired.sensitive.has(key)).map((mount): Obstacle => ({
      reason: "invariant",
      target: workspace.key,
      message:
        `Cannot start ${workspace.key}: it would have sensitive ${mount.volumeKey} and a way out (invariant 1)`,
      advice: "Correct the phase file, run wps phases check, then wps jobs retry",
    }))
  );
  const wanted = new Set(desired.volumes.map(({ key }) => key));
  const lost = input.records.filter((record) => isLost(record, observed) && wanted.has(record.key)).map((
    { key },
  ): Obstacle => ({
    reason: "volume-lost",
    target: key,
    message: `Cannot mount ${key}: the volume existed and is no longer there`,
    advice: "Find out who removed it and restore it from backup; WPS never replaces data by an empty volume",
  }));
  return [...foreign, ...breaches, ...exposed, ...lost];
}

function isLost(record: VolumeRecord, observed: Observed): boolean {
  if (!record.bound || record.destroyed) return false;
  const found = observed.volumes.find((volume) => volume.key === record.key);
  return found === undefined || found.state === "lost";
}
