/** The API's own description: OpenAPI 3.1 at /api/v1/openapi.json. */
import { OpenAPIHono, z } from "@hono/zod-openapi";
import { json } from "./answers.ts";
import { route, SECURITY_SCHEME } from "./auth.ts";
import type { Router } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { JobChange } from "./schemas/jobs.ts";

const documentRoute = route("public", {
  method: "get",
  path: "/openapi.json",
  tags: ["health"],
  summary: "This description",
  responses: { 200: json(z.record(z.string(), z.unknown()), "OpenAPI 3.1") },
});

/** The document of all routes of `app`; to be called once, since it registers what no route refers to. */
export function describeApi(app: Router, version: string): Record<string, unknown> {
  app.openAPIRegistry.registerComponent("securitySchemes", SECURITY_SCHEME, {
    type: "http",
    scheme: "bearer",
    description: "`api.key` of the configuration. Not asked for on the unix socket.",
  });
  app.openAPIRegistry.register("JobChange", JobChange);
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Workspace Provisioning Service",
      version,
      description: "Errors are problem details (RFC 9457) whose `type` is stable: see docs/api.md.",
      license: { name: "GPL-3.0-or-later", url: "https://www.gnu.org/licenses/gpl-3.0.html" },
    },
    servers: [{ url: "/" }],
  });
  return { ...document };
}

/** The route of the document, which is made once. */
export function documentRouter(describe: () => Record<string, unknown>): Router {
  const app = new OpenAPIHono<ApiEnv>();
  let document: Record<string, unknown> | null = null;
  app.openapi(documentRoute, (c) => c.json(document ??= describe(), 200));
  return app;
}
