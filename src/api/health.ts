/** `/health` for people and monitors, `/healthz` and `/readyz` for supervisors. */
import { OpenAPIHono } from "@hono/zod-openapi";
import { toInstant } from "../core/clock.ts";
import { toFault } from "../core/fault.ts";
import { countJobs } from "../store/job_counts.ts";
import { json, problems } from "./answers.ts";
import { route } from "./auth.ts";
import type { ApiDeps, Router } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { Health, type HealthPart, Liveness } from "./schemas/health.ts";

const healthRoute = route("health:read", {
  method: "get",
  path: "/health",
  tags: ["health"],
  summary: "What works and what does not",
  responses: { 200: json(Health, "Works, perhaps in part"), 503: json(Health, "Does not work"), ...problems },
});

const livenessRoute = route("public", {
  method: "get",
  path: "/healthz",
  tags: ["health"],
  summary: "The process answers",
  responses: { 200: json(Liveness, "Always") },
});

const readinessRoute = route("public", {
  method: "get",
  path: "/readyz",
  tags: ["health"],
  summary: "The service takes events and runs jobs",
  responses: {
    200: json(Liveness, "Ready, perhaps in part"),
    503: json(Liveness, "Not yet, or not any more"),
  },
});

/** The route of `/health`. */
export function healthRouter(deps: ApiDeps): Router {
  const app = new OpenAPIHono<ApiEnv>();
  app.openapi(healthRoute, async (c) => {
    const health = await healthOf(deps);
    return health.status === "down" ? c.json(health, 503) : c.json(health, 200);
  });
  return app;
}

/** `/healthz` and `/readyz`, which lie beside the API and tell nothing but one word. */
export function probesRouter(deps: ApiDeps): Router {
  const app = new OpenAPIHono<ApiEnv>();
  app.openapi(livenessRoute, (c) => c.json({ status: "ok" as const }, 200));
  app.openapi(readinessRoute, async (c) => {
    if (!deps.isReady()) return c.json({ status: "starting" as const }, 503);
    const { part } = await databaseHealth(deps);
    if (part.state !== "ok") return c.json({ status: "down" as const }, 503);
    // Still ready: events are recorded, and what takes access away is tried without end.
    const { state } = await deps.health.driver();
    return c.json({ status: state === "down" ? "degraded" as const : "ok" as const }, 200);
  });
  return app;
}

async function healthOf(deps: ApiDeps): Promise<Health> {
  const [database, broker, driver, runner, readModel] = await Promise.all([
    databaseHealth(deps),
    deps.health.broker(),
    deps.health.driver(),
    deps.health.runner(),
    deps.health.readModel(),
  ]);
  const isDown = [database.part, runner].some(({ state }) => state === "down");
  const parts = [database.part, broker, driver, runner, readModel];
  const isDegraded = parts.some(({ state }) => state === "degraded" || state === "down");
  return {
    status: isDown ? "down" : isDegraded ? "degraded" : "ok",
    version: deps.version,
    startedAt: toInstant(deps.startedAtMs),
    jobs: database.jobs,
    database: database.part,
    broker,
    driver,
    runner,
    readModel,
  };
}

/** The database is asked something real: how many jobs there are. */
async function databaseHealth({ db }: ApiDeps): Promise<{ part: HealthPart; jobs: Health["jobs"] }> {
  try {
    const { queued, running, failed } = await countJobs(db);
    return { part: { state: "ok", detail: db.path, since: null }, jobs: { queued, running, failed } };
  } catch (thrown) {
    return { part: { state: "down", detail: toFault(thrown).message, since: null }, jobs: null };
  }
}
