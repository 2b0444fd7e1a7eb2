/** Jobs, their steps, and the stream of their changes. */
import { z } from "@hono/zod-openapi";
import { JOB_KINDS, JOB_STATES } from "../../core/job.ts";
import { FilterText, Instant, numberedPageQuery, page, querySchema, wholeNumber } from "./common.ts";

/** How far a job is. */
export const ProgressView = z.object({
  done: z.number().int(),
  total: z.number().int(),
  /** 0 to 100, whole; 100 only once it has ended. */
  percent: z.number().int(),
  /** What is left, from earlier jobs of the same kind; null: no history, longer than usual, or the job has ended. */
  estimateMs: z.number().int().nullable(),
}).openapi("Progress");
/** See {@link ProgressView}. */
export type ProgressView = z.infer<typeof ProgressView>;

/** One job. */
export const JobView = z.object({
  id: z.number().int(),
  permitId: z.string(),
  kind: z.enum(JOB_KINDS),
  state: z.enum(JOB_STATES),
  /** It has not ended, and the service does not run: nobody works on it until the service starts. */
  suspended: z.boolean(),
  /** The permit's version it works towards. */
  version: z.number().int(),
  eventSeq: z.number().int().nullable(),
  attempt: z.number().int(),
  createdAt: Instant,
  /** Not before this. */
  runAt: Instant,
  startedAt: Instant.nullable(),
  endedAt: Instant.nullable(),
  /** What it waits for right now, by name. */
  waitingFor: z.string().nullable(),
  waitingSince: Instant.nullable(),
  /** Somebody cancelled it while it ran: it stops after its present step. */
  cancelRequested: z.boolean(),
  /** Reason code of the last fault, or of what keeps the wait from ending by itself; `advice` says what to do. */
  reason: z.string().nullable(),
  message: z.string().nullable(),
  advice: z.string().nullable(),
  progress: ProgressView,
}).openapi("Job");
/** See {@link JobView}. */
export type JobView = z.infer<typeof JobView>;

/** One step as it happened. */
export const StepView = z.object({
  id: z.number().int(),
  attempt: z.number().int(),
  kind: z.string(),
  target: z.string(),
  why: z.string(),
  wave: z.number().int(),
  startedAt: Instant,
  endedAt: Instant.nullable(),
  outcome: z.enum(["running", "done", "waited", "failed", "abandoned"]),
  detail: z.string().nullable(),
}).openapi("Step");
/** See {@link StepView}. */
export type StepView = z.infer<typeof StepView>;

/** Steps of one job in an answer: a plan of 50 workspaces over several attempts. */
export const STEPS_MAX = 1000;

/** `GET /jobs/{id}`: steps in the order in which they began, the newest {@link STEPS_MAX}. */
export const JobDetail = JobView.extend({ steps: z.array(StepView) }).openapi("JobDetail");
/** See {@link JobDetail}. */
export type JobDetail = z.infer<typeof JobDetail>;

/** The path of one job. */
export const JobPath = z.object({ id: wholeNumber(1) });

/** Filters of `GET /jobs`; newest first. */
export const JobQuery = querySchema({
  ...numberedPageQuery,
  permitId: FilterText.optional(),
  state: z.enum(JOB_STATES).optional(),
  kind: z.enum(JOB_KINDS).optional(),
});

/** `GET /jobs`. */
export const JobPage = page(JobView).openapi("JobPage");
/** See {@link JobPage}. */
export type JobPage = z.infer<typeof JobPage>;

/**
 * `GET /jobs/{id}/events`, one server-sent event each: `event:` names the member, `data:` is its value as JSON.
 * First a `job` and every `step` so far, then each change; `end` closes the stream once the job has ended.
 */
export const JobChange = z.discriminatedUnion("event", [
  z.object({ event: z.literal("job"), data: JobView }),
  z.object({ event: z.literal("step"), data: StepView }),
  z.object({ event: z.literal("end"), data: JobView }),
]).openapi("JobChange");
/** See {@link JobChange}. */
export type JobChange = z.infer<typeof JobChange>;

/** What a client sends that lost its stream; anything but an `id:` of that stream counts as none. */
export const LastEventHeader = z.object({
  "last-event-id": z.string().optional()
    .openapi({
      description: "`id:` of the last event that was received: steps told by then are not told again",
    }),
});

/** `POST /jobs/{id}/retry`, `/cancel`, `POST /permits/{permitId}/drift`, 202: the job that follows from it. */
export const JobReceipt = z.object({ job: JobView }).openapi("JobReceipt");
/** See {@link JobReceipt}. */
export type JobReceipt = z.infer<typeof JobReceipt>;
