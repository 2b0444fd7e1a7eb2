/**
 * Queueing for one of the slots that bound how many permits are worked on at once, whether they come anew or back from
 * a wait: an attempt gives its slot back while it waits.
 */
import type { Slot, Slots } from "../core/slots.ts";
import type { Ear } from "./bell.ts";

/** Without a ring, whoever queues asks this often whether it is still wanted. */
const ASK_MS = 15_000;

/**
 * Queues until a slot is there. Null: `signal` aborted, or `isWanted`, asked whenever `ear` rings, said no: a halt must
 * not queue behind an attempt of the same permit that only queues itself. The place in the queue is kept meanwhile.
 */
export async function awaitSlot(
  slots: Slots,
  priority: number,
  ear: Ear,
  signal: AbortSignal,
  isWanted: () => Promise<boolean>,
): Promise<Slot | null> {
  const ticket = slots.queue(priority, () => ear.ring());
  try {
    while (!signal.aborted) {
      if (ticket.slot !== null) return ticket.take();
      await ear.wait(ASK_MS, signal);
      if (ticket.slot === null && !await isWanted()) return null;
    }
    return null;
  } finally {
    ticket.leave();
  }
}
