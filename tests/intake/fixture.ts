/** An intake over a real store, and deliveries for it. */
import { MACHINE_CLOCK } from "../../src/machine.ts";
import type { AcceptRules } from "../../src/intake/accept.ts";
import type { Delivery, Receipt } from "../../src/intake/delivery.ts";
import type { Outcome } from "../../src/intake/group.ts";
import { type Db } from "../../src/store/db.ts";
import { type EventRow, listEvents } from "../../src/store/events.ts";
import { builtInPhases } from "../core/plan_fixture.ts";
import { rawMessage } from "./messages.ts";

/** Built-in phases, one tier, a hundred uids. */
export const RULES: AcceptRules = {
  phases: await builtInPhases(),
  tiers: new Set(["standard"]),
  uidRange: [30_000, 30_099],
};

/** A delivery of the broker with a JSON body. */
export function delivery(body: unknown, given: Partial<Delivery> = {}): Delivery {
  return {
    raw: rawMessage(body, { routingKey: "permit.status.updated" }),
    channel: "amqp",
    redelivered: false,
    recordedBefore: 0,
    actor: null,
    requestId: null,
    within: null,
    ...given,
  };
}

/** The blueprint's minimal form, with an id where given. */
export function minimal(permitId: string, status: string, id?: string): Record<string, unknown> {
  return { permitId, status, ...(id === undefined ? {} : { id }) };
}

/** The receipt, or the fault thrown. */
export function receiptOf(outcome: Outcome | undefined): Receipt {
  if (outcome === undefined) throw new Error("no outcome");
  if ("fault" in outcome) throw outcome.fault;
  return outcome.receipt;
}

/** All recorded events, oldest first. */
export async function allEvents(db: Db): Promise<EventRow[]> {
  const events: EventRow[] = [];
  for (let cursor: string | null = null;;) {
    const page = await listEvents(db, {}, { cursor, limit: 500 });
    events.push(...page.items);
    if (page.next === null) return events.reverse();
    cursor = page.next;
  }
}

/** The machine's clock, which is all that these tests need. */
export const CLOCK = MACHINE_CLOCK;
