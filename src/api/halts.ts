/** `/permits/{permitId}/halt` and `/resume`: an operator's order as an event like any other (DESIGN 6). */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { toInstant } from "../core/clock.ts";
import { type EventType, OWN_SOURCE } from "../core/event.ts";
import { appendAudit } from "../store/audit.ts";
import { HALT_REQUESTED, haltOrders, RESUME_REQUESTED } from "../store/halts.ts";
import { getPermit } from "../store/permits.ts";
import { json, problems } from "./answers.ts";
import { route } from "./auth.ts";
import type { ApiDeps, PostedEvent, RecordedEvent, Router } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { type AcceptedResponse, once } from "./idempotency.ts";
import { ProblemError } from "./problem.ts";
import { callerOf, readJson, requireService } from "./request.ts";
import { IdempotencyHeader, PermitPath } from "./schemas/common.ts";
import { EventReceipt } from "./schemas/events.ts";
import { HaltRequest, type HaltView, ResumeRequest } from "./schemas/halts.ts";

/** A reason of 500 characters of 4 bytes each as JSON writes them, with what surrounds it. */
const BODY_MAX = 8192;
/** 64 random bits: no two orders of a site share an id. */
const EVENT_ID_BYTES = 8;

const haltRoute = route("permit:halt", {
  method: "post",
  path: "/permits/{permitId}/halt",
  tags: ["permits"],
  summary: "Cut a permit's network and stop its workspaces, ahead of all other work",
  description:
    "Records the event permit.halted. Repeating it cuts and stops whatever is not cut and stopped.",
  request: { params: PermitPath, headers: IdempotencyHeader, body: bodyOf("HaltRequest") },
  responses: { 202: json(EventReceipt, "Recorded; its job cuts first and then stops"), ...problems },
});

const resumeRoute = route("permit:halt", {
  method: "post",
  path: "/permits/{permitId}/resume",
  tags: ["permits"],
  summary: "End a halt: the permit becomes what its events say by now",
  description: "Records the event permit.resumed. 409 `state-conflict` for a permit that is not halted.",
  request: { params: PermitPath, headers: IdempotencyHeader, body: bodyOf("ResumeRequest") },
  responses: { 202: json(EventReceipt, "Recorded; its job gives back"), ...problems },
});

/** Not a zod schema: the body is read here, bounded, and its bytes decide about a repetition. */
function bodyOf(name: "HaltRequest" | "ResumeRequest"): {
  required: false;
  content: { "application/json": { schema: { $ref: string } } };
} {
  return {
    required: false,
    content: { "application/json": { schema: { $ref: `#/components/schemas/${name}` } } },
  };
}

/** The routes of halting. */
export function haltsRouter(deps: ApiDeps): Router {
  const app = new OpenAPIHono<ApiEnv>();
  app.openAPIRegistry.register("HaltRequest", HaltRequest);
  app.openAPIRegistry.register("ResumeRequest", ResumeRequest);
  app.openapi(haltRoute, async (c) => {
    const { permitId } = c.req.valid("param");
    const { bytes, body } = await readJson(c, HaltRequest, BODY_MAX);
    const order: Order = { permitId, type: "permit.halted", reason: body.reason ?? null };
    return await carryOut(deps, c, bytes, order, () => mayHalt(deps, permitId, body.force === true));
  });
  app.openapi(resumeRoute, async (c) => {
    const { permitId } = c.req.valid("param");
    const { bytes, body } = await readJson(c, ResumeRequest, BODY_MAX);
    const order: Order = { permitId, type: "permit.resumed", reason: body.reason ?? null };
    return await carryOut(deps, c, bytes, order, () => mayResume(deps, permitId));
  });
  return app;
}

/** What is told of the halt that stands; null: the permit is not halted. */
export async function haltView(
  { db }: Pick<ApiDeps, "db">,
  { permitId, halted }: { permitId: string; halted: boolean },
): Promise<HaltView | null> {
  if (!halted) return null;
  const orders = await haltOrders(db, permitId);
  const [first] = orders;
  if (first === undefined) return null;
  return {
    since: toInstant(first.atMs),
    orders: orders.map(({ atMs, actor, reason, breached, eventSeq }) => ({
      at: toInstant(atMs),
      by: actor,
      reason,
      breached,
      eventSeq,
    })),
  };
}

