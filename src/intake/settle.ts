/** What follows a commit for the broker's messages: dead letters first, then acknowledgements (DESIGN 3). */
import { toInstant } from "../core/clock.ts";
import { Fault } from "../core/fault.ts";
import type { BrokerMessage, Session } from "./broker.ts";
import type { AckNotes } from "./acks.ts";
import type { Outcome } from "./group.ts";
import { keptBody } from "./kept_body.ts";

/** A message and what became of it. */
export interface Settled {
  message: BrokerMessage;
  outcome: Outcome;
}

/**
 * Settles a group on the session that delivered it. A rejected message is acknowledged only once its dead letter is
 * stored; one that could not be recorded goes back to the queue, whose delivery limit ends a loop. Rejects when a
 * dead letter could not be stored: that message and none other stays unacknowledged, the session is to be given up.
 */
export async function settleGroup(
  session: Session,
  group: readonly Settled[],
  acks: AckNotes,
  nowMs: number,
): Promise<void> {
  const failed = new Map<number, unknown>();
  await Promise.all(group.map(async ({ message, outcome }) => {
    if (!("receipt" in outcome) || outcome.receipt.verdict !== "rejected") return;
    const { seq, reasons } = outcome.receipt;
    try {
      const letter = { ...message, body: keptBody(message.body, reasons) };
      await session.deadLetter({ message: letter, seq, reasons, rejectedAt: toInstant(nowMs) });
    } catch (thrown) {
      failed.set(message.tag, thrown);
    }
  }));
  for (const { message, outcome } of group) if ("fault" in outcome) session.giveBack(message.tag);
  const recorded = group.filter(({ message, outcome }) => "receipt" in outcome && !failed.has(message.tag));
  const last = recorded.at(-1);
  // One frame for all, where nothing in between is left open. Groups are settled in order, so nothing earlier is.
  if (failed.size === 0 && last !== undefined) session.ack(last.message.tag, true);
  else for (const { message } of recorded) session.ack(message.tag, false);
  acks.sent(recorded.map(({ outcome }) => outcome));
  for (const [tag, thrown] of failed) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Fault("retry", "unavailable", `Cannot store the dead letter of delivery ${tag}: ${why}`, {
      advice: "The message stays in the queue; WPS declares the dead letter queue anew and tries again",
      cause: thrown,
    });
  }
}
