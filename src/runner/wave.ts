/**
 * Applies the steps of one wave side by side; each ends with an outcome, none throws. What gives is broken off, or not
 * begun, once something goes first.
 */
import type { Clock } from "../core/clock.ts";
import { unmet } from "../core/condition.ts";
import type { ApplyResult, Driver } from "../core/driver.ts";
import { Fault, toFault } from "../core/fault.ts";
import type { Job } from "../core/job.ts";
import type { Observed } from "../core/observed.ts";
import type { ApplyStep, StepKind } from "../core/step.ts";
import { EVIDENCE_MAX_BYTES } from "../store/evidence.ts";
import type { Precedence } from "./precedence.ts";
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

const TAKING = ["cut-network", "stop", "remove-task"] as const satisfies readonly StepKind[];

/** Whether a step only takes access away: of people, or of a consolidation. */
export function isTaking({ kind }: Pick<ApplyStep, "kind">): boolean {
  return TAKING.some((taking) => taking === kind);
}

/** Are let finish once they have begun: a few short calls each, and what they take away nobody wants back. */
const FINISHED: ReadonlySet<StepKind> = new Set<StepKind>([
  ...TAKING,
  "remove-workspace",
  "replace-instance",
  "destroy-volume",
  "destroy-scope",
]);

/** Whether a step was broken off, or not begun: it is neither done nor failed, and the next look says what is. */
export function isBrokenOff({ fault }: Pick<StepResult, "fault">): boolean {
  return fault?.reason === "superseded";
}

/** What {@link applyWave} works with. */
export interface WaveDeps {
  driver: Driver;
  clock: Clock;
  vault: Vault;
  precedence: Precedence;
}

/**
 * Applies all steps; `observed` is what their `before` conditions are asserted on. A step whose condition does not
 * hold is not applied: that would be the planner's mistake, and in doubt the network stays shut (invariant 6).
 */
export async function applyWave(
  deps: WaveDeps,
  job: Pick<Job, "permitId" | "priority">,
  steps: BegunStep[],
  observed: Observed,
): Promise<StepResult[]> {
  const { clock, precedence } = deps;
  const results: StepResult[] = [];
  const queue = [...steps];
  const isNext = async ({ step }: BegunStep): Promise<boolean> => isTaking(step) || await precedence.goesOn();
  const work = async (breaking: AbortSignal): Promise<void> => {
    let isFirst = true; // The wave would not have been begun if nobody wanted it.
    for (let begun = queue.shift(); begun !== undefined; begun = queue.shift()) {
      const goes = isFirst || await isNext(begun);
      isFirst = false;
      results.push(
        goes ? await applyOne(deps, job, begun, observed, breaking) : {
          ...begun,
          endedAtMs: clock.now(),
          result: null,
          fault: brokenOff(begun.step, "it was not begun"),
        },
      );
    }
  };
  await precedence.heed((signal) =>
    Promise.all(Array.from({ length: Math.min(PARALLEL_MAX, steps.length) }, () => work(signal)))
  );
  return results;
}

/** Of disposition retry: where nothing newer is found after all, it is planned anew. */
function brokenOff({ id, target }: ApplyStep, what: string): Fault {
  return new Fault("retry", "superseded", `Cannot finish ${id}: something newer goes first, ${what}`, {
    target,
  });
}

async function applyOne(
  deps: WaveDeps,
  { permitId, priority }: Pick<Job, "permitId" | "priority">,
  begun: BegunStep,
  observed: Observed,
  breaking: AbortSignal,
): Promise<StepResult> {
  const { step } = begun;
  const isFinished = FINISHED.has(step.kind);
  try {
    const open = step.before.flatMap((condition) => unmet(condition, observed));
    if (open.length > 0) {
      throw new Fault("retry", "invariant", `Cannot ${step.id}: ${open.join("; ")}`, { target: step.target });
    }
    const applying = deps.driver.apply(step.action, {
      permitId,
      signal: isFinished ? deps.precedence.stopping : breaking,
      priority,
      password: (key, rotate) => deps.vault.password(permitId, key, rotate),
      hostKey: (holder) => deps.vault.hostKey(permitId, holder),
    });
    // A probe has its pod removed when it is broken off, which may take as long as two calls.
    const result = await (step.kind === "prove-isolation" ? deps.precedence.orLeave(applying) : applying);
    refuseLongEvidence(step, result);
    return { ...begun, endedAtMs: deps.clock.now(), result, fault: null };
  } catch (thrown) {
    const isBroken = !isFinished && deps.precedence.isOvertaken();
    const fault = isBroken
      ? brokenOff(step, "and whether it was done is for the next look to say")
      : toFault(thrown);
    return { ...begun, endedAtMs: deps.clock.now(), result: null, fault };
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
