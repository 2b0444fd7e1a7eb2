/** What a plan is made from; a file of its own because planner and stages both speak of it. */
import type { DesireInput } from "./desired.ts";
import type { Observed } from "./observed.ts";

/** Everything a plan is made from. */
export interface PlanInput extends Omit<DesireInput, "observedVolumes"> {
  observed: Observed;
  /** Uids of the instances whose isolation is on record; what else is near data is not reachable. */
  proven: ReadonlySet<string>;
  /** Only what takes access away: cut, stop, heal guards. */
  takingOnly?: boolean;
  /** The job takes access away (`stop`): where the wish cannot be worked out, nothing that is doubtful stays. */
  closing?: boolean;
  /**
   * While halted or expired, cut and stop also what is seen cut and stopped: a write of an attempt that ended before is
   * refused once the versions that it saw have moved (invariant 9).
   */
  insist?: boolean;
  /** Workspaces whose cut this attempt tried and the platform refused: they are stopped although their network is open. */
  uncut?: ReadonlySet<string>;
  /**
   * Consolidations that this attempt has started, see `trialOf`: what it was refused it does not start again. Absent: a
   * refused one is none to start.
   */
  tried?: ReadonlySet<string>;
  /** Keys of the workspaces whose password is kept; absent: nobody looked, and none counts as missing. */
  passwords?: ReadonlySet<string>;
}
