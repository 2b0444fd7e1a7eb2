/** `/jobs`: what is being done, what was done, and a person's say in it. */
import type { Context } from "hono";
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Job, JobState } from "../core/job.ts";
import { appendAudit } from "../store/audit.ts";
import type { Tx } from "../store/db.ts";
import { cancelJob, retryNow } from "../store/job_transitions.ts";
import { getJob, listJobs } from "../store/jobs.ts";
import { stepsOf } from "../store/steps.ts";
import { json, problems } from "./answers.ts";
import { route } from "./auth.ts";
import type { ApiDeps, Router } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { type AcceptedResponse, once } from "./idempotency.ts";
import { streamJob } from "./job_stream.ts";
import { jobView, stepView, usualDurationMs } from "./job_view.ts";
import { ProblemError } from "./problem.ts";
import { callerOf, readNothing, requireService } from "./request.ts";
import { IdempotencyHeader } from "./schemas/common.ts";
import { JobDetail, JobPage, JobPath, JobQuery, JobReceipt, STEPS_MAX } from "./schemas/jobs.ts";

const listRoute = route("jobs:read", {
  method: "get",
  path: "/jobs",
  tags: ["jobs"],
  summary: "Jobs, newest first",
  request: { query: JobQuery },
  responses: { 200: json(JobPage, "A page"), ...problems },
});

const showRoute = route("jobs:read", {
  method: "get",
  path: "/jobs/{id}",
  tags: ["jobs"],
  summary: "One job with its steps",
  request: { params: JobPath },
  responses: { 200: json(JobDetail, "The job"), ...problems },
});

const streamRoute = route("jobs:read", {
  method: "get",
  path: "/jobs/{id}/events",
  tags: ["jobs"],
  summary: "A job's changes as they happen (server-sent events)",
  description:
    "`job` and every `step` so far, then each change; `end` closes the stream. See the schema JobChange.",
  request: { params: JobPath },
  responses: { 200: { description: "The stream", content: { "text/event-stream": {} } }, ...problems },
});

const retryRoute = route("jobs:write", {
  method: "post",
  path: "/jobs/{id}/retry",
  tags: ["jobs"],
  summary: "Run a waiting job now, or a failed one again",
  request: { params: JobPath, headers: IdempotencyHeader },
  responses: { 202: json(JobReceipt, "The job that will run"), ...problems },
});

const cancelRoute = route("jobs:write", {
  method: "post",
  path: "/jobs/{id}/cancel",
  tags: ["jobs"],
  summary: "Cancel a job: queued at once, running at its next step boundary",
  request: { params: JobPath, headers: IdempotencyHeader },
  responses: { 202: json(JobReceipt, "The job"), ...problems },
});

/** The routes of `/jobs`. */
export function jobsRouter(deps: ApiDeps): Router {
  const { db, clock } = deps;
  const app = new OpenAPIHono<ApiEnv>();
  app.openapi(listRoute, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid("query");
    const jobs = await listJobs(db, filter, { cursor: cursor ?? null, limit });
    const items = [];
    for (const job of jobs.items) items.push(jobView(job, await usualDurationMs(db, job), clock.now()));
    return c.json({ items, nextCursor: jobs.next }, 200);
  });
  app.openapi(showRoute, async (c) => {
    const job = await requireJob(deps, c.req.valid("param").id);
    const steps = (await stepsOf(db, job.id)).slice(-STEPS_MAX).map(stepView);
    return c.json({ ...jobView(job, await usualDurationMs(db, job), clock.now()), steps }, 200);
  });
  app.openapi(streamRoute, async (c) => {
    const feed = requireService(deps.feed);
    return streamJob({ db, clock, feed, log: deps.log }, c, await requireJob(deps, c.req.valid("param").id));
  });
  app.openapi(
    retryRoute,
    (c) =>
      order(deps, c, c.req.valid("param").id, "job.retry", (tx, job) => retryNow(tx, job.id, clock.now())),
  );
  app.openapi(cancelRoute, (c) =>
    order(deps, c, c.req.valid("param").id, "job.cancel", async (tx, job) => {
      if (await cancelJob(tx, job.id, clock.now()) === "not-open") {
        throw new ProblemError("state-conflict", `Cannot cancel job ${job.id}: it ${endedText(job.state)}`, {
          reason: "conflict",
        });
      }
      return job.id;
    }));
  return app;
}

async function requireJob({ db }: ApiDeps, id: number): Promise<Job> {
  const job = await getJob(db, id);
  if (job !== null) return job;
  throw new ProblemError("not-found", `Cannot find job ${id}: there is none of this number`, {
    reason: "not-found",
    advice: "wps jobs list shows those there are",
  });
}

function endedText(state: JobState): string {
  const words: Partial<Record<JobState, string>> = {
    succeeded: "has succeeded already",
    failed: "has failed already",
    cancelled: "was cancelled already",
    superseded: "was superseded by a newer one",
  };
  return words[state] ?? `is ${state}`;
}

/** A person's order about a job: order, audit row and stored answer commit together, then the runner looks. */
async function order(
  deps: ApiDeps,
  c: Context<ApiEnv>,
  id: number,
  action: "job.retry" | "job.cancel",
  effect: (tx: Tx, job: Job) => Promise<number>,
): Promise<AcceptedResponse<JobReceipt>> {
  const wake = requireService(deps.wake);
  const body = await readNothing(c);
  const { permitId } = await requireJob(deps, id);
  return await once<JobReceipt>(deps, c, body, async (settle) => {
    const nowMs = deps.clock.now();
    const answer = await deps.db.write(async (tx) => {
      const before = await getJob(tx, id);
      const jobId = before === null ? id : await effect(tx, before);
      const job = await getJob(tx, jobId);
      if (job === null) throw new ProblemError("not-found", `Cannot find job ${id}`);
      await appendAudit(tx, [{
        atMs: nowMs,
        permitId,
        eventSeq: null,
        jobId,
        actor: callerOf(c).actor,
        action,
        target: `job ${id}`,
        outcome: "done",
        reason: null,
        requestId: c.get("requestId"),
      }]);
      const answer = { receipt: { job: jobView(job, null, nowMs) } };
      await settle(tx, answer);
      return answer;
    });
    wake(permitId);
    return answer;
  });
}
