/** `/jobs`: what is being done, what was done, and a person's say in it. */
import { OpenAPIHono } from "@hono/zod-openapi";
import { type Job, type JobState, takesOnly } from "../core/job.ts";
import type { Tx } from "../store/db.ts";
import { cancelJob, retryNow } from "../store/job_transitions.ts";
import { getJob, listJobs } from "../store/jobs.ts";
import { stepsOf } from "../store/steps.ts";
import { json, problems } from "./answers.ts";
import { route } from "./auth.ts";
import type { ApiDeps, Router } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { streamJob } from "./job_stream.ts";
import { isOpen, presentJob, stepView } from "./job_view.ts";
import { carryOut, type Order } from "./order.ts";
import { ProblemError } from "./problem.ts";
import { requireService } from "./request.ts";
import { IdempotencyHeader } from "./schemas/common.ts";
import {
  JobDetail,
  JobPage,
  JobPath,
  JobQuery,
  JobReceipt,
  LastEventHeader,
  STEPS_MAX,
} from "./schemas/jobs.ts";

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
    "`job` and every `step` so far, then each change; `end` closes the stream. See the schema JobChange. " +
    "With Last-Event-ID only the steps that are new since.",
  request: { params: JobPath, headers: LastEventHeader },
  responses: {
    200: { description: "The stream", content: { "text/event-stream": {} } },
    204: { description: "The end was told already: nothing more will come" },
    ...problems,
  },
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
  description:
    "Not what cuts access: a halt, a deletion, a repair that only takes away (409 state-conflict).",
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
    for (const job of jobs.items) items.push(await presentJob(deps, job));
    return c.json({ items, nextCursor: jobs.next }, 200);
  });
  app.openapi(showRoute, async (c) => {
    const job = await requireJob(deps, c.req.valid("param").id);
    const steps = (await stepsOf(db, job.id)).slice(-STEPS_MAX).map(stepView);
    return c.json({ ...await presentJob(deps, job), steps }, 200);
  });
  app.openapi(streamRoute, async (c) => {
    const feed = requireService(deps.feed);
    return streamJob({ db, clock, feed, log: deps.log }, c, await requireJob(deps, c.req.valid("param").id));
  });
  const about = (id: number, action: Order["action"], effect: Effect) => (): Promise<Order> =>
    orderAbout(deps, id, action, effect);
  app.openapi(retryRoute, (c) => carryOut(deps, c, about(c.req.valid("param").id, "job.retry", retryNow)));
  app.openapi(cancelRoute, (c) => carryOut(deps, c, about(c.req.valid("param").id, "job.cancel", cancel)));
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

type Effect = (tx: Tx, id: number, nowMs: number) => Promise<number>;

async function orderAbout(
  deps: ApiDeps,
  id: number,
  action: Order["action"],
  effect: Effect,
): Promise<Order> {
  const { permitId } = await requireJob(deps, id);
  return { permitId, action, target: `job ${id}`, effect: (tx, nowMs) => effect(tx, id, nowMs) };
}

/**
 * What cuts access is not a person's to stop half-way (invariant 6): whose wish it is takes it back by an event, and the
 * job is superseded. Why it stays, and what to do instead; null: it may be cancelled.
 */
function kept(job: Job): { why: string; advice: string } | null {
  if (!isOpen(job)) return null;
  if (job.kind === "halt") {
    const advice = `To end the halt run wps resume ${job.permitId}`;
    return { why: "it cuts a halted permit's access", advice };
  }
  if (job.kind === "delete") {
    return { why: "a deletion is final", advice: `wps jobs show ${job.id} tells how far it is` };
  }
  if (!takesOnly(job)) return null;
  return {
    why: "it cuts access that must not stand, and gives nothing",
    advice: `wps jobs show ${job.id} tells what it cuts; to change what the permit should have send an event`,
  };
}

async function cancel(tx: Tx, id: number, nowMs: number): Promise<number> {
  const job = await getJob(tx, id);
  const reason = job === null ? null : kept(job);
  if (reason !== null) {
    const { why, advice } = reason;
    throw new ProblemError("state-conflict", `Cannot cancel job ${id}: ${why}`, {
      reason: "conflict",
      advice,
    });
  }
  if (await cancelJob(tx, id, nowMs) !== "not-open") return id;
  const state = (await getJob(tx, id))?.state ?? "cancelled";
  throw new ProblemError("state-conflict", `Cannot cancel job ${id}: it ${endedText(state)}`, {
    reason: "conflict",
  });
}
