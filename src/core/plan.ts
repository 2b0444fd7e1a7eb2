/**
 * `plan`: from what should be and what is, the ordered steps between them (DESIGN 2, invariant 2). Pure and
 * deterministic. Taking away always comes first, and nothing that gives follows in the same stretch: after a wait
 * the runner observes and plans anew, so a giving step is only ever run on an observation in which all that had
 * to go is gone. That is the barrier across the permit.
 */
import type { Desired } from "./desired.ts";
import { judge } from "./doubt.ts";
import { type Foreseeable, foreseen } from "./guarded.ts";
import { dataBesideWayOut, describeBreach } from "./invariants.ts";
import type { Observed } from "./observed.ts";
import type { VolumeRecord } from "./permit.ts";
import type { PlanInput } from "./plan_input.ts";
import { foreignBeside, planDestroy } from "./plan_destroy.ts";
import { planGive } from "./plan_stages.ts";
import { cutStep, numberWaves, scopeStep, type StepDraft, stopStep } from "./plan_steps.ts";
import { endingTasks, endTasks, takeAway, takingsOf, type Wish } from "./plan_taking.ts";
import { retainStep } from "./plan_volume_steps.ts";
import { refusedUploads } from "./refusal.ts";
import type { Obstacle, Plan, Step } from "./step.ts";
import { ADVICE } from "./trouble.ts";

/** The steps that lead from `observed` to what the permit should be; none when nothing differs. */
export function plan(input: PlanInput): Plan {
  const { permit, observed } = input;
  const desired = judge({ ...input, observedVolumes: observed.volumes });
  const obstacles = obstaclesOf(desired, input);
  const takings = takingsOf(observed, desired, { closing: input.closing === true, proven: input.proven });
  const tasks = endingTasks(observed, desired);
  const ending = new Set(tasks.map(({ task }) => task.key));
  const cutting = takeAway(takings, input.uncut);
  const taking = endTasks(tasks, desired.mode === "hold" ? heldWaves(input, cutting, desired.why) : cutting);
  const waves = secured(input, desired, taking);
  if (input.takingOnly === true) {
    return { permitId: permit.permitId, version: permit.version, steps: numberWaves(waves), obstacles: [] };
  }
  if (desired.mode === "destroy") {
    waves.push(...planDestroy(observed, { volumes: desired.volumes, ending }));
    if (desired.volumes) obstacles.push(...foreignBeside(observed));
  }
  if (desired.mode === "apply") {
    const keys = (stop: boolean): Set<string> =>
      new Set(takings.filter(({ why }) => why.stop === stop).map(({ workspace }) => workspace.key));
    const give = {
      input,
      desired,
      leaving: keys(true),
      shutting: keys(false),
      ending,
      blocked: obstacles.length > 0,
    };
    const clear = taking.length === 0;
    const giving = planGive({ ...give, clear });
    const forbidden = forbiddenSteps(input, [...waves, ...giving]);
    obstacles.push(...forbidden);
    waves.push(...(forbidden.length === 0 ? giving : planGive({ ...give, clear, blocked: true })));
  }
  const steps: Step[] = numberWaves(waves);
  return { permitId: permit.permitId, version: permit.version, steps, obstacles };
}

/**
 * `taking` with what comes before all that gives, also while halted or blocked: missing guards are mended, and a bound
 * volume that is not retained is one deletion away from being lost (DESIGN 8). Both wait until the networks are seen to be
 * cut, and for no pod's end (invariant 2). A guard that may itself be what opens them is mended beside the first cuts.
 */
function secured({ permit, observed }: PlanInput, wish: Wish, taking: StepDraft[][]): StepDraft[][] {
  if (wish.mode === "destroy") return [...taking];
  const { scope, volumes } = observed;
  const heal = scope.state === "incomplete"
    ? [scopeStep(permit.fsGroup, scope.seen, scope.detail ?? "a guard of the namespace is missing")]
    : [];
  const [first = [], ...rest] = taking;
  const isOpener = [...observed.workspaces, ...observed.tasks].some(({ network }) =>
    network.state === "breached"
  );
  const waves = isOpener ? [[...heal, ...first], ...rest] : [...taking];
  const mending = [
    ...(isOpener ? [] : heal),
    ...volumes.filter(({ state, retained }) => state === "bound" && !retained).map(retainStep),
  ];
  const at = waves.findIndex((wave) => wave.some(({ kind }) => kind === "await-gone"));
  return at < 0 ? [...waves, mending] : waves.with(at, [...mending, ...waves[at] ?? []]);
}

