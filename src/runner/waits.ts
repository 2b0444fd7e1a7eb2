/** Named waits of one attempt and their deadlines (DESIGN 6: every wait has one). */
import type { Clock } from "../core/clock.ts";
import { Fault, type Reason } from "../core/fault.ts";
import type { WaitLimits } from "../core/site.ts";
import type { WaitKind } from "../core/step.ts";

/** Something that is waited for. */
export interface NamedWait {
  kind: WaitKind;
  /** In WPS's words, as a step's target. */
  target: string;
  why: string;
  /** What is in the way, in the platform's words. */
  text: string;
  /** What the platform said, where it put something off or a person must act. */
  fault?: Fault;
  /** What to do once it was given up, where the fault's advice is for the time before. */
  remedy?: string;
}

/** A wait since its beginning; its row in steps once it is recorded. */
export interface OpenWait extends NamedWait {
  sinceMs: number;
  recordId: number | null;
}

/** Which waits are open since when. */
export interface Waits {
  /** Opens what is new and takes over the newest text of the others; returns these waits. */
  open(waits: NamedWait[]): OpenWait[];
  /** Ends waits that the present plan no longer has, by {@link waitId}; returns them. */
  keepOnly(ids: ReadonlySet<string>): OpenWait[];
  /** One of those last opened whose deadline has passed, taken off the list; null: none. */
  takeOverdue(): OpenWait | null;
  /**
   * How long to wait for those last opened before looking again, in milliseconds: short at first, growing, and never
   * past a deadline.
   */
  intervalMs(rereadMs: number): number;
}

/** First look after a wait began; the driver's watch usually rings earlier. */
const FIRST_LOOK_MS = 250;
/** A missing person comes by an event, which rings: meanwhile the platform is looked at as seldom as by a drift pass. */
const MEMBERS_LOOK_MS = 600_000;

/** The id of a wait's step, as in a plan: "await-ready research/j.virtanen". */
export function waitId({ kind, target }: Pick<NamedWait, "kind" | "target">): string {
  return `await-${kind} ${target}`;
}

/**
 * The waits of an attempt. `carried`: by id, since when a wait is open that a crash or another fault interrupted; its
 * deadline goes on counting. One that was given up at its deadline is not carried: the next attempt waits anew.
 */
export function createWaits(clock: Clock, limits: WaitLimits, carried: ReadonlyMap<string, number>): Waits {
  const open = new Map<string, OpenWait>();
  const inherited = new Map(carried);
  let looks = 0;
  const deadline = (wait: OpenWait): number => wait.sinceMs + limitOf(wait.kind, limits);
  // What the plan waits for only later keeps its beginning and is not judged meanwhile.
  let present: OpenWait[] = [];
  return {
    open(waits: NamedWait[]): OpenWait[] {
      present = waits.map((wait) => {
        const id = waitId(wait);
        const known = open.get(id);
        if (known === undefined) looks = 0;
        const sinceMs = known?.sinceMs ?? inherited.get(id) ?? clock.now();
        const opened = { ...wait, sinceMs, recordId: known?.recordId ?? null };
        open.set(id, opened);
        return opened;
      });
      return present;
    },
    keepOnly(ids: ReadonlySet<string>): OpenWait[] {
      for (const id of inherited.keys()) if (!ids.has(id)) inherited.delete(id);
      const over = [...open].filter(([id]) => !ids.has(id));
      for (const [id] of over) open.delete(id);
      return over.map(([, wait]) => wait);
    },
    takeOverdue(): OpenWait | null {
      const found = present.find((wait) => clock.now() >= deadline(wait));
      if (found === undefined) return null;
      present = present.filter((wait) => wait !== found);
      open.delete(waitId(found));
      inherited.delete(waitId(found));
      return found;
    },
    intervalMs(rereadMs: number): number {
      const onlyPeople = present.length > 0 && present.every(({ kind }) => kind === "members");
      const longest = onlyPeople ? Math.max(rereadMs, MEMBERS_LOOK_MS) : rereadMs;
      const soonest = Math.min(...present.map((wait) => deadline(wait) - clock.now()));
      return Math.max(1, Math.min(longest, FIRST_LOOK_MS * 2 ** Math.min(looks++, 16), soonest));
    },
  };
}

/** The wait that a fault of disposition `wait` asks for; what it names is what is waited for. */
export function waitOf(fault: Fault, target: string): NamedWait {
  const kind = KIND_OF[fault.reason] ?? "ready";
  return { kind, target, why: "the platform says not yet", text: fault.message, fault };
}

const KIND_OF: Partial<Record<Reason, WaitKind>> = {
  "terminating": "gone",
  "volume-not-bound": "volume",
  "members-missing": "members",
  "canaries-silent": "canaries",
};

function limitOf(kind: WaitKind, limits: WaitLimits): number {
  switch (kind) {
    case "cut":
      return limits.cutMs;
    case "gone":
      return limits.goneMs;
    case "ready":
      return limits.readyMs;
    case "canaries":
      return limits.canariesMs;
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
  canaries: {
    reason: "canaries-silent",
    advice: "Bring the addresses of network.canaries back, or let the canaries' namespace run pods",
  },
  ready: { reason: "pod-not-ready", advice: "Look at the pod's events and its image and mend that" },
  consolidated: {
    reason: "consolidation-failed",
    advice: "Look at the consolidation's pod; the uploads are untouched",
  },
  volume: { reason: "volume-not-bound", advice: "Look at the claim's events and its storage class" },
  members: { reason: "members-missing", advice: "Ask the Permit Manager to name the person" },
};

/** What a passed deadline means: a person must look, the message names at what. */
export function deadlineFault(
  { kind, text, fault, remedy }: Pick<NamedWait, "kind" | "text" | "fault" | "remedy">,
): Fault {
  const { reason, advice } = OVERDUE[kind];
  return new Fault("stalled", fault?.reason ?? reason, `Waited too long: ${text}`, {
    advice: remedy ?? fault?.advice ?? advice,
    target: fault?.target ?? undefined,
  });
}
