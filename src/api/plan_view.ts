/** Plans as callers see them: conditions in words, nothing of the platform's own objects. */
import { toInstant } from "../core/clock.ts";
import { describeCondition } from "../core/condition.ts";
import type { Plan, Step } from "../core/step.ts";
import type { StoredPermit } from "../store/permits.ts";
import type { FreshPlan } from "./deps.ts";
import { deletedAt } from "./permit_view.ts";
import type { DriftView, PlanView } from "./schemas/plans.ts";

/** The steps of a plan. */
function planSteps(steps: Step[]): PlanView["steps"] {
  return steps.map((step) => ({
    id: step.id,
    kind: step.kind,
    target: step.target,
    why: step.why,
    wave: step.wave,
    do: step.do,
    before: step.before.map(describeCondition),
    after: step.after.map(describeCondition),
  }));
}

/** One plan; `event` is that of `?event=`. */
export function planView(
  { plan, wish, outdated }: FreshPlan,
  event: string | null,
  permit: StoredPermit,
  nowMs: number,
): PlanView {
  return {
    permitId: plan.permitId,
    status: wish.status,
    event,
    hypothetical: event !== null || wish.status !== permit.status,
    version: plan.version,
    plannedAt: toInstant(nowMs),
    differs: differs(plan),
    halted: wish.halted,
    deletedAt: deletedAt(permit),
    outdated,
    steps: planSteps(plan.steps),
    obstacles: plan.obstacles,
  };
}

/** The same, as what differs from what should be; `jobId` is the permit's open job. */
export function driftView(
  { plan, outdated }: FreshPlan,
  permit: StoredPermit,
  jobId: number | null,
  nowMs: number,
): DriftView {
  return {
    permitId: plan.permitId,
    checkedAt: toInstant(nowMs),
    differs: differs(plan),
    halted: permit.halted,
    deletedAt: deletedAt(permit),
    outdated,
    differences: planSteps(plan.steps),
    obstacles: plan.obstacles,
    jobId,
  };
}

function differs({ steps, obstacles }: Plan): boolean {
  return steps.length > 0 || obstacles.length > 0;
}
