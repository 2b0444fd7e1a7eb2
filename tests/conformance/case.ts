/** One case of the driver suite. */
import type { OptionalVerb } from "./backend.ts";
import type { Trial } from "./trial.ts";

/** One behaviour. `why` names the part of the planner or the rule that relies on it. */
export interface DriverCase {
  name: string;
  why: string;
  needs?: OptionalVerb;
  run(trial: Trial): Promise<void>;
}
