/** Who tells what is played: to a person, or to a program. */
import type { EventReceipt } from "../../api/schemas/events.ts";
import type { JobChange } from "../../api/schemas/jobs.ts";
import type { PlanView } from "../../api/schemas/plans.ts";
import type { PermitSnapshot } from "../../drivers/lab/snapshot.ts";
import type { Act } from "./act.ts";
import type { Answer } from "./api.ts";
import type { Check } from "./verify.ts";

/** The blueprint's two answers, the password masked. */
export interface Answers {
  status: Answer;
  connection: Answer & { of: string | null };
}

/** How the play ended. */
export interface Ending {
  acts: number;
  checks: number;
  failed: number;
  tookMs: number;
}

/** Told what happens, in the order in which it happens. */
export interface Narrator {
  begins(permitId: string, acts: number): void;
  act(number: number, act: Act): void;
  verdict(event: Record<string, unknown>, receipt: EventReceipt): void;
  plan(plan: PlanView): void;
  job(change: JobChange): void;
  exists(seen: PermitSnapshot): void;
  answers(answers: Answers): void;
  checks(checks: readonly Check[]): void;
  ends(ending: Ending): void;
  /** The play ends early: leaves the terminal as a person expects it. */
  leaves(): void;
}

/** Characters of a password that are shown: enough to see that it is there. */
const SHOWN = 4;

/** "Xk3f****": that there is a password, not which. */
export function masked(password: string): string {
  return `${password.slice(0, SHOWN)}****`;
}
