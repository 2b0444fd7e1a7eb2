/** `/workspaces`: the gateway's and the Permit Manager's two questions, and the lists. */
import { OpenAPIHono } from "@hono/zod-openapi";
import { json, problems } from "./answers.ts";
import { route } from "./auth.ts";
import { connectionOf } from "./connection.ts";
import type { ApiDeps, Router } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { ProblemError } from "./problem.ts";
import { callerOf, requireService } from "./request.ts";
import { PermitPath } from "./schemas/common.ts";
import {
  ConnectionAnswer,
  ConnectionQuery,
  StatusAnswer,
  WorkspacePage,
  WorkspaceQuery,
} from "./schemas/workspaces.ts";
import { readSnapshot, type Snapshot } from "../store/snapshot.ts";
import { listWorkspaceViews } from "./workspace_list.ts";
import { workspaceViews } from "./workspace_view.ts";

const statusRoute = route("status:read", {
  method: "get",
  path: "/workspaces/{permitId}/status",
  tags: ["workspaces"],
  summary: "The permit's status in one word",
  request: { params: PermitPath },
  responses: { 200: json(StatusAnswer, "The word"), ...problems },
});

const connectionRoute = route("connection:read", {
  method: "get",
  path: "/workspaces/{permitId}/connection",
  tags: ["workspaces"],
  summary: "Where and with which password the gateway connects",
  request: { params: PermitPath, query: ConnectionQuery },
  responses: { 200: json(ConnectionAnswer, "The connection"), ...problems },
});

const listRoute = route("workspaces:read", {
  method: "get",
  path: "/workspaces",
  tags: ["workspaces"],
  summary: "Workspaces of all permits",
  request: { query: WorkspaceQuery },
  responses: { 200: json(WorkspacePage, "A page"), ...problems },
});

const permitRoute = route("workspaces:read", {
  method: "get",
  path: "/workspaces/{permitId}",
  tags: ["workspaces"],
  summary: "All workspaces of one permit",
  request: { params: PermitPath },
  responses: { 200: json(WorkspacePage, "All of them; nextCursor is null"), ...problems },
});

/** The snapshot of a permit, or the problem `not-found`. */
export async function requireSnapshot(deps: ApiDeps, permitId: string): Promise<Snapshot> {
  const snapshot = await readSnapshot(deps, permitId);
  if (snapshot !== null) return snapshot;
  throw new ProblemError(
    "not-found",
    `Cannot find permit ${JSON.stringify(permitId)}: no event has named it`,
    { reason: "not-found", advice: "wps permits lists those there are" },
  );
}

/** The routes of `/workspaces`. */
export function workspacesRouter(deps: ApiDeps): Router {
  const app = new OpenAPIHono<ApiEnv>();
  app.openapi(statusRoute, async (c) => {
    const { status } = await requireSnapshot(deps, c.req.valid("param").permitId);
    return c.json({ status }, 200);
  });
  app.openapi(connectionRoute, async (c) => {
    const snapshot = await requireSnapshot(deps, c.req.valid("param").permitId);
    // Telling a password is audited, and only the service writes.
    requireService(deps.wake);
    const asker = { actor: callerOf(c).actor, requestId: c.get("requestId") };
    return c.json(await connectionOf(deps, snapshot, c.req.valid("query"), asker), 200);
  });
  app.openapi(listRoute, async (c) => {
    return c.json(await listWorkspaceViews(deps, c.req.valid("query")), 200);
  });
  app.openapi(permitRoute, async (c) => {
    const snapshot = await requireSnapshot(deps, c.req.valid("param").permitId);
    return c.json({ items: await workspaceViews(deps, snapshot), nextCursor: null }, 200);
  });
  return app;
}
