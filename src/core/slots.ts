/**
 * Bounds how much is done at once, the most urgent first. Cutting access has a lane of its own, so that it never queues
 * behind giving.
 */
import { URGENT_PRIORITY_MAX } from "./job.ts";

/** Which lane a slot is of. */
export type Lane = "general" | "urgent";

/** A slot that is held. Releasing twice is harmless. */
export interface Slot {
  readonly lane: Lane;
  release(): void;
}

/** The lanes and who queues for them. */
export interface Slots {
  /** Queues; {@link Ticket.slot} may be there at once, else `given` is called when it is. */
  queue(priority: number, given: () => void): Ticket;
  /** Slots held now. */
  held(): number;
}

/** A place in the queue. */
export interface Ticket {
  /** Null: not yet. */
  readonly slot: Slot | null;
  /** Leaves the queue; what was given and not taken away by {@link take} is given back. */
  leave(): void;
  /** The slot, now the caller's to release; null: not yet. */
  take(): Slot | null;
}

/** A slot, to be released, once there is one; throws the signal's reason when that aborts first. */
export async function takeSlot(slots: Slots, priority: number, signal: AbortSignal): Promise<Slot> {
  const given = Promise.withResolvers<void>();
  const ticket = slots.queue(priority, given.resolve);
  const abort = (): void => given.resolve();
  signal.addEventListener("abort", abort, { once: true });
  try {
    while (!signal.aborted) {
      const slot = ticket.take();
      if (slot !== null) return slot;
      await given.promise;
    }
    throw signal.reason;
  } finally {
    signal.removeEventListener("abort", abort);
    ticket.leave();
  }
}

interface Waiter {
  priority: number;
  give(slot: Slot): void;
}

/** `general` slots for everyone, `urgent` more for what only takes access away. */
export function createSlots(general: number, urgent: number): Slots {
  const free: Record<Lane, number> = { general, urgent };
  const waiters = new Set<Waiter>();

  function laneFor(priority: number): Lane | null {
    // The urgent lane first: whatever it takes, leaves a general slot to others.
    if (priority <= URGENT_PRIORITY_MAX && free.urgent > 0) return "urgent";
    return free.general > 0 ? "general" : null;
  }

  function hold(lane: Lane): Slot {
    free[lane]--;
    let isHeld = true;
    return {
      lane,
      release(): void {
        if (!isHeld) return;
        isHeld = false;
        free[lane]++;
        handOn();
      },
    };
  }

  function handOn(): void {
    // One at a time: who is served may release or queue at once.
    for (let next = first(); next !== null; next = first()) {
      const lane = laneFor(next.priority);
      // Who comes later in turn is less urgent, and finds no lane either.
      if (lane === null) return;
      waiters.delete(next);
      next.give(hold(lane));
    }
  }

  function first(): Waiter | null {
    let best: Waiter | null = null;
    // In the order of arrival.
    for (const waiter of waiters) if (best === null || waiter.priority < best.priority) best = waiter;
    return best;
  }

  return {
    queue(priority: number, given: () => void): Ticket {
      let slot: Slot | null = null;
      let isQueued = false;
      const waiter: Waiter = {
        priority,
        give(handed: Slot): void {
          slot = handed;
          if (isQueued) given();
        },
      };
      waiters.add(waiter);
      handOn();
      isQueued = true;
      const take = (): Slot | null => {
        const taken = slot;
        slot = null;
        return taken;
      };
      return {
        get slot() {
          return slot;
        },
        take,
        leave(): void {
          waiters.delete(waiter);
          take()?.release();
        },
      };
    },
    held: () => general + urgent - free.general - free.urgent,
  };
}
