/** The REST API: one router per noun under /api/v1, one door, one mapping of errors (DESIGN 10). */
import { OpenAPIHono } from "@hono/zod-openapi";
import { PERMISSION_FIELD } from "./auth.ts";
import type { RefusalSink, RoutePermission } from "./caller.ts";
import { certificatesRouter } from "./certificates.ts";
import type { ApiDeps, Router } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { eventsRouter } from "./events.ts";
import { evidenceRouter } from "./evidence.ts";
import { haltsRouter } from "./halts.ts";
import { healthRouter, probesRouter } from "./health.ts";
import { jobsRouter } from "./jobs.ts";
import { permitsRouter } from "./permits.ts";
import { plansRouter } from "./plans.ts";
import { ProblemError, problemResponse, toProblem } from "./problem.ts";
import { requestContext } from "./request.ts";
import { describeApi, documentRouter } from "./openapi.ts";
import { uploadsRouter } from "./uploads.ts";
import { workspacesRouter } from "./workspaces.ts";

/** Where everything but the probes lies. */
const API_BASE = "/api/v1";

/** The whole API. `refused` audits refusals: see `createRefusalAudit`. */
export function createApi(deps: ApiDeps, refused: RefusalSink): Router {
  const app = new OpenAPIHono<ApiEnv>();
  app.use(requestContext({ ...deps, door: { authenticate: deps.authenticate, refused } }));
  app.onError((thrown, c) => {
    const error = toProblem(thrown);
    const fields = { requestId: c.get("requestId"), method: c.req.method, path: c.req.path };
    if (error.problem === "internal") deps.log.error("A request failed", { ...fields, error: thrown });
    return problemResponse(c, error);
  });
  app.notFound((c) =>
    problemResponse(c, new ProblemError("not-found", `Cannot find ${c.req.path}: there is no such route`))
  );
  const routers = [
    workspacesRouter,
    evidenceRouter,
    permitsRouter,
    certificatesRouter,
    haltsRouter,
    plansRouter,
    uploadsRouter,
    eventsRouter,
    jobsRouter,
    healthRouter,
  ];
  for (const router of routers) app.route(API_BASE, withHook(router(deps)));
  app.route(API_BASE, documentRouter(() => describeApi(app, deps.version)));
  app.route("/", withHook(probesRouter(deps)));
  refuseOtherMethods(app);
  return app;
}

/** Invalid parameters leave as one problem with a reason per field. */
function withHook(router: Router): Router {
  router.defaultHook = (result) => {
    if (result.success) return;
    const target = result.target === "param" ? "path" : result.target;
    const errors = result.error.issues.flatMap((issue) => {
      const paths = issue.code === "unrecognized_keys" ? issue.keys.map((key) => [key]) : [issue.path];
      return paths.map((path) => ({ path: [target, ...path].join("."), message: issue.message }));
    });
    throw new ProblemError(
      "invalid-request",
      "Cannot read the request: its parameters are not as they should be",
      {
        reason: "invalid",
        errors,
      },
    );
  };
  return router;
}

/** One route as the registry has it. */
export interface RegisteredRoute {
  method: string;
  /** With `{names}`. */
  path: string;
  /** Null: made without `route()`; the tests refuse it. */
  permission: RoutePermission | null;
}

/** All routes that the API documents, with their permissions. */
export function registeredRoutes(app: Router): RegisteredRoute[] {
  return app.openAPIRegistry.definitions.flatMap((definition) => {
    if (definition.type !== "route") return [];
    const { method, path } = definition.route;
    // `route()` put it there; the registry's type has no such field.
    const extra = definition.route as { [PERMISSION_FIELD]?: RoutePermission };
    return [{ method, path, permission: extra[PERMISSION_FIELD] ?? null }];
  });
}

/** RFC 9110 section 15.5.6: a known path with another method answers 405 and says what is allowed. */
function refuseOtherMethods(app: Router): void {
  const methods = new Map<string, string[]>();
  for (const { method, path } of registeredRoutes(app)) {
    methods.set(path, [...(methods.get(path) ?? []), method.toUpperCase()]);
  }
  for (const [path, allowed] of methods) {
    app.all(path.replaceAll(/\/{(.+?)}/g, "/:$1"), (c) => {
      const error = new ProblemError(
        "method-not-allowed",
        `Cannot ${c.req.method} ${c.req.path}: it takes ${allowed.join(", ")}`,
        {},
        { Allow: allowed.join(", ") },
      );
      return problemResponse(c, error);
    });
  }
}
