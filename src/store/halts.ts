/** Who halted a permit, when and why, as the audit has it: rows that are never deleted, unlike events. */
import { z } from "zod";
import type { Actor } from "../core/audit.ts";
import type { Reader } from "./db.ts";

/** The action of an operator's halt; its row has the reason, in the transaction of the event. */
export const HALT_REQUESTED = "halt.requested";
/** The same for the end of a halt. */
export const RESUME_REQUESTED = "resume.requested";
/** The action of WPS's own halt; its row has what was found, and in which workspace. */
export const ISOLATION_BREACHED = "isolation.breached";

/** One order to halt. */
export interface HaltOrder {
  atMs: number;
  eventSeq: number;
  actor: Actor;
  /** Null: none was given, e.g. by the Permit Manager's event. */
  reason: string | null;
  /** The workspace or consolidation in which WPS itself found a way out; null: somebody else ordered the halt. */
  breached: string | null;
}

/** Orders told of one halt. */
const ORDERS_MAX = 10;

const orderRow = z.object({
  atMs: z.number(),
  eventSeq: z.number(),
  kind: z.enum(["event", "api", "operator", "service"]),
  id: z.string(),
  action: z.string().nullable(),
  target: z.string().nullable(),
  reason: z.string().nullable(),
}).transform(({ kind, id, action, target, ...rest }): HaltOrder => ({
  ...rest,
  actor: { kind, id },
  breached: action === ISOLATION_BREACHED ? target : null,
}));

/** The orders to halt since the permit was last resumed, the first of which began the halt; oldest first, at most ten. */
export function haltOrders(reader: Reader, permitId: string): Promise<HaltOrder[]> {
  return reader.read(
    `select event.at_ms as atMs, event.event_seq as eventSeq, event.actor_kind as kind, event.actor_id as id,
       why.action as action, why.target as target, why.reason as reason
     from audit as event left join audit as why
       on why.permit_id = event.permit_id and why.event_seq = event.event_seq and why.action in (?2, ?3)
     where event.permit_id = ?1 and event.action = 'event.accepted' and event.target = 'permit.halted'
       and event.seq > coalesce((select max(seq) from audit
         where permit_id = ?1 and action = 'event.accepted' and target = 'permit.resumed'), 0)
     order by event.seq limit ?4`,
    [permitId, HALT_REQUESTED, ISOLATION_BREACHED, ORDERS_MAX],
    orderRow,
  );
}
