/** Applies the steps of one wave side by side; each ends with an outcome, none throws. */
import type { Clock } from "../core/clock.ts";
import { unmet } from "../core/condition.ts";
import type { ApplyResult, Driver } from "../core/driver.ts";
import { Fault, toFault } from "../core/fault.ts";
import type { Job } from "../core/job.ts";
import type { Observed } from "../core/observed.ts";
import type { ApplyStep } from "../core/step.ts";
import { EVIDENCE_MAX_BYTES } from "../store/evidence.ts";
import type { Vault } from "./vault.ts";

/** A step that has been recorded as begun. */
export interface BegunStep {
  /** Row id in steps. */
  recordId: number;
  step: ApplyStep;
}

/** How a step ended. */
export interface StepResult extends BegunStep {
  endedAtMs: number;
  result: ApplyResult | null;
  fault: Fault | null;
}

/** Calls in flight at once for one permit; the driver's connections and the API server's fairness queues share the rest. */
const PARALLEL_MAX = 16;

/**
 * Applies all steps; `observed` is what their `before` conditions are asserted on. A step whose condition does not
 * hold is not applied: that would be the planner's mistake, and in doubt the network stays shut (invariant 6).
 */
export async function applyWave(
  deps: { driver: Driver; clock: Clock; vault: Vault },
  { permitId, priority }: Pick<Job, "permitId" | "priority">,
  steps: BegunStep[],
  observed: Observed,
  signal: AbortSignal,
): Promise<StepResult[]> {
  const results: StepResult[] = [];
  const queue = [...steps];
  const work = async (): Promise<void> => {
    for (let begun = queue.shift(); begun !== undefined; begun = queue.shift()) {
      results.push(await applyOne(deps, { permitId, priority }, begun, observed, signal));
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_MAX, steps.length) }, work));
  return results;
}

async function applyOne(
  deps: { driver: Driver; clock: Clock; vault: Vault },
  { permitId, priority }: Pick<Job, "permitId" | "priority">,
  begun: BegunStep,
  observed: Observed,
  signal: AbortSignal,
): Promise<StepResult> {
  const { step } = begun;
  try {
    const open = step.before.flatMap((condition) => unmet(condition, observed));
    if (open.length > 0) {
      throw new Fault("retry", "invariant", `Cannot ${step.id}: ${open.join("; ")}`, { target: step.target });
    }
    const result = await deps.driver.apply(step.action, {
      permitId,
      signal,
      priority,
      password: (key, rotate) => deps.vault.password(permitId, key, rotate),
      hostKey: (holder) => deps.vault.hostKey(permitId, holder),
    });
    refuseLongEvidence(step, result);
    return { ...begun, endedAtMs: deps.clock.now(), result, fault: null };
  } catch (thrown) {
    return { ...begun, endedAtMs: deps.clock.now(), result: null, fault: toFault(thrown) };
  }
}

/** A proof that cannot be kept is none, and nothing is opened on it (invariant 6). */
function refuseLongEvidence({ target }: ApplyStep, { evidence }: ApplyResult): void {
  const length = new TextEncoder().encode(JSON.stringify(evidence ?? null)).byteLength;
  if (length <= EVIDENCE_MAX_BYTES) return;
  throw new Fault(
    "stalled",
    "isolation-unproven",
    `Cannot keep the isolation evidence of ${target}: ${length} bytes, at most ${EVIDENCE_MAX_BYTES}`,
    { target },
  );
}
