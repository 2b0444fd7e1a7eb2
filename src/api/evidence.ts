/** `/workspaces/{permitId}/evidence`: what each proof of isolation tried and saw. */
import { OpenAPIHono } from "@hono/zod-openapi";
import { toInstant } from "../core/clock.ts";
import { type Evidence, listEvidence } from "../store/evidence.ts";
import { json, problems } from "./answers.ts";
import { route } from "./auth.ts";
import type { ApiDeps, Router } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { PermitPath } from "./schemas/common.ts";
import { EvidencePage, EvidenceQuery, type EvidenceView } from "./schemas/evidence.ts";
import { requireSnapshot } from "./workspaces.ts";

const listRoute = route("workspaces:read", {
  method: "get",
  path: "/workspaces/{permitId}/evidence",
  tags: ["workspaces"],
  summary: "The proofs of isolation of a permit's workspaces and consolidations, newest first",
  request: { params: PermitPath, query: EvidenceQuery },
  responses: { 200: json(EvidencePage, "A page"), ...problems },
});

/** The route of the evidence. */
export function evidenceRouter(deps: ApiDeps): Router {
  const app = new OpenAPIHono<ApiEnv>();
  app.openapi(listRoute, async (c) => {
    const { rows } = await requireSnapshot(deps, c.req.valid("param").permitId);
    const { limit, cursor, workspace } = c.req.valid("query");
    const filter = { permitId: c.req.valid("param").permitId, workspaceKey: workspace };
    const proofs = await listEvidence(deps.db, filter, { cursor: cursor ?? null, limit });
    const running = new Set(rows.flatMap(({ instanceUid }) => instanceUid ?? []));
    const items = proofs.items.map((proof) => evidenceView(proof, running.has(proof.instanceUid)));
    return c.json({ items, nextCursor: proofs.next }, 200);
  });
  return app;
}

function evidenceView(proof: Evidence, running: boolean): EvidenceView {
  const { workspaceKey, instanceUid, atMs, evidence } = proof;
  return {
    workspace: workspaceKey,
    instance: instanceUid,
    running,
    recordedAt: toInstant(atMs),
    ...evidence,
  };
}