/** What a halt or an expiry takes away. */
function heldWaves({ observed, insist }: PlanInput, taking: StepDraft[][], hold: string): StepDraft[][] {
  return insist === true ? overtake(observed, taking, hold) : taking;
}

/**
 * `taking`, with cuts and stops also of what is seen so already, so that a late start or opening meets another version
 * than it saw. All cuts go first. What is stopped here is off by what was seen: no network need be shut before it.
 */
function overtake({ workspaces }: Observed, taking: StepDraft[][], hold: string): StepDraft[][] {
  const why = `${hold}; nothing that was under way may come after this`;
  const taken = taking.flat();
  const isTaken = (kind: StepDraft["kind"], target: string): boolean =>
    taken.some((step) => step.kind === kind && step.target === target);
  const cuts = workspaces.filter(({ key }) => !isTaken("cut-network", key)).map((workspace) =>
    cutStep(workspace, why)
  );
  const stops = workspaces.filter(({ key, compute }) => compute !== null && !isTaken("stop", key))
    .map((workspace) => stopStep(workspace, why, true));
  const [first = [], ...rest] = taking;
  return first.some(({ kind }) => kind === "cut-network")
    ? [[...cuts, ...first], stops, ...rest]
    : [cuts, stops, ...taking];
}

/** A plan that would pass through a state that must not be cannot be made: what would lead there is left out. */
function forbiddenSteps(
  { permit, phases, records, observed, proven }: PlanInput,
  waves: StepDraft[][],
): Obstacle[] {
  const actions = waves.flat().flatMap((step): Foreseeable[] => {
    if (step.do === "apply") return [step.action];
    if (step.do === "later") return [];
    return step.after.flatMap((condition) =>
      condition.is === "instances-gone" ? [{ kind: "gone", workspaces: condition.workspaces }] : []
    );
  });
  const context = { phases, records, proven, isDeleted: permit.deletion !== "none" };
  return foreseen(observed, context, actions).map((breach): Obstacle => ({
    reason: "invariant",
    target: breach.target,
    message: `Cannot go on: ${describeBreach(breach)}`,
    advice: "Correct the phase file or undo what was changed by hand, then run wps jobs retry",
  }));
}

function obstaclesOf(wish: Wish, input: PlanInput): Obstacle[] {
  if (wish.mode === "apply") return findObstacles(wish, input);
  if (wish.mode !== "doubt") return [];
  const { reason, message, advice, target } = wish.fault;
  return [{
    reason,
    message,
    advice: advice ?? "Look at the log, then run wps jobs retry",
    target: target ?? "permit",
  }];
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
  const unproven = unprovenIn(observed);
  const exposed = desired.workspaces.flatMap((workspace) =>
    dataBesideWayOut(workspace, (key) => desired.sensitive.has(key)).map((mount): Obstacle => ({
      reason: "invariant",
      target: workspace.key,
      message:
        `Cannot start ${workspace.key}: it would have sensitive ${mount.volumeKey} and a way out (invariant 1)`,
      advice:
        `Correct the phase file, run wps phases check, restart the service, then wps drift ${input.permit.permitId} --repair`,
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
  const refused = refusedUploads(desired.consolidations, input);
  return [...foreign, ...breaches, ...unproven, ...exposed, ...lost, ...refused];
}

/** A gate that found a way out: whoever waits behind it gets no data. */
function unprovenIn({ workspaces, tasks }: Observed): Obstacle[] {
  const found = [
    ...workspaces.flatMap(({ key, instances }) =>
      instances.filter(({ trouble }) => trouble === "isolation-unproven")
        .map(({ name, reason }) => ({ key, name: `pod ${name}`, text: reason }))
    ),
    ...tasks.filter(({ state, trouble }) => state === "running" && trouble?.reason === "isolation-unproven")
      .map(({ key, name, trouble }) => ({ key, name, text: trouble?.text ?? null })),
  ];
  return found.map(({ key, name, text }): Obstacle => ({
    reason: "isolation-unproven",
    target: key,
    message: `Cannot give ${key} its data: the gate of ${name} found a way out${
      text === null ? "" : `: ${text}`
    }`,
    advice: ADVICE["isolation-unproven"],
  }));
}

function isLost(record: VolumeRecord, observed: Observed): boolean {
  if (!record.bound || record.destroyed) return false;
  const found = observed.volumes.find((volume) => volume.key === record.key);
  return found === undefined || found.state === "lost";
}
