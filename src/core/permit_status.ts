/**
 * The public word for a workspace and for a permit (DESIGN 10), from what should be, what was last seen and what
 * its job is doing. Pure, and careful in one direction: RUNNING, STOPPED, HALTED and ARCHIVED are only said of what
 * was observed so.
 */
import { liveInstance } from "./condition.ts";
import type { Desired } from "./desired.ts";
import { isExpired } from "./expiry.ts";
import type { Job } from "./job.ts";
import type { ObservedWorkspace } from "./observed.ts";
import type { Permit } from "./permit.ts";
import type { PhaseSet } from "./phase.ts";
import type { Status } from "./status.ts";
import { type DesiredWorkspace, specHash } from "./workspace.ts";

/** What of a job counts: the open one, else the latest that ended; null: there has been none. */
export type JobGlimpse = Pick<Job, "state" | "attempt"> | null;

/** Everything the word is derived from. */
export interface PermitStatusInput {
  permit: Permit;
  phases: PhaseSet;
  /** Null: the desired side cannot be computed (`desire` threw). */
  desired: Desired | null;
  /** The workspaces of the last observation. */
  observed: ObservedWorkspace[];
  job: JobGlimpse;
  /** Epoch milliseconds. */
  nowMs: number;
}

/** Worst first (DESIGN 10): a permit's word is the worst of the workspaces that should run. */
const WORST_FIRST: readonly Status[] = ["FAILED", "PENDING", "PROVISIONING", "STOPPING", "RUNNING"];

/**
 * Whether the workspace can be used as its phase wants it: the live pod has exactly this network, mounts and
 * account, is ready, and its network stands open for it, which only happens after proof. A terminating pod beside
 * it means that the change is still under way.
 */
export function isUsable(wanted: DesiredWorkspace, seen: ObservedWorkspace): boolean {
  const live = liveInstance(seen);
  return live !== null && seen.instances.length === 1 && live.state === "running" && live.ready &&
    live.specHash === specHash(wanted) && seen.network.state === "open" &&
    seen.network.posture === wanted.posture && seen.network.openedFor === live.uid;
}

/**
 * One workspace's word. `wanted` null: the phase does not name it. `seen` null: the platform has nothing of it.
 * Both null is a workspace that never was: DESTROYED.
 */
export function workspaceStatus(
  wanted: DesiredWorkspace | null,
  seen: ObservedWorkspace | null,
  job: JobGlimpse,
): Status {
  const hasInstances = seen !== null && seen.instances.length > 0;
  if (wanted === null) return seen === null ? "DESTROYED" : "DESTROYING";
  if (wanted.power === "stopped") return hasInstances ? "STOPPING" : "STOPPED";
  if (seen !== null && isUsable(wanted, seen)) return "RUNNING";
  if (job?.state === "failed") return "FAILED";
  if (hasInstances && liveInstance(seen) === null) return "STOPPING";
  const isUnderWay = job?.state === "running" || (job?.state === "queued" && job.attempt > 0);
  return isUnderWay || hasInstances ? "PROVISIONING" : "PENDING";
}

/** The permit's word. */
export function permitStatus(input: PermitStatusInput): Status {
  const { permit, desired, observed, job } = input;
  const ending = endingStatus(permit, observed, job);
  if (ending !== null) return ending;
  if (isExpired(permit, input.nowMs)) {
    const resting = expiredStatus(observed, job);
    return resting === "STOPPED" && archives(input) ? "ARCHIVED" : resting;
  }
  if (desired === null || desired.mode !== "apply") return "FAILED";

  const seen = new Map(observed.map((workspace) => [workspace.key, workspace]));
  const words = (power: "running" | "stopped"): Status[] =>
    desired.workspaces.filter((workspace) => workspace.power === power)
      .map((workspace) => workspaceStatus(workspace, seen.get(workspace.key) ?? null, job));
  const stopped = words("stopped");
  const resting: Status = stopped.includes("STOPPING") ? "STOPPING" : "STOPPED";
  if (isStopStanding(input)) return resting;

  const running: Status[] = [...words("running"), ...desired.missing.map((): Status => "PENDING")];
  const worst = WORST_FIRST.find((status) => running.includes(status));
  if (worst !== undefined) return worst;
  if (archives(input)) return isAlive(observed) ? "STOPPING" : "ARCHIVED";
  return stopped.length > 0 ? resting : "NONE";
}

/**
 * The permit's word where nobody can read the phases: what does not depend on them, else the worst of the words that its
 * workspaces had when they were seen last.
 */
export function rememberedStatus(
  { permit, observed, job, nowMs }: Pick<PermitStatusInput, "permit" | "observed" | "job" | "nowMs">,
  words: readonly Status[],
): Status {
  const known: readonly Status[] = [...WORST_FIRST, "STOPPED"];
  const expired = isExpired(permit, nowMs) ? expiredStatus(observed, job) : null;
  return endingStatus(permit, observed, job) ?? expired ?? known.find((status) => words.includes(status)) ??
    "NONE";
}

/**
 * The word of a permit that is halted or deleted, whatever its phase says; null: it is neither. A halt that is still being
 * carried out may be ending what is no workspace: a consolidation.
 */
function endingStatus(permit: Permit, observed: ObservedWorkspace[], job: JobGlimpse): Status | null {
  if (permit.deletion === "done") return "DESTROYED";
  if (permit.halted) return isAlive(observed) || isOpen(job) ? "STOPPING" : "HALTED";
  return permit.deletion === "requested" ? "DESTROYING" : null;
}

/**
 * STOPPED, of the words there are: compute is off, identity and storage are kept. Not HALTED, because `permit.resumed`
 * lifts a halt and no expiry; not ARCHIVED, because nobody has archived it, unless its phase did.
 */
function expiredStatus(observed: ObservedWorkspace[], job: JobGlimpse): "STOPPING" | "STOPPED" {
  return isAlive(observed) || isOpen(job) ? "STOPPING" : "STOPPED";
}

function isOpen(job: JobGlimpse): boolean {
  return job?.state === "queued" || job?.state === "running";
}

function isAlive(observed: ObservedWorkspace[]): boolean {
  return observed.some(({ instances }) => instances.length > 0);
}

/** A stop stands where it stops what the phase would run; a stop that concerns nothing of this phase does not count. */
function isStopStanding({ permit, phases }: PermitStatusInput): boolean {
  if (!permit.stopRequested) return false;
  const rules = phases.statuses.get(permit.status ?? "")?.workspaces ?? [];
  const stops = [...phases.events.values()].filter(({ effect }) => effect === "stop");
  return stops.some(({ kinds }) =>
    rules.some(({ kind, power }) => power === "running" && kinds.includes(kind))
  );
}

function archives({ permit, phases }: PermitStatusInput): boolean {
  return phases.statuses.get(permit.status ?? "")?.archives ?? false;
}
