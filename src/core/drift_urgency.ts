/** How urgent a difference is: access that must not stand before data that could be lost before all the rest. Pure. */
import type { Reason } from "./fault.ts";
import type { Obstacle, Step, StepKind } from "./step.ts";

/** The gravest first. `access`: somebody may reach what they must not; `data`: data is unmarked, or one mistake from lost. */
export const URGENCIES = ["access", "data", "other"] as const;
/** One of {@link URGENCIES}. */
export type DriftUrgency = typeof URGENCIES[number];

/**
 * Of each urgency the gravest first: a network that stands open, a pod that is not as it should be (its gate included), a
 * guard that is missing. A proof alone is not urgent: nobody is let in before it.
 */
const STEPS: Record<Exclude<DriftUrgency, "other">, readonly StepKind[]> = {
  access: ["cut-network", "await-cut", "stop", "ensure-scope"],
  data: ["taint-volume", "retain-volume", "rebind-volume"],
};
/** What is not WPS's may open what WPS shuts, so it is access until somebody has looked. */
const OBSTACLES: Record<Exclude<DriftUrgency, "other">, readonly Reason[]> = {
  access: ["isolation-breached", "isolation-unproven", "invariant", "foreign-object"],
  data: ["volume-lost"],
};

/** What the step is about to put right. */
export function stepUrgency({ kind }: Pick<Step, "kind">): DriftUrgency {
  return URGENCIES.find((urgency) => urgency !== "other" && STEPS[urgency].includes(kind)) ?? "other";
}

/** What stands in the way of putting it right. */
export function obstacleUrgency({ reason }: Pick<Obstacle, "reason">): DriftUrgency {
  return URGENCIES.find((urgency) => urgency !== "other" && OBSTACLES[urgency].includes(reason)) ?? "other";
}

/** Steps with the gravest first; those of one kind stay in the plan's order. */
export function stepsByUrgency<Given extends Pick<Step, "kind">>(steps: readonly Given[]): Given[] {
  const kinds = [...STEPS.access, ...STEPS.data];
  return sorted(steps, ({ kind }) => kinds.indexOf(kind));
}

/** The same of obstacles. */
export function obstaclesByUrgency<Given extends Pick<Obstacle, "reason">>(
  obstacles: readonly Given[],
): Given[] {
  const reasons = [...OBSTACLES.access, ...OBSTACLES.data];
  return sorted(obstacles, ({ reason }) => reasons.indexOf(reason));
}

function sorted<Given>(given: readonly Given[], placeOf: (one: Given) => number): Given[] {
  const place = (one: Given): number => {
    const found = placeOf(one);
    return found < 0 ? Infinity : found;
  };
  // Not the difference: that of two infinities is none.
  return given.toSorted((one, other) => Math.sign(place(one) - place(other)) || 0);
}
