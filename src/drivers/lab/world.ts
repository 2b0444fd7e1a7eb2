/** What the parts of the simulated cluster share while they act: its state at one instant, and how it changes. */
import type { Seen } from "../../core/observed.ts";
import type { LabPod, LabScope, LabState, LabTimer } from "./objects.ts";
import type { LabSettings } from "./settings.ts";

/** An object that has an identity and a version. */
interface Versioned {
  version: number;
}

/** The cluster at one instant. Every change moves its counter, by which controllers know that they must look again. */
export class World {
  constructor(
    readonly state: LabState,
    readonly settings: LabSettings,
    /** Whether a volume of that name is sensitive whatever was done with it. */
    readonly isSensitive: (volume: string) => boolean,
    /** The instant, in epoch milliseconds. */
    public nowMs: number,
  ) {}

  /** A uid that no object ever had; equal histories give equal uids. */
  newUid(): string {
    const serial = (++this.state.counter).toString(16).padStart(12, "0");
    return `1ab00000-0000-4000-8000-${serial}`;
  }

  /** The version of an object that is being made. */
  newVersion(): number {
    return ++this.state.counter;
  }

  /** Marks an object as changed: its version moves, and controllers look again. */
  bump(object: Versioned): void {
    object.version = ++this.state.counter;
  }

  /** Notes a change that writes no object (a file, a packet, an object's end), so that controllers look again. */
  moved(): void {
    this.state.counter++;
  }

  /** Makes something happen after a delay, unless its object is gone by then. */
  schedule(kind: LabTimer["kind"], scope: string, uid: string, delayMs: number): void {
    this.state.timers.push({ atMs: this.nowMs + delayMs, order: ++this.state.counter, kind, scope, uid });
  }

  /** Whether that is going to happen. */
  isScheduled(kind: LabTimer["kind"], uid: string): boolean {
    return this.state.timers.some((timer) => timer.kind === kind && timer.uid === uid);
  }

  /** Takes the earliest timer that is due, in the order of time, then of making; null: none is. */
  takeDue(untilMs: number): LabTimer | null {
    let earliest: LabTimer | null = null;
    for (const timer of this.state.timers) {
      if (timer.atMs > untilMs) continue;
      if (
        earliest === null || timer.atMs < earliest.atMs ||
        (timer.atMs === earliest.atMs && timer.order < earliest.order)
      ) earliest = timer;
    }
    if (earliest !== null) this.state.timers.splice(this.state.timers.indexOf(earliest), 1);
    return earliest;
  }

  /** Whether a node answers. */
  isReachable(node: string | null): boolean {
    return this.state.nodes.every((candidate) => candidate.name !== node || candidate.lostAtMs === null);
  }

  /** Whether the cluster has noticed by now that a node does not answer. */
  isKnownLost(node: string | null): boolean {
    return this.state.nodes.some(({ name, lostAtMs }) =>
      name === node && lostAtMs !== null && this.nowMs >= lostAtMs + this.settings.nodeLossMs
    );
  }
}

/** All pods of a namespace whose containers run, whatever the API says of them: also on a node that does not answer. */
export function runningPods(scope: LabScope): LabPod[] {
  return Object.values(scope.pods).filter(({ phase }) => phase === "running");
}

/** Identity and version of an object; null: it is absent. */
export function seenOf(object: { uid: string; version: number } | undefined): Seen {
  return object === undefined ? null : { uid: object.uid, version: String(object.version) };
}
