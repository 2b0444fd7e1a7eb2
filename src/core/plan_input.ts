/** What a plan is made from; a file of its own because planner and stages both speak of it. */
import type { DesireInput } from "./desired.ts";
import type { Observed } from "./observed.ts";

/** Everything a plan is made from. */
export interface PlanInput extends Omit<DesireInput, "observedVolumes"> {
  observed: Observed;
}
