/** What a driver saw of one permit (DESIGN 2: a job observes what *is*). Plain data, no promises kept by it. */
import type { Reason } from "./fault.ts";
import type { IsolationEvidence } from "./evidence.ts";
import type { Posture, Protocol } from "./phase.ts";
import type { VolumeId } from "./volume.ts";
import type { Mount } from "./workspace.ts";

/**
 * The identity and version of an object as this attempt saw it (invariant 9); null: it was absent.
 * Kubernetes: metadata.uid and resourceVersion. Proxmox: the guest's ownership stamp and config digest.
 */
export type Seen = { uid: string; version: string } | null;

/** What keeps a pod or volume from coming about and does not pass by itself. */
export type Trouble = Extract<
  Reason,
  "image-unavailable" | "unschedulable" | "storage-class-missing" | "isolation-unproven"
>;

/** One pod (or VM boot) of a workspace. There may be two while one terminates. */
export interface Instance {
  /** Kubernetes: the pod's uid. A new uid is a new instance, unproven. */
  uid: string;
  name: string;
  /** `unreachable`: its node does not answer; counts as running (invariant 2). */
  state: "pending" | "running" | "terminating" | "unreachable" | "failed";
  ready: boolean;
  specHash: string;
  mounts: Mount[];
  /** An isolation gate stands before all that sees its mounts, as WPS wrote it. */
  gated: boolean;
  node: string | null;
  /** Why it is not ready, in the platform's words, e.g. "ImagePullBackOff: …". */
  reason: string | null;
  /** What kind of reason that is, where a person must act. */
  trouble?: Trouble | null;
}

/**
 * The network of a workspace as the policies in force add up. `shut`: deny both ways. `open`: the posture's
 * rules and inbound stand, for one instance. `breached`: something that is not ours permits egress.
 */
export type ObservedNetwork =
  | { state: "shut"; seen: Seen }
  | { state: "open"; posture: Posture; hash: string; openedFor: string | null; seen: Seen }
  | { state: "breached"; by: string; seen: Seen };

/** Where the gateway (or a holder) connects to. */
export interface Endpoint {
  protocol: Protocol;
  host: string;
  port: number;
}

/** One workspace with everything that belongs to it. */
export interface ObservedWorkspace {
  /** `${kind}/${owner}`, from our annotation. */
  key: string;
  kind: string;
  owner: string;
  /** What the compute object asks for; null: there is no compute object, only leftovers. */
  power: "running" | "stopped" | null;
  /** Of the compute object's template, from its live fields. See core `specHash`. */
  specHash: string | null;
  /** Image, what its tier gives, or template of WPS changed since it was written: waits for the next start. */
  outdated: boolean;
  /** The tier that its compute object was written with; absent: not known. */
  tier?: string | null;
  /** See core `identityHash`; null: the Secret is missing. */
  identityHash: string | null;
  /** The Secret. */
  identity?: Seen;
  network: ObservedNetwork;
  instances: Instance[];
  endpoint: Endpoint | null;
  /** Compute object (StatefulSet, VM). */
  compute: Seen;
  /**
   * What makes its instances has not read yet what the compute object asks for, so one of an older wish may still come;
   * text says so. Null: it has.
   */
  unsettled: string | null;
  /** Anything of the workspace is being deleted; text names it. */
  terminating: string | null;
}

/** One volume. `absent` is not a state: an absent volume is not in the list. */
export interface ObservedVolume {
  id: VolumeId;
  key: string;
  /** On the platform, e.g. "vol-prepared-…". */
  name: string;
  /**
   * pending: claim not bound yet. bound: usable. released: the claim vanished, its data is kept and can be rebound.
   * terminating: being deleted (or its backing still is). lost: the claim stands but what backed it is gone.
   */
  state: "pending" | "bound" | "released" | "terminating" | "lost";
  /** The backing volume is set to be retained. */
  retained: boolean;
  tainted: boolean;
  size: string;
  /** What it waits for, e.g. "PVC vol-x: finalizer kubernetes.io/pvc-protection, in use by pod y". */
  detail: string | null;
  /** What kind of detail that is, where a person must act. */
  trouble?: Trouble | null;
  seen: Seen;
}

