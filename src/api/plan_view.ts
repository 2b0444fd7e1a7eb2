/** Plans as callers see them: conditions in words, nothing of the platform's own objects. */
import { toInstant } from "../core/clock.ts";
import { describeCondition } from "../core/condition.ts";
import type { Plan, Step } from "../core/step.ts";
import type { PlanView } from "./schemas/plans.ts";

/** The steps of a plan. */
export function planSteps(steps: Step[]): PlanView["steps"] {
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

/** One plan; `asked` is the status of `?status=`, `own` the permit's. */
export function planView(plan: Plan, asked: string | null, own: string | null, nowMs: number): PlanView {
  return {
    permitId: plan.permitId,
    status: asked ?? own,
    hypothetical: asked !== null && asked !== own,
    version: plan.version,
    plannedAt: toInstant(nowMs),
    differs: plan.steps.length > 0 || plan.obstacles.length > 0,
    steps: planSteps(plan.steps),
    obstacles: plan.obstacles,
  };
}
