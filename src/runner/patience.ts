/**
 * Waiting within an attempt: by name, with a deadline, without a slot. Every wait is a step boundary (DESIGN 6):
 * deletion and halt never queue behind one.
 */
import type { Wanted } from "../store/job_transitions.ts";
import { awaitSlot } from "./slots.ts";
import { deadlineFault, type NamedWait } from "./waits.ts";
import type { AttemptEnd, Walk } from "./walk.ts";

/** A pod that starts is told of a dozen times within a second; looks of one wait are at least this far apart. */
const LOOK_PAUSE_MS = 150;
/** Where looks take long, many do look: each rests twice as long as its last look took, so that writes get through. */
const LOOK_SHARE = 2;
/** A slow platform keeps nobody longer from seeing that a wait is over. */
const LOOK_PAUSE_MAX_MS = 1_000;

/** How an attempt ends whose job is not wanted any more. */
export function endedBy(wanted: Exclude<Wanted, "go on">): AttemptEnd {
  return { kind: wanted === "cancel-requested" ? "cancelled" : wanted };
}

/** Waits for what is named. Null: look again. A passed deadline leaves as a stalled Fault. */
export async function hold(walk: Walk, named: NamedWait[]): Promise<AttemptEnd | null> {
  await recordWaits(walk, named);
  return await pause(walk, walk.waits.intervalMs(walk.deps.rereadMs));
}

/** Opens the waits in the job's row and steps. A passed deadline leaves as a stalled Fault. */
export async function recordWaits({ deps: { ledger }, waits }: Walk, named: NamedWait[]): Promise<void> {
  await ledger.waiting(waits.open(named));
  const overdue = waits.takeOverdue();
  if (overdue === null) return;
  ledger.waited([overdue], "failed");
  throw deadlineFault(overdue);
}

/**
 * Null: go on. The next look comes with a ring, at the latest after `ms`, and no sooner than after `leastMs`: who
 * has written waits for more than the echo of it. The slot is given back meanwhile. Whether the job is still wanted is
 * asked before a slot is, and as long as it queues: a halt or deletion must not stand behind an attempt that only
 * waits to learn that it is superseded.
 */
export async function pause(
  walk: Walk,
  ms: number,
  leastMs: number = restAfter(walk.lookMs),
): Promise<AttemptEnd | null> {
  const { deps: { ledger, slots }, job, ear, held, signal } = walk;
  held.slot.release();
  const wanted = await rest(walk, ms, leastMs);
  if (signal.aborted) return { kind: "stopping" };
  if (wanted !== "go on") return endedBy(wanted);
  let last: AttemptEnd = { kind: "stopping" };
  const slot = await awaitSlot(slots, job.priority, ear, signal, async () => {
    const now = await ledger.wanted();
    if (now !== "go on") last = endedBy(now);
    return now === "go on";
  });
  if (slot === null) return last;
  held.slot = slot;
  return null;
}

function restAfter(lookMs: number): number {
  return Math.min(LOOK_PAUSE_MAX_MS, Math.max(LOOK_PAUSE_MS, LOOK_SHARE * lookMs));
}

/** Until the next ring, or `ms`, and at least `leastMs`, unless a ring tells that the job is not wanted any more. */
async function rest(
  { deps: { ledger, clock }, ear, signal }: Walk,
  ms: number,
  leastMs: number,
): Promise<Wanted> {
  const untilMs = clock.now() + Math.min(ms, leastMs);
  await ear.wait(ms, signal);
  for (;;) {
    const wanted = await ledger.wanted();
    const restMs = untilMs - clock.now();
    if (wanted !== "go on" || restMs <= 0 || signal.aborted) return wanted;
    await ear.wait(restMs, signal);
  }
}
