/** A plan as data: ordered steps, each with what it does, to what, why, and what must hold (DESIGN 2, 5). */
import type { Reason } from "./fault.ts";
import type { ObservedTask, ObservedVolume, ObservedWorkspace, Seen } from "./observed.ts";
import type { DesiredVolume, VolumeId } from "./volume.ts";
import type { DesiredWorkspace } from "./workspace.ts";

/** One consolidation: a holder's uploads into a batch folder of another volume (DESIGN 4). */
export interface Consolidation {
  from: VolumeId;
  fromKey: string;
  into: DesiredVolume;
  /** Runs as the holder's uid, in the permit's group. */
  uid: number;
  gid: number;
  fsGroup: number;
  /** Folder below `into`, e.g. "hospital-a/batch-1". Nothing there is overwritten. */
  folder: string;
  /** The data holder's id. */
  holder: string;
  /** The list of refused entries, by its hash, that may be left out, if it is exactly what is found; null: none may. */
  accepted: string | null;
}

/**
 * Where the checksum manifest of a consolidated folder lies in its target: beside the folder, so that no upload can
 * bear its name. One line per file as `sha256sum` writes it: 64 hex digits, two blanks, path below the folder.
 * Then one comment per entry that was left out.
 */
export function manifestPath(folder: string): string {
  return `${folder}.sha256`;
}

/** Which attempt at a consolidation this is: another one once somebody agreed to leave something else out. */
export function trialOf({ fromKey, accepted }: Consolidation): string {
  return `${fromKey} ${accepted ?? ""}`;
}

/** What a driver is asked to do; each is idempotent and returns when the platform has acknowledged the write. */
export type Action =
  /** Deny both ways. Safe to repeat; must not fail because something else changed. */
  | { kind: "cut-network"; workspace: ObservedWorkspace }
  /** Scale to zero; identity and storage stay. Never forces a pod away. */
  | { kind: "stop"; workspace: ObservedWorkspace }
  /** Remove compute, service, secret and policy of a workspace whose instances are gone. */
  | { kind: "remove-workspace"; workspace: ObservedWorkspace }
  /** Namespace with quota, limits, default-deny, account. */
  | { kind: "ensure-scope"; fsGroup: number; members: number; seen: Seen }
  | { kind: "ensure-volume"; volume: DesiredVolume; seen: Seen }
  /** Bind a released volume's data to a new claim. */
  | { kind: "rebind-volume"; volume: DesiredVolume; seen: Seen }
  /** Write the mark of invariant 3 on the volume itself; the store's row was written before. */
  | { kind: "taint-volume"; volume: DesiredVolume; seen: Seen }
  /** Reclaim policy Retain. */
  | { kind: "retain-volume"; volume: ObservedVolume }
  /** Start the consolidation task (or a new one after a failed one). */
  | { kind: "consolidate"; consolidation: Consolidation; task: ObservedTask | null }
  /** Remove a finished task's leftovers. */
  | { kind: "remove-task"; task: ObservedTask }
  /** Destroy for good: only uploads after consolidation, or everything of a deleted permit (invariant 4). */
  | { kind: "destroy-volume"; volume: ObservedVolume }
  /**
   * Secret (password, passwd, group, keys) and Service. `rotate`: a new password is made; a start follows, or none is
   * kept. `seen`: the Secret, which lets people in (invariant 9); absent: whatever stands there, as long as it is ours.
   */
  | { kind: "ensure-identity"; workspace: DesiredWorkspace; rotate: boolean; seen?: Seen }
  /** Write the compute object with power on, conditional on `seen` (invariant 9). */
  | { kind: "start"; workspace: DesiredWorkspace; seen: Seen }
  /** Remove a never-ready instance that is pinned to an old template (DESIGN 8). Graceful. */
  | { kind: "replace-instance"; workspace: ObservedWorkspace; instanceUid: string }
  /**
   * Let a control pod try the canaries, in the background; `Observed.canaries` tells. `after`: instances that have been
   * seen to be through their gate.
   */
  | { kind: "ask-canaries"; after: string[] }
  /** Show that the shut network held for this instance, by its gate and the canaries around it; evidence comes back. */
  | { kind: "prove-isolation"; workspace: DesiredWorkspace; instanceUid: string }
  /** The posture's rules and the inbound rule, for exactly this instance. Always last. */
  | { kind: "open-network"; workspace: DesiredWorkspace; instanceUid: string; seen: Seen }
  | { kind: "destroy-scope"; seen: Seen };

/** What must hold, as data; `unmet` of condition.ts judges it against an observation. */
export type Condition =
  | { is: "network-shut"; workspaces: string[] }
  | { is: "instances-gone"; workspaces: string[] }
  | { is: "workspaces-gone"; workspaces: string[] }
  | { is: "scope-intact" }
  | { is: "scope-gone" }
  | { is: "volumes-usable"; volumes: string[] }
  | { is: "volumes-gone"; volumes: string[] }
  /** Bound and set to be retained: what holds the only copy. */
  | { is: "volumes-retained"; volumes: string[] }
  | { is: "tasks-gone"; tasks: string[] }
  | { is: "consolidated"; uploads: string[] }
  | { is: "ready"; workspace: string }
  | { is: "reachable"; workspace: string }
  | { is: "nothing-foreign" }
  /** Enough canaries were alive a moment ago. */
  | { is: "canaries-fresh" }
  /** Enough canaries were alive after this workspace's instance had passed its gate. */
  | { is: "canaries-confirmed"; workspace: string }
  /** Never holds by observation alone: an event must name the person. */
  | { is: "members-named"; roles: string[] };

/** The kinds of wait, each with a deadline of its own in the site's configuration. */
export type WaitKind = "cut" | "gone" | "ready" | "canaries" | "consolidated" | "volume" | "members";

/** Verbs as the operator reads them. */
export type StepKind = Action["kind"] | `await-${WaitKind}`;

interface StepBase {
  /** "start research/j.virtanen": unique and stable within a plan. */
  id: string;
  kind: StepKind;
  /** What it acts on, in WPS's words: a workspace key, a volume key, "permit". */
  target: string;
  why: string;
  /** Steps of one wave are independent and applied in parallel; waves follow each other. */
  wave: number;
  before: Condition[];
  after: Condition[];
}

/** Something to do. */
export interface ApplyStep extends StepBase {
  do: "apply";
  action: Action;
}

/** Something to wait for; a step boundary (DESIGN 6). The runner plans anew when it is over. */
export interface AwaitStep extends StepBase {
  do: "await";
  wait: WaitKind;
}

/** Shown, never run: what it acts on does not exist yet, so the next plan carries it out. */
export interface LaterStep extends StepBase {
  do: "later";
}

/** A step of a plan. */
export type Step = ApplyStep | AwaitStep | LaterStep;

/** A reason why the plan cannot go further than it does; named, with what to do. */
export interface Obstacle {
  reason: Reason;
  target: string;
  message: string;
  advice: string;
}

/** What would change, in order. Empty steps and no obstacles: nothing differs. */
export interface Plan {
  permitId: string;
  /** The permit's version that it was made for. */
  version: number;
  steps: Step[];
  /** What stands in the way of steps that give; steps that take away are planned all the same. */
  obstacles: Obstacle[];
}