interface Order {
  permitId: string;
  type: Extract<EventType, "permit.halted" | "permit.resumed">;
  reason: string | null;
}

/** Records the event; order, audit row and stored answer commit together. `check` throws where it makes no sense. */
async function carryOut(
  deps: ApiDeps,
  c: Context<ApiEnv>,
  bytes: Uint8Array,
  order: Order,
  check: () => Promise<void>,
): Promise<AcceptedResponse<EventReceipt>> {
  const accept = requireService(deps.accept);
  return await once<EventReceipt>(deps, c, bytes, async (settle) => {
    await check();
    const recorded = await accept(eventOf(deps, c, order), async (tx, recorded) => {
      const receipt = receiptOf(order, recorded);
      await appendAudit(tx, [{
        atMs: deps.clock.now(),
        permitId: order.permitId,
        eventSeq: recorded.seq,
        jobId: recorded.jobId,
        actor: callerOf(c).actor,
        action: order.type === "permit.halted" ? HALT_REQUESTED : RESUME_REQUESTED,
        target: order.permitId,
        outcome: "done",
        reason: order.reason,
        requestId: c.get("requestId"),
      }]);
      await settle(tx, { receipt });
    });
    return { receipt: receiptOf(order, recorded) };
  });
}

/** Without a time: the order of the Permit Manager's own events must not depend on this service's clock. */
function eventOf({ random }: ApiDeps, c: Context<ApiEnv>, { permitId, type }: Order): PostedEvent {
  const id = `${type === "permit.halted" ? "halt" : "resume"}-${random.bytes(EVENT_ID_BYTES).toHex()}`;
  return {
    body: new TextEncoder().encode(JSON.stringify({ id, source: OWN_SOURCE, type, permitId, data: {} })),
    contentType: "application/json",
    contentEncoding: null,
    headers: {},
    channel: (c.env?.transport ?? "tcp") === "tcp" ? "http" : "cli",
    actor: callerOf(c).actor,
    requestId: c.get("requestId"),
  };
}

/** Anything but `accepted` came by a deletion that ended meanwhile, or by an id that no event may have. */
function receiptOf({ permitId, type }: Order, recorded: RecordedEvent): EventReceipt {
  const { verdict, seq, source, id, reasons, jobId } = recorded;
  if (verdict === "accepted") {
    const none = { unknownFields: [], unknownFieldCount: 0 };
    return { verdict, seq, source, id, permitId, reason: null, ...none, jobId };
  }
  const word = type === "permit.halted" ? "halt" : "resume";
  const why = reasons[0]?.message ?? `its event is ${verdict}`;
  throw new ProblemError(
    verdict === "rejected" ? "unprocessable" : "state-conflict",
    `Cannot ${word} ${permitId}: ${why}`,
    { verdict, reason: verdict === "rejected" ? "invalid" : "conflict" },
  );
}

/** An id that was mistyped must not look as if its permit were halted. */
async function mayHalt({ db }: ApiDeps, permitId: string, isForced: boolean): Promise<void> {
  const permit = await getPermit(db, permitId);
  if (permit === null && !isForced) {
    throw new ProblemError(
      "not-found",
      `Cannot halt ${JSON.stringify(permitId)}: no event has named this permit, so nothing of it is running`,
      {
        reason: "not-found",
        advice: "wps permits lists those there are; to hold one before its first event run wps halt --force",
      },
    );
  }
  if (permit?.deletion === "done") refuse(`Cannot halt ${permitId}: it is deleted, nothing of it is left`);
}

async function mayResume({ db }: ApiDeps, permitId: string): Promise<void> {
  const permit = await getPermit(db, permitId);
  if (permit === null) {
    throw new ProblemError("not-found", `Cannot resume ${JSON.stringify(permitId)}: no event has named it`, {
      reason: "not-found",
      advice: "wps permits --halted lists those that are halted",
    });
  }
  if (permit.deletion === "done") refuse(`Cannot resume ${permitId}: it is deleted, nothing of it is left`);
  if (!permit.halted) refuse(`Cannot resume ${permitId}: it is not halted`);
}

function refuse(detail: string): never {
  throw new ProblemError("state-conflict", detail, { reason: "conflict" });
}
