/** One attempt's surroundings and memory, as its parts hand them to each other. */
import type { Clock } from "../core/clock.ts";
import type { Driver } from "../core/driver.ts";
import type { Fault } from "../core/fault.ts";
import type { Job } from "../core/job.ts";
import type { Observed } from "../core/observed.ts";
import type { Permit, VolumeRecord } from "../core/permit.ts";
import type { Site } from "../core/site.ts";
import type { Plan } from "../core/step.ts";
import type { Bell } from "./bell.ts";
import type { Ledger } from "./ledger.ts";
import type { Sighting } from "./sighting.ts";
import type { Slot, Slots } from "./slots.ts";
import type { Vault } from "./vault.ts";
import type { Waits } from "./waits.ts";

/** What an attempt works with; all injected. */
export interface AttemptDeps {
  driver: Driver;
  clock: Clock;
  bell: Bell;
  slots: Slots;
  ledger: Ledger;
  site: Site;
  /** The plan for this job: what the permit should be, or the way back of a failed one. */
  makePlan(permit: Permit, records: VolumeRecord[], observed: Observed): Plan;
  /** What to keep of an observation. */
  sight(permit: Permit, records: VolumeRecord[], observed: Observed): Sighting;
  vault: Vault;
  /** Without a change from the platform the wait looks again after this long, in milliseconds. */
  rereadMs: number;
}

/** How an attempt ended. `lost`: somebody else holds the claim, nothing may be written. */
export type AttemptEnd =
  /** Nothing differs from what the permit asked for at this version. */
  | { kind: "succeeded"; version: number }
  | { kind: "superseded" | "cancelled" | "lost" | "stopping" }
  | { kind: "fault"; fault: Fault };

/** What an attempt remembers from round to round. */
export interface Tally {
  conflicts: number;
  /** How often the last stretch was planned again. */
  repeats: number;
  /** The ids of the last stretch applied; empty after a wait or a refusal. */
  lastStretch: string;
  /** Stretches applied. */
  stretches: number;
  /** Steps done, and done plus those that the newest plan still has. */
  done: number;
  total: number;
}

/** Nothing yet. */
export function newTally(): Tally {
  return { conflicts: 0, repeats: 0, lastStretch: "", stretches: 0, done: 0, total: 0 };
}

/** An attempt under way. */
export interface Walk {
  readonly deps: AttemptDeps;
  readonly job: Job;
  /** Given back while it waits. */
  slot: Slot;
  readonly signal: AbortSignal;
  readonly waits: Waits;
  readonly tally: Tally;
}
