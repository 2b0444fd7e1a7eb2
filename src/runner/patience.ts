/**
 * Waiting within an attempt: by name, with a deadline, without a slot. Every wait is a step boundary (DESIGN 6):
 * deletion and halt never queue behind one.
 */
import { unmet } from "../core/condition.ts";
import { Fault } from "../core/fault.ts";
import { URGENT_PRIORITY_MAX } from "../core/job.ts";
import type { Observed } from "../core/observed.ts";
import type { AwaitStep } from "../core/step.ts";
import type { Wanted } from "../store/job_transitions.ts";
import { CLAIM_LOOP } from "./bell.ts";
import type { Slot } from "./slots.ts";
import type { AttemptEnd, Walk } from "./walk.ts";
import { deadlineFault } from "./waits.ts";

/** Longer lists of waits are cut in the job's row; the plan names them all. */
const WAITING_TEXT_MAX = 1_000;
/** A pod that starts is told of a dozen times within a second; looks of one wait are at least this far apart. */
const LOOK_PAUSE_MS = 150;
/** No observation names a person, only an event does, and that rings: looking is for what else may have changed. */
const MEMBERS_LOOK_MS = 5 * 60_000;

/** The attempt's end for a job that is no longer wanted. */
export function endedBy(wanted: Exclude<Wanted, "go on">): AttemptEnd {
  return { kind: wanted === "cancel-requested" ? "cancelled" : wanted };
}

/** Waits for what the await steps name. Null: look again. Throws a stalled Fault when a deadline has passed. */
export async function awaitNamed(
  walk: Walk,
  steps: AwaitStep[],
  observed: Observed,
): Promise<AttemptEnd | null> {
  const { deps: { ledger, site, rereadMs }, waits } = walk;
  const open = steps.map((step) => ({
    step,
    texts: step.after.flatMap((condition) => unmet(condition, observed)),
  })).filter(({ texts }) => texts.length > 0);
  waits.keepOnly(open.map(({ step }) => step.id));
  for (const { step, texts } of open) {
    waits.since(step.wait, step.id);
    if (waits.isOver(step.wait, site.waits, step.id)) throw deadlineFault(step.wait, texts.join("; "));
  }
  const text = open.flatMap(({ texts }) => texts).join("; ").slice(0, WAITING_TEXT_MAX);
  if (text !== "") await ledger.waiting(text, waits.earliest());
  const isForMembers = open.length > 0 && open.every(({ step }) => step.wait === "members");
  const intervalMs = isForMembers ? MEMBERS_LOOK_MS : waits.intervalMs(rereadMs);
  return await pause(walk, Math.min(intervalMs, waits.untilDeadlineMs(site.waits)));
}

/** Waits because the platform said "not yet". Null: try again. Throws what it said, stalled, once that is overdue. */
export async function awaitFault(walk: Walk, fault: Fault): Promise<AttemptEnd | null> {
  const { deps: { ledger, site, rereadMs }, waits } = walk;
  const sinceMs = waits.since("volume", fault.message);
  waits.keepOnly([fault.message]);
  if (waits.isOver("volume", site.waits, fault.message)) {
    throw new Fault("stalled", fault.reason, fault.message, {
      advice: fault.advice ?? "Look at what it names",
      target: fault.target ?? undefined,
      cause: fault,
    });
  }
  await ledger.waiting(fault.message.slice(0, WAITING_TEXT_MAX), sinceMs);
  const intervalMs = fault.retryAfterMs ?? waits.intervalMs(rereadMs);
  const end = await pause(walk, Math.min(intervalMs, waits.untilDeadlineMs(site.waits)));
  walk.tally.lastStretch = "";
  return end;
}

/** Gives the slot back until a ring or `ms` have passed, at least {@link LOOK_PAUSE_MS}. Null: a slot is held again. */
export async function pause(walk: Walk, ms: number): Promise<AttemptEnd | null> {
  const { deps: { clock, bell, ledger }, job, signal } = walk;
  const restUntilMs = clock.now() + LOOK_PAUSE_MS;
  walk.slot.release();
  bell.ring(CLAIM_LOOP);
  await bell.wait(job.permitId, ms, signal);
  for (;;) {
    if (signal.aborted) return { kind: "stopping" };
    const wanted = await ledger.wanted();
    if (wanted !== "go on") return endedBy(wanted);
    const restMs = restUntilMs - clock.now();
    if (restMs <= 0) break;
    await clock.sleep(restMs, signal);
  }
  const slot = await acquire(walk);
  if ("kind" in slot) return slot;
  walk.slot = slot;
  return null;
}

/**
 * A slot, or the attempt's end when the job stops being wanted while it queues: one job per permit, so a halt could
 * not be claimed before this attempt has learned of it.
 */
async function acquire(
  { deps: { bell, slots, ledger, rereadMs }, job, signal }: Walk,
): Promise<Slot | AttemptEnd> {
  const leaving = new AbortController();
  const either = AbortSignal.any([signal, leaving.signal]);
  const queued = slots.acquire(job.priority <= URGENT_PRIORITY_MAX, either).then((slot) => {
    leaving.abort();
    return slot;
  });
  for (;;) {
    await bell.wait(job.permitId, rereadMs, either);
    if (either.aborted) return await queued ?? { kind: "stopping" };
    const wanted = await ledger.wanted();
    if (wanted === "go on") continue;
    leaving.abort();
    (await queued)?.release();
    return endedBy(wanted);
  }
}
