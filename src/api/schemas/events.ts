/** The Permit Manager's events as recorded, and the receipt of a new one. */
import { z } from "@hono/zod-openapi";
import { VERDICTS } from "../../core/event.ts";
import { PEOPLE_FIELDS } from "../../core/update_summary.ts";
import { FilterText, Instant, numberedPageQuery, page, querySchema, wholeNumber } from "./common.ts";
import { FieldProblem } from "./problem.ts";

/** DESIGN 3. */
export const VerdictWord = z.enum(VERDICTS).openapi("Verdict");

/** What WPS does not know of an event, and passed over. */
const unknownFields = {
  /** By path, at most 20; extension attributes of a CloudEvent are none. */
  unknownFields: z.array(z.string()),
  /** How many there are. */
  unknownFieldCount: z.number().int(),
};

/** What an event says of the permit; the verdict tells whether it counts. */
const UpdateView = z.object({
  status: z.string().optional(),
  /** Only where they differ from what the permit had when the event came. */
  tier: z.string().optional(),
  /** Null: no end date any more. */
  expiresAt: z.string().nullable().optional(),
  people: z.array(z.enum(PEOPLE_FIELDS)),
}).openapi("EventUpdate");

/** One recorded event without its body. */
export const EventView = z.object({
  /** Order of arrival; names the event in this API. */
  seq: z.number().int(),
  source: z.string().nullable(),
  id: z.string().nullable(),
  type: z.string().nullable(),
  permitId: z.string().nullable(),
  time: z.string().nullable(),
  revision: z.number().int().nullable(),
  verdict: VerdictWord,
  /** Why, where the verdict is not `accepted`; `rejected`: one per field. */
  reasons: z.array(FieldProblem),
  ...unknownFields,
  /** Null: it says nothing of a field, or was recorded by a version that did not note it. */
  update: UpdateView.nullable(),
  channel: z.enum(["amqp", "http", "cli", "wps"]),
  receivedAt: Instant,
}).openapi("Event");
/** See {@link EventView}. */
export type EventView = z.infer<typeof EventView>;

/** `GET /events/{seq}`: with the body as it arrived. */
export const EventDetail = EventView.extend({
  /** As text; of an oversized one its beginning; null: not UTF-8. */
  body: z.string().nullable(),
  /** Its length as received. */
  bodyBytes: z.number().int(),
}).openapi("EventDetail");
/** See {@link EventDetail}. */
export type EventDetail = z.infer<typeof EventDetail>;

/** The path of one event. */
export const EventPath = z.object({ seq: wholeNumber(1) });

/** Filters of `GET /events`; newest first. */
export const EventQuery = querySchema({
  ...numberedPageQuery,
  permitId: FilterText.optional(),
  verdict: VerdictWord.optional(),
  type: FilterText.optional(),
});

/** `GET /events`. */
export const EventPage = page(EventView).openapi("EventPage");
/** See {@link EventPage}. */
export type EventPage = z.infer<typeof EventPage>;

/** `POST /events`, 202: recorded. Conflict (409) and rejected (422) answer as problems instead. */
export const EventReceipt = z.object({
  verdict: z.enum(["accepted", "duplicate", "stale", "ignored"]),
  seq: z.number().int(),
  source: z.string().nullable(),
  id: z.string().nullable(),
  permitId: z.string().nullable(),
  /** Why, where the verdict is not `accepted`. */
  reason: z.string().nullable(),
  ...unknownFields,
  /** The job that follows from it. */
  jobId: z.number().int().nullable(),
}).openapi("EventReceipt");
/** See {@link EventReceipt}. */
export type EventReceipt = z.infer<typeof EventReceipt>;
