/** An attempt under way: what it works with, what it has so far, how it can end. */
import type { Clock } from "../core/clock.ts";
import type { Driver } from "../core/driver.ts";
import type { Fault } from "../core/fault.ts";
import type { Job } from "../core/job.ts";
import type { Observed } from "../core/observed.ts";
import type { Permit, VolumeRecord } from "../core/permit.ts";
import type { PlanInput } from "../core/plan_input.ts";
import type { Site } from "../core/site.ts";
import type { Slot, Slots } from "../core/slots.ts";
import type { Plan } from "../core/step.ts";
import type { Alarm } from "./breach.ts";
import type { Bell, Ear } from "./bell.ts";
import type { Guard } from "./guard.ts";
import type { AttemptSoFar } from "./job_plan.ts";
import type { Ledger, Seeing } from "./ledger.ts";
import type { Precedence } from "./precedence.ts";
import type { Tally } from "./tally.ts";
import type { Vault } from "./vault.ts";
import type { NamedWait, Waits } from "./waits.ts";

/** What an attempt works with; all injected. */
export interface AttemptDeps {
  driver: Driver;
  clock: Clock;
  bell: Bell;
  slots: Slots;
  ledger: Ledger;
  site: Site;
  /** The plan for this job: what the permit should be, or the way back of a failed one. */
  makePlan(
    view: Pick<PlanInput, "permit" | "records" | "proven" | "passwords">,
    observed: Observed,
    soFar: AttemptSoFar,
  ): Plan;
  /** What to keep of an observation. */
  sight(permit: Permit, records: VolumeRecord[], observed: Observed): Seeing;
  vault: Vault;
  guard: Guard;
  /** Keeps and tells what an observation breaks; what could not be kept now is kept by the next look. Never throws. */
  noteBroken(view: Pick<PlanInput, "permit" | "records" | "proven">, observed: Observed): Promise<void>;
  alarm: Alarm;
  /** Without a change from the platform the wait looks again after this long, in milliseconds. */
  rereadMs: number;
}

/**
 * How an attempt ended. `succeeded`: nothing differs from what this version of the permit asks for. `lost`: somebody
 * else holds the claim, nothing may be written.
 */
export type AttemptEnd =
  | { kind: "succeeded"; version: number }
  | { kind: "superseded" | "cancelled" | "lost" | "stopping" }
  | { kind: "fault"; fault: Fault };

/** One attempt under way. */
export interface Walk {
  deps: AttemptDeps;
  job: Job;
  ear: Ear;
  held: { slot: Slot };
  signal: AbortSignal;
  precedence: Precedence;
  tally: Tally;
  waits: Waits;
  /** How long the last look at the platform took, in milliseconds. */
  lookMs: number;
  /** What the platform put off when it was last asked; null: nothing. */
  refused: NamedWait | null;
}
