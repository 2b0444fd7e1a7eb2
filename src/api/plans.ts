/** `/permits/{permitId}/plan` and `/drift`: what would change, what differs, and the order to repair it. */
import { OpenAPIHono } from "@hono/zod-openapi";
import { JOB_PRIORITY } from "../core/job.ts";
import { effectOf, knownTypes } from "../core/merge.ts";
import { enqueueJob } from "../store/jobs.ts";
import { json, problems } from "./answers.ts";
import { route } from "./auth.ts";
import type { ApiDeps, FreshPlan, Router, SupposedEvent } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { isOpen } from "./job_view.ts";
import { carryOut } from "./order.ts";
import { driftView, planView } from "./plan_view.ts";
import { ProblemError } from "./problem.ts";
import { requireService } from "./request.ts";
import { IdempotencyHeader, PermitPath } from "./schemas/common.ts";
import { JobReceipt } from "./schemas/jobs.ts";
import { DriftView, PlanQuery, PlanView } from "./schemas/plans.ts";
import { requireSnapshot } from "./workspaces.ts";

const planRoute = route("plan:read", {
  method: "get",
  path: "/permits/{permitId}/plan",
  tags: ["plans"],
  summary: "What would change, without changing anything",
  request: { params: PermitPath, query: PlanQuery },
  responses: { 200: json(PlanView, "The plan"), ...problems },
});

const driftRoute = route("plan:read", {
  method: "get",
  path: "/permits/{permitId}/drift",
  tags: ["plans"],
  summary: "What differs from what should be",
  request: { params: PermitPath },
  responses: { 200: json(DriftView, "The differences"), ...problems },
});

const repairRoute = route("jobs:write", {
  method: "post",
  path: "/permits/{permitId}/drift",
  tags: ["plans"],
  summary: "Repair what differs",
  request: { params: PermitPath, headers: IdempotencyHeader },
  responses: {
    202: json(JobReceipt, "The job that repairs it; an open job of the permit does so as well"),
    ...problems,
  },
});

/** The routes of plans. */
export function plansRouter(deps: ApiDeps): Router {
  const app = new OpenAPIHono<ApiEnv>();
  app.openapi(planRoute, async (c) => {
    const { permit } = await requireSnapshot(deps, c.req.valid("param").permitId);
    const { status = null, event = null } = c.req.valid("query");
    const supposed = status === null && event === null ? null : { type: event ?? STATUS_EVENT, status };
    const plan = await makePlan(deps, permit.permitId, supposed, c.get("signal"));
    return c.json(planView(plan, event, permit, deps.clock.now()), 200);
  });
  app.openapi(driftRoute, async (c) => {
    const { permit, job } = await requireSnapshot(deps, c.req.valid("param").permitId);
    const plan = await makePlan(deps, permit.permitId, null, c.get("signal"));
    const jobId = job !== null && isOpen(job) ? job.id : null;
    return c.json(driftView(plan, permit, jobId, deps.clock.now()), 200);
  });
  app.openapi(repairRoute, (c) =>
    carryOut(deps, c, async () => {
      const { permit: { permitId, version } } = await requireSnapshot(deps, c.req.valid("param").permitId);
      const job = { permitId, kind: "drift", priority: JOB_PRIORITY.drift, version, eventSeq: null } as const;
      return {
        permitId,
        action: "drift.requested",
        target: "permit",
        effect: async (tx, nowMs) => (await enqueueJob(tx, { ...job, runAtMs: nowMs, nowMs })).jobId,
      };
    }));
  return app;
}

/** What `?status=` alone supposes. */
const STATUS_EVENT = "permit.status.updated";

async function makePlan(
  deps: ApiDeps,
  permitId: string,
  supposed: SupposedEvent | null,
  signal: AbortSignal,
): Promise<FreshPlan> {
  const plan = requireService(deps.plan);
  const status = supposed?.status ?? null;
  if (status !== null && !deps.phases.statuses.has(status)) {
    const known = [...deps.phases.statuses.keys()].join(", ");
    throw unplannable(`status ${JSON.stringify(status)}: no phase file describes it`, "status", known);
  }
  if (supposed !== null && effectOf(supposed.type, deps.phases) === null) {
    const text = `event ${JSON.stringify(supposed.type)}: WPS does not act on it`;
    throw unplannable(text, "event", knownTypes(deps.phases).join(", "));
  }
  return await plan(permitId, supposed, signal);
}

function unplannable(text: string, field: "status" | "event", known: string): ProblemError {
  return new ProblemError("unprocessable", `Cannot plan for ${text}`, {
    reason: "invalid",
    advice: `Name one of ${known}`,
    errors: [{ path: `query.${field}`, message: `Unknown ${field}` }],
  });
}
