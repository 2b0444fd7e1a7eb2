/** The plan of a job: one place says what it is made with, so that what is shown beforehand is what is run. */
import { type Job, takesOnly } from "../core/job.ts";
import type { Observed } from "../core/observed.ts";
import type { PhaseSet } from "../core/phase.ts";
import { plan } from "../core/plan.ts";
import type { PlanInput } from "../core/plan_input.ts";
import type { Site } from "../core/site.ts";
import type { Plan } from "../core/step.ts";
import type { Reader } from "../store/db.ts";
import { provenInstances } from "../store/evidence.ts";
import { passwordKeys } from "../store/secrets.ts";
import { listVolumes } from "../store/volumes.ts";

/** What the store says of a permit beside its wish. */
export type Facts = Pick<PlanInput, "records" | "proven"> & { passwords: ReadonlySet<string> };

/** To be read before the platform is looked at. */
export async function factsOf(reader: Reader, permitId: string): Promise<Facts> {
  const [records, proven, passwords] = await Promise.all([
    listVolumes(reader, permitId),
    provenInstances(reader, permitId),
    passwordKeys(reader, permitId),
  ]);
  return { records, proven, passwords };
}

/** How far an attempt is: `insist` until one of its stretches was acknowledged; the others see PlanInput. */
export interface AttemptSoFar {
  insist: boolean;
  uncut: ReadonlySet<string>;
  tried: ReadonlySet<string>;
}

/** An attempt that begins. */
export const NOTHING_TRIED: AttemptSoFar = { insist: true, uncut: new Set(), tried: new Set() };

/** The plan that an attempt of `job` makes of what it looked up, in this order: permit and facts, then the platform. */
export function planOfJob(
  job: Pick<Job, "kind" | "priority">,
  looked: Pick<PlanInput, "permit" | "records" | "proven" | "passwords">,
  observed: Observed,
  { insist, uncut, tried }: AttemptSoFar,
  { phases, site, nowMs }: { phases: PhaseSet; site: Site; nowMs: number },
): Plan {
  const { permit, records, proven, passwords } = looked;
  return plan({
    permit,
    records,
    proven,
    passwords,
    observed,
    phases,
    site,
    nowMs,
    takingOnly: takesOnly(job),
    closing: job.kind === "stop",
    insist: insist && job.kind === "halt",
    uncut,
    tried,
  });
}
