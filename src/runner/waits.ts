/** Named waits of one attempt and their deadlines (DESIGN 6: every wait has one). */
import type { Clock } from "../core/clock.ts";
import { Fault, type Reason } from "../core/fault.ts";
import type { Job } from "../core/job.ts";
import type { WaitLimits } from "../core/site.ts";
import type { WaitKind } from "../core/step.ts";

/** Which waits are open since when. */
export interface Waits {
  /** Opens the wait if it is new; returns since when it is open, in epoch milliseconds. */
  since(kind: WaitKind, name: string): number;
  isOver(kind: WaitKind, limits: WaitLimits, name?: string): boolean;
  /** Forgets waits that the present plan no longer has. */
  keepOnly(names: string[]): void;
  clear(): void;
  /** Since when the longest one is open. */
  earliest(): number;
  /** Until the first deadline, in milliseconds, at least 1. */
  untilDeadlineMs(limits: WaitLimits): number;
  /** How long to wait before looking again: short at first, growing to `rereadMs`. */
  intervalMs(rereadMs: number): number;
}

/** First look after a wait began; the driver's watch usually rings earlier. */
const FIRST_LOOK_MS = 250;

/** Waits of an attempt. A wait that a crash or retry interrupted goes on from where the job's row says it began. */
export function createWaits(clock: Clock, job: Job): Waits {
  const open = new Map<string, { kind: WaitKind; sinceMs: number }>();
  let inheritedMs = job.waitingSinceMs;
  let looks = 0;
  const deadline = (wait: { kind: WaitKind; sinceMs: number }, limits: WaitLimits): number =>
    wait.sinceMs + limitOf(wait.kind, limits);
  return {
    since(kind: WaitKind, name: string): number {
      const known = open.get(name);
      if (known !== undefined) return known.sinceMs;
      const sinceMs = inheritedMs ?? clock.now();
      open.set(name, { kind, sinceMs });
      return sinceMs;
    },
    isOver(kind: WaitKind, limits: WaitLimits, name?: string): boolean {
      return [...open].some(([known, wait]) =>
        wait.kind === kind && (name === undefined || known === name) && clock.now() >= deadline(wait, limits)
      );
    },
    keepOnly(names: string[]): void {
      inheritedMs = null;
      for (const name of open.keys()) if (!names.includes(name)) open.delete(name);
    },
    clear(): void {
      open.clear();
      inheritedMs = null;
      looks = 0;
    },
    earliest(): number {
      return Math.min(clock.now(), ...[...open.values()].map(({ sinceMs }) => sinceMs));
    },
    untilDeadlineMs(limits: WaitLimits): number {
      return Math.max(
        1,
        Math.min(
          Number.MAX_SAFE_INTEGER,
          ...[...open.values()].map((w) => deadline(w, limits) - clock.now()),
        ),
      );
    },
    intervalMs(rereadMs: number): number {
      return Math.min(rereadMs, FIRST_LOOK_MS * 2 ** Math.min(looks++, 16));
    },
  };
}

function limitOf(kind: WaitKind, limits: WaitLimits): number {
  switch (kind) {
    case "cut":
      return limits.cutMs;
    case "gone":
      return limits.goneMs;
    case "ready":
      return limits.readyMs;
    case "consolidated":
      return limits.consolidatedMs;
    case "volume":
      return limits.volumeMs;
    case "members":
      return limits.membersMs;
  }
}

interface Overdue {
  reason: Reason;
  advice: string;
}

const OVERDUE: Record<WaitKind, Overdue> = {
  cut: { reason: "isolation-unproven", advice: "Look for a policy or controller that undoes WPS's policy" },
  gone: { reason: "terminating", advice: "Find out what holds it (finalizers, its node) and mend that" },
  ready: { reason: "pod-not-ready", advice: "Look at the pod's events and its image and mend that" },
  consolidated: {
    reason: "consolidation-failed",
    advice: "Look at the consolidation's pod; the uploads are untouched",
  },
  volume: { reason: "volume-not-bound", advice: "Look at the claim's events and its storage class" },
  members: { reason: "members-missing", advice: "Ask the Permit Manager to name the person" },
};

/** What a passed deadline means: a person must look, the message names at what. */
export function deadlineFault(kind: WaitKind, open: string): Fault {
  const { reason, advice } = OVERDUE[kind];
  return new Fault("stalled", reason, `Waited too long: ${open}`, { advice });
}
