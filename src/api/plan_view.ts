/** Plans as callers see them: conditions in words, nothing of the platform's own objects. */
import { toInstant } from "../core/clock.ts";
import { describeCondition } from "../core/condition.ts";
import {
  obstaclesByUrgency,
  obstacleUrgency,
  stepsByUrgency,
  stepUrgency,
  URGENCIES,
} from "../core/drift_urgency.ts";
import type { Plan, Step } from "../core/step.ts";
import type { StoredPermit } from "../store/permits.ts";
import type { FreshPlan } from "./deps.ts";
import { deletedAt } from "./permit_view.ts";
import type { DriftView, PlanView } from "./schemas/plans.ts";

function stepView(step: Step): PlanView["steps"][number] {
  return {
    id: step.id,
    kind: step.kind,
    target: step.target,
    why: step.why,
    wave: step.wave,
    do: step.do,
    before: step.before.map(describeCondition),
    after: step.after.map(describeCondition),
  };
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
    steps: plan.steps.map(stepView),
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
  const differences = stepsByUrgency(plan.steps).map((step) => ({
    ...stepView(step),
    urgency: stepUrgency(step),
  }));
  const obstacles = obstaclesByUrgency(plan.obstacles).map((obstacle) => ({
    ...obstacle,
    urgency: obstacleUrgency(obstacle),
  }));
  const found = [...obstacles, ...differences].map(({ urgency }) => urgency);
  return {
    permitId: plan.permitId,
    checkedAt: toInstant(nowMs),
    differs: differs(plan),
    halted: permit.halted,
    deletedAt: deletedAt(permit),
    outdated,
    urgency: URGENCIES.find((urgency) => found.includes(urgency)) ?? null,
    differences,
    obstacles,
    jobId,
  };
}

function differs({ steps, obstacles }: Plan): boolean {
  return steps.length > 0 || obstacles.length > 0;
}