/** What of an uploads volume is neither file nor folder (links, pipes, sockets, devices) and is never copied. */
export interface RefusedEntries {
  count: number;
  /** The first of them, a line each, e.g. "link ./a -> /etc/passwd". */
  shown: string[];
  /** SHA-256 of the whole list, in hexadecimal digits: what somebody who agrees to leave them out agrees to. */
  listHash: string;
}

/** A pod of a consolidation that is not gone. */
export interface TaskPod extends Pick<Instance, "uid" | "name" | "mounts" | "gated"> {}

/** The network of a consolidation: nothing is ever opened for one. */
export type TaskNetwork = { state: "shut" } | { state: "breached"; by: string };

/** A consolidation that the platform runs or ran. */
export interface ObservedTask {
  /** The uploads volume's key. */
  key: string;
  name: string;
  state: "running" | "succeeded" | "failed";
  /** Its last words, at most 4096 bytes. */
  message: string | null;
  /** It failed because of these, and copied nothing. */
  refused?: RefusedEntries | null;
  /** Why its pod does not start, where a person must act. */
  trouble?: { reason: Trouble; text: string } | null;
  /** Pods of it that are not gone: each may see data. */
  pods: TaskPod[];
  /** As the policies in force add up for its pods, those to come included. */
  network: TaskNetwork;
  /** What the gate of its newest pod that passed one tried and saw, before that saw data; absent or null: none has. */
  proof?: IsolationEvidence | null;
  /** It is being deleted already; text names it. */
  terminating: string | null;
  seen: Seen;
}

/** The permit's own space (namespace, pool). `incomplete`: ours, but a guard (quota, default-deny, …) is missing or altered. */
export type ObservedScope =
  | { state: "absent" }
  | { state: "intact" | "incomplete"; name: string; detail: string | null; seen: Seen }
  | { state: "terminating"; name: string; detail: string; seen: Seen };

/** Something in the way that is not ours (invariant 8): named, never touched. */
export interface ForeignObject {
  object: string;
  why: string;
}

/**
 * The canaries: addresses that a workspace without a way out must fail to reach, and that a control pod which no policy
 * binds does reach (DESIGN 8). They belong to the site; the driver remembers them in memory, so a restart asks anew.
 */
export interface ObservedCanaries {
  /** They are being asked; null: nobody asks. */
  asking: {
    /** What it takes so long, in the platform's words, e.g. "control pod wps-canaries/control-x: ImagePullBackOff". */
    detail: string | null;
    /** The instances that were through their gate before this began; see `answer.after`. */
    after: string[];
  } | null;
  /** The newest answer; null: none since the service began. */
  answer: {
    /** When asking began; of the clock that `Observed.atMs` is of. */
    askedAtMs: number;
    /** What the control pod reached, e.g. "tcp 192.0.2.10:443". */
    alive: string[];
    silent: string[];
    /** Uids of the instances that `ask-canaries` named before this was asked. */
    after: string[];
  } | null;
}

/** Any object that bears WPS's mark for this permit, or backs one that does: what a deletion must be seen to end. */
export interface ObservedObject {
  /** In the platform's word, e.g. "PersistentVolumeClaim". */
  kind: string;
  name: string;
  uid: string;
  /** What it belongs to: a workspace's, volume's or task's key, or the permit itself. */
  of: { kind: "permit" | "workspace" | "volume" | "task"; key: string };
  /** Which question it answers, e.g. "list of pods in namespace wps-p-1": whoever asks it again and misses it, saw it gone. */
  foundBy: string;
  /** It lies in the permit's own space, and ends with it. */
  isWithin: boolean;
}

/** The whole observation of one permit. */
export interface Observed {
  permitId: string;
  scope: ObservedScope;
  workspaces: ObservedWorkspace[];
  volumes: ObservedVolume[];
  tasks: ObservedTask[];
  foreign: ForeignObject[];
  /** Everything above, object by object. */
  objects: ObservedObject[];
  canaries: ObservedCanaries;
  /** Epoch milliseconds when the observation began. */
  atMs: number;
}
