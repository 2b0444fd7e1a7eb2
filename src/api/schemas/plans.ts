/** What would change, without changing anything. */
import { z } from "@hono/zod-openapi";
import { URGENCIES } from "../../core/drift_urgency.ts";
import { FilterText, Instant, querySchema } from "./common.ts";

/** One step of a plan; conditions in words. */
const PlanStepView = z.object({
  id: z.string(),
  kind: z.string(),
  target: z.string(),
  why: z.string(),
  /** Steps of one wave run side by side. */
  wave: z.number().int(),
  /** `apply` acts, `await` waits; `later` can only be carried out by the plan after this one. */
  do: z.enum(["apply", "await", "later"]),
  before: z.array(z.string()),
  after: z.array(z.string()),
}).openapi("PlanStep");

/** What stands in the way of steps that give. */
const ObstacleView = z.object({
  reason: z.string(),
  target: z.string(),
  message: z.string(),
  advice: z.string(),
}).openapi("Obstacle");

/** `access`: somebody may reach what they must not; `data`: data is unmarked, or one mistake from lost. */
const DriftUrgency = z.enum(URGENCIES).openapi("DriftUrgency");

/** What a plan and a drift say of the permit beside the steps. */
const standing = {
  /** Held by permit.halted: only what takes access away is planned. */
  halted: z.boolean(),
  /** Since when nothing of it is left on the platform; null: it is not deleted. */
  deletedAt: Instant.nullable(),
  /** Workspaces whose image, tier or template waits for their next start; no difference, and no step changes them. */
  outdated: z.array(z.string()),
};

/** `GET /permits/{permitId}/plan`. Without steps and obstacles nothing differs. */
export const PlanView = z.object({
  permitId: z.string(),
  /** The status planned for; null: no status has come yet. */
  status: z.string().nullable(),
  /** The event supposed with `?event=`; null: none. */
  event: z.string().nullable(),
  /** As if an event had come: `?event=`, or `?status=` while the permit has another. */
  hypothetical: z.boolean(),
  version: z.number().int(),
  plannedAt: Instant,
  differs: z.boolean(),
  ...standing,
  steps: z.array(PlanStepView),
  obstacles: z.array(ObstacleView),
}).openapi("Plan");
/** See {@link PlanView}. */
export type PlanView = z.infer<typeof PlanView>;

/** What to plan for instead: another status, or an event of this type, which may give a status. */
export const PlanQuery = querySchema({ status: FilterText.optional(), event: FilterText.optional() });

/** `GET /permits/{permitId}/drift`: what is observed beside what should be, and the job that repairs it, if one is open. */
export const DriftView = z.object({
  permitId: z.string(),
  checkedAt: Instant,
  differs: z.boolean(),
  ...standing,
  /** The gravest of what differs; null: nothing does. */
  urgency: DriftUrgency.nullable(),
  /** The steps that would repair it, the most urgent first; `wave` says in which order they are carried out. */
  differences: z.array(PlanStepView.extend({ urgency: DriftUrgency }).openapi("Difference")),
  /** The most urgent first. */
  obstacles: z.array(ObstacleView.extend({ urgency: DriftUrgency }).openapi("DriftObstacle")),
  /** An open job of the permit: then a difference is work in progress, not drift. */
  jobId: z.number().int().nullable(),
}).openapi("Drift");
/** See {@link DriftView}. */
export type DriftView = z.infer<typeof DriftView>;
