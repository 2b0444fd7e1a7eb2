/** `/events`: taking the Permit Manager's events in, and reading what was recorded. */
import { OpenAPIHono } from "@hono/zod-openapi";
import { withoutPrivateKeys } from "../core/private_key.ts";
import { getEvent, getEventBody, listEvents } from "../store/events.ts";
import { json, problems } from "./answers.ts";
import { route } from "./auth.ts";
import type { ApiDeps, RecordedEvent, Router } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { eventView } from "./event_view.ts";
import { type Answer, once } from "./idempotency.ts";
import { ProblemError } from "./problem.ts";
import { callerOf, readBody, requireService } from "./request.ts";
import { IdempotencyHeader } from "./schemas/common.ts";
import { EventDetail, EventPage, EventPath, EventQuery, EventReceipt } from "./schemas/events.ts";

/** What the intake takes; one byte more is read, so that it can record that the body was longer. */
const EVENT_BYTES_MAX = 1024 * 1024;
/** Content types of the canonical form, CloudEvents structured, and CloudEvents binary (HTTP binding 3.1, 3.2). */
const CONTENT_TYPES = ["application/json", "application/cloudevents+json"];

const postRoute = route("events:write", {
  method: "post",
  path: "/events",
  tags: ["events"],
  summary: "Send an event",
  description:
    "The canonical form, or CloudEvents 1.0 structured or binary (headers ce-id, ce-source, ce-type …).",
  request: {
    headers: IdempotencyHeader,
    body: {
      required: true,
      description: "At most 1 MiB",
      content: {
        "application/json": { schema: { type: "object" } },
        "application/cloudevents+json": { schema: { type: "object" } },
      },
    },
  },
  responses: { 202: json(EventReceipt, "Recorded"), ...problems },
});

const listRoute = route("events:read", {
  method: "get",
  path: "/events",
  tags: ["events"],
  summary: "Events, newest first",
  request: { query: EventQuery },
  responses: { 200: json(EventPage, "A page"), ...problems },
});

const showRoute = route("events:read", {
  method: "get",
  path: "/events/{seq}",
  tags: ["events"],
  summary: "One event with its body",
  request: { params: EventPath },
  responses: { 200: json(EventDetail, "The event"), ...problems },
});

/** The routes of `/events`. */
export function eventsRouter(deps: ApiDeps): Router {
  const app = new OpenAPIHono<ApiEnv>();
  app.openapi(postRoute, async (c) => {
    const accept = requireService(deps.accept);
    const contentType = c.req.header("Content-Type") ?? null;
    const media = contentType?.split(";")[0]?.trim().toLowerCase();
    if (!CONTENT_TYPES.some((known) => known === media)) {
      throw new ProblemError(
        "unsupported-media-type",
        `Cannot read the event: its content type is ${media ?? "missing"}`,
        {
          advice: `Send ${CONTENT_TYPES.join(" or ")}`,
        },
      );
    }
    const { bytes, isCut } = await readBody(c.req.raw, EVENT_BYTES_MAX, c.get("signal"));
    return await once<EventReceipt>(deps, c, bytes, async (settle) =>
      answerOf(
        isCut,
        await accept({
          body: bytes,
          contentType,
          contentEncoding: c.req.header("Content-Encoding") ?? null,
          headers: cloudEventHeaders(c.req.header()),
          channel: (c.env?.transport ?? "tcp") === "tcp" ? "http" : "cli",
          actor: callerOf(c).actor,
          requestId: c.get("requestId"),
        }, (tx, recorded) => settle(tx, answerOf(isCut, recorded))),
      ));
  });
  app.openapi(listRoute, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid("query");
    const events = await listEvents(deps.db, filter, { cursor: cursor ?? null, limit });
    return c.json({ items: events.items.map(eventView), nextCursor: events.next }, 200);
  });
  app.openapi(showRoute, async (c) => {
    const { seq } = c.req.valid("param");
    const row = await getEvent(deps.db, seq);
    if (row === null) {
      throw new ProblemError("not-found", `Cannot find event ${seq}`, { reason: "not-found" });
    }
    const body = textOf(await getEventBody(deps.db, seq));
    return c.json({ ...eventView(row), body, bodyBytes: row.bodyBytes }, 200);
  });
  return app;
}

/** CloudEvents' attributes of the binary form; no other header is the intake's business, credentials least of all. */
function cloudEventHeaders(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("ce-")));
}

/** Null for what is no text. Without private keys: a release before this one kept them. */
function textOf(body: Uint8Array | null): string | null {
  try {
    if (body === null) return null;
    return withoutPrivateKeys(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    return null;
  }
}

/** 202 with the verdict; a conflict and a rejection are recorded as well, and answer as problems. */
function answerOf(isCut: boolean, recorded: RecordedEvent): Answer<EventReceipt> {
  const { verdict, seq, source, id, permitId, reasons, unknownFields, jobId } = recorded;
  const reason = reasons[0]?.message ?? null;
  switch (verdict) {
    case "conflict":
      return {
        problem: new ProblemError(
          "event-conflict",
          `Cannot accept the event: ${reason ?? "it contradicts an earlier one"}`,
          {
            verdict,
            seq,
            advice: "Give a changed event a new id and a higher revision",
          },
        ),
      };
    case "rejected":
      return {
        problem: new ProblemError(
          isCut ? "body-too-large" : "event-rejected",
          `Cannot accept the event: ${
            isCut ? `it is longer than ${EVENT_BYTES_MAX} bytes` : "it is not as it should be"
          }`,
          { verdict, seq, errors: reasons },
        ),
      };
    default:
      return {
        receipt: {
          verdict,
          seq,
          source,
          id,
          permitId,
          reason,
          unknownFields: unknownFields.paths,
          unknownFieldCount: unknownFields.count,
          jobId,
        },
      };
  }
}
