/** `/permits`: the list, and all about one. */
import { OpenAPIHono, z } from "@hono/zod-openapi";
import { toInstant } from "../core/clock.ts";
import { listBreaches } from "../store/breaches.ts";
import { type EventRow, listEvents, newestAccepted, newestAnswer } from "../store/events.ts";
import { isExpiring } from "../store/expiry.ts";
import { listPermits } from "../store/permits.ts";
import { json, problems } from "./answers.ts";
import { route } from "./auth.ts";
import { readCursor } from "./cursor.ts";
import type { ApiDeps, Router } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { eventView } from "./event_view.ts";
import { haltView } from "./halts.ts";
import { presentJob } from "./job_view.ts";
import { memberViews, permitView, volumeView } from "./permit_view.ts";
import { PermitPath } from "./schemas/common.ts";
import { EVENTS_SHOWN, PermitDetail, PermitPage, PermitQuery, type PermitView } from "./schemas/permits.ts";
import { refusedUploads } from "../store/refused_uploads.ts";
import { type Snapshot, snapshotOf } from "../store/snapshot.ts";
import { troublesOf } from "./trouble.ts";
import { refusedTroubles } from "./uploads.ts";
import { workspaceViews } from "./workspace_view.ts";
import { requireSnapshot } from "./workspaces.ts";

/** A page ended with this permit. */
const CURSOR = z.tuple([z.string()]);

/** The public word is computed, not stored: so many permits are looked at for a page that is filtered by it. */
const LOOKED_AT_MAX = 400;

const listRoute = route("permits:read", {
  method: "get",
  path: "/permits",
  tags: ["permits"],
  summary: "Permits in the order of their ids",
  request: { query: PermitQuery },
  responses: {
    200: json(PermitPage, "A page; filtered by status it may be short before the end"),
    ...problems,
  },
});

const showRoute = route("permits:read", {
  method: "get",
  path: "/permits/{permitId}",
  tags: ["permits"],
  summary: "Everything about one permit",
  request: { params: PermitPath },
  responses: { 200: json(PermitDetail, "The permit"), ...problems },
});

/** The routes of `/permits`. */
export function permitsRouter(deps: ApiDeps): Router {
  const app = new OpenAPIHono<ApiEnv>();
  app.openapi(listRoute, async (c) => {
    const { phase, status, halted, deletion, limit, cursor } = c.req.valid("query");
    const filter = { status: phase, halted, deletion };
    const items: PermitView[] = [];
    let next: string | null = cursor === undefined ? null : readCursor(CURSOR, cursor)[0];
    let lookedAt = 0;
    do {
      const wanted = limit - items.length;
      const permits = await listPermits(deps.db, filter, { cursor: next, limit: wanted });
      for (const permit of permits.items) {
        const view = permitView(await snapshotOf(deps, permit));
        if (status === undefined || view.status === status) items.push(view);
      }
      next = permits.next;
      lookedAt += permits.items.length;
    } while (items.length < limit && next !== null && lookedAt < LOOKED_AT_MAX);
    return c.json({ items, nextCursor: next === null ? null : JSON.stringify([next]) }, 200);
  });
  app.openapi(showRoute, async (c) => {
    const snapshot = await requireSnapshot(deps, c.req.valid("param").permitId);
    return c.json(await permitDetail(deps, snapshot), 200);
  });
  return app;
}

async function permitDetail(deps: ApiDeps, snapshot: Snapshot): Promise<PermitDetail> {
  const { permit, job } = snapshot;
  const isLive = deps.wake !== null;
  const workspaces = await workspaceViews(deps, snapshot);
  const volumes = snapshot.volumes.map((row) => volumeView(row, snapshot.volumes));
  const halt = await haltView(deps, permit);
  const refused = refusedTroubles(snapshot, await refusedUploads(deps.db, permit.permitId));
  const broken = await listBreaches(deps.db, permit.permitId);
  const events = await shownEvents(deps, permit.permitId);
  const accepted = events.find(({ verdict }) => verdict === "accepted") ?? null;
  const answered = await newestAnswer(deps.db, permit.permitId);
  const ending = await isExpiring(deps.db, permit.permitId);
  const told = { workspaces, volumes, halt, broken, answered, isExpiring: ending, accepted, isLive };
  return {
    ...permitView(snapshot),
    source: isLive ? "service" : "file",
    phaseTitle: deps.phases.statuses.get(permit.status ?? "")?.title ?? null,
    members: memberViews(permit),
    workspaces,
    volumes,
    job: job === null ? null : await presentJob(deps, job),
    events: events.map(eventView),
    halt,
    troubles: [
      ...troublesOf(snapshot, told).filter(({ reason }) =>
        reason !== "consolidation-refused" || refused.length === 0
      ),
      ...refused,
    ],
    observedAt: observedAt(snapshot),
  };
}

/** The newest, and what the permit is as it is for: refusals must not push the last accepted one out. */
async function shownEvents({ db }: ApiDeps, permitId: string): Promise<EventRow[]> {
  const { items } = await listEvents(db, { permitId }, { cursor: null, limit: EVENTS_SHOWN });
  if (items.some(({ verdict }) => verdict === "accepted")) return items;
  const accepted = await newestAccepted(db, permitId);
  return accepted === null ? items : [...items, accepted];
}

/** Where no workspace keeps a row: a job succeeds on an observation that differs in nothing, and waits on another. */
function observedAt({ rows, job }: Snapshot): string | null {
  if (rows.length > 0) return toInstant(Math.max(...rows.map((row) => row.observedAtMs)));
  const lookedMs = job?.state === "succeeded" ? job.endedAtMs : job?.waitingSinceMs ?? null;
  return lookedMs === null ? null : toInstant(lookedMs);
}
