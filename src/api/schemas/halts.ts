/** A halt: the order, and what is told of it. */
import { z } from "@hono/zod-openapi";
import { Instant } from "./common.ts";

/** Characters of a reason, as audit rows keep it. */
export const REASON_MAX = 500;

const Reason = z.string().trim().min(1).max(REASON_MAX)
  .openapi({ description: "Why, for the audit and whoever looks at the permit" });

/** The body of `POST /permits/{permitId}/halt`; none is as good as `{}`. */
export const HaltRequest = z.strictObject({
  reason: Reason.optional(),
  force: z.boolean().optional().openapi({ description: "Also a permit that no event has named" }),
}).openapi("HaltRequest");

/** The body of `POST /permits/{permitId}/resume`; none is as good as `{}`. */
export const ResumeRequest = z.strictObject({ reason: Reason.optional() }).openapi("ResumeRequest");

/** One order to halt. */
const HaltOrderView = z.object({
  at: Instant,
  /** `service`: WPS itself. */
  by: z.object({ kind: z.enum(["event", "api", "operator", "service"]), id: z.string() }),
  reason: z.string().nullable(),
  /** The workspace or consolidation in which WPS itself found a way out; null: somebody ordered the halt. */
  breached: z.string().nullable(),
  /** Its event. */
  eventSeq: z.number().int(),
}).openapi("HaltOrder");

/** The halt that stands. */
export const HaltView = z.object({
  since: Instant,
  /** Oldest first: the first began it. */
  orders: z.array(HaltOrderView),
}).openapi("Halt");
/** See {@link HaltView}. */
export type HaltView = z.infer<typeof HaltView>;
