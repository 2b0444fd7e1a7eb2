/** What a driver is built from. */
import type { Config } from "../config/schema.ts";
import type { Clock, Random } from "../core/clock.ts";
import type { PhaseSet } from "../core/phase.ts";
import type { Log } from "../log.ts";

/** What a driver may need. */
export interface DriverParts {
  config: Config;
  phases: PhaseSet;
  clock: Clock;
  random: Random;
  log: Log;
}
