/**
 * Bounds how many permits are worked on at once. Cutting access may also use the urgent lane, so that it never
 * queues behind giving. An attempt gives its slot back while it waits.
 */

/** Which lane a slot is of. */
export type Lane = "general" | "urgent";

/** A slot that is held. Releasing twice is harmless. */
export interface Slot {
  readonly lane: Lane;
  release(): void;
}

/** The lanes and who waits for them. */
export interface Slots {
  /** A free slot that may be used now, or null. */
  take(urgent: boolean): Slot | null;
  /** Resolves with a slot when one is free, urgent ones first; null when `signal` aborts first. */
  acquire(urgent: boolean, signal: AbortSignal): Promise<Slot | null>;
  /** Slots held now. */
  held(): number;
}

interface Waiter {
  urgent: boolean;
  give(slot: Slot | null): void;
}

/** `general` slots for everyone, `urgent` more for what only takes access away. */
export function createSlots(general: number, urgent: number): Slots {
  const free: Record<Lane, number> = { general, urgent };
  const waiters: Waiter[] = [];

  function take(isUrgent: boolean): Slot | null {
    const lane: Lane | null = free.general > 0 ? "general" : isUrgent && free.urgent > 0 ? "urgent" : null;
    if (lane === null) return null;
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
    const order = [...waiters.filter((w) => w.urgent), ...waiters.filter((w) => !w.urgent)];
    for (const waiter of order) {
      const slot = take(waiter.urgent);
      if (slot === null) continue;
      waiters.splice(waiters.indexOf(waiter), 1);
      waiter.give(slot);
    }
  }

  return {
    take,
    acquire(isUrgent: boolean, signal: AbortSignal): Promise<Slot | null> {
      const slot = signal.aborted ? null : take(isUrgent);
      if (slot !== null || signal.aborted) return Promise.resolve(slot);
      return new Promise((resolve) => {
        const waiter: Waiter = {
          urgent: isUrgent,
          give(given: Slot | null): void {
            signal.removeEventListener("abort", leave);
            resolve(given);
          },
        };
        const leave = (): void => {
          const index = waiters.indexOf(waiter);
          if (index >= 0) waiters.splice(index, 1);
          resolve(null);
        };
        signal.addEventListener("abort", leave, { once: true });
        waiters.push(waiter);
      });
    },
    held: () => general + urgent - free.general - free.urgent,
  };
}
