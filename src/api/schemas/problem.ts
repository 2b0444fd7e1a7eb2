/** RFC 9457 problem details, the shape of every answer of 400 and above. */
import { z } from "@hono/zod-openapi";
import { REASONS } from "../../core/fault.ts";

/** One reason per field, as in the intake's `FieldError`. */
export const FieldProblem = z.object({
  path: z.string().openapi({ example: "data.researchers[0].uid" }),
  message: z.string(),
}).openapi("FieldProblem");

/** What a choice between several workspaces is made by. */
const WorkspaceChoice = z.object({
  username: z.string(),
  kind: z.string(),
}).openapi("WorkspaceChoice");

/** `application/problem+json`. `type` is stable; `title` and `detail` are for people. */
export const Problem = z.object({
  type: z.string().openapi({ example: "urn:wps:problem:not-ready" }),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  /** The request id, also in the header X-Request-Id and in the log. */
  requestId: z.string(),
  /** What to do, where something can be done. */
  advice: z.string().optional(),
  /** The reason code shared with job, audit and log. */
  reason: z.enum(REASONS).optional().openapi({
    description:
      "A stable code, shared with jobs, audit and log. Why a permit has no connection (`not-ready`): " +
      "`pod-not-ready` (ask again), `stopped`, `halted`, `deadline` (its date has passed), `deleted`, " +
      "`no-workspace` (its phase has none), `members-missing` (nobody named yet), `invalid` (its phase " +
      "cannot be worked out), or the reason of the job that failed.",
  }),
  /** Per field, where fields are wrong. */
  errors: z.array(FieldProblem).optional(),
  /** Type `ambiguous`: whom the caller can name. */
  usernames: z.array(z.string()).optional(),
  /** Type `ambiguous`: the same with the kinds of workspace. */
  choices: z.array(WorkspaceChoice).optional(),
  /** Types of `POST /events`: which recorded event this is about. */
  verdict: z.string().optional(),
  seq: z.number().int().optional(),
}).openapi("Problem");
/** See {@link Problem}. */
export type Problem = z.infer<typeof Problem>;
