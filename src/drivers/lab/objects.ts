/** The objects of the simulated cluster, as schemas, because a snapshot file is a boundary. All plain data. */
import { z } from "zod";
import { POSTURES } from "../../core/phase.ts";

const account = z.strictObject({ username: z.string(), uid: z.int(), gid: z.int() });
const volumeId = z.strictObject({
  volume: z.string(),
  owner: z.string().nullable(),
  generation: z.int().min(1),
});
const mount = z.strictObject({
  volume: volumeId,
  volumeKey: z.string(),
  path: z.string(),
  mode: z.enum(["ro", "rw", "wo"]),
});
const protocol = z.enum(["rdp", "vnc", "sftp"]);
const posture = z.enum(POSTURES);

/** What every object has: identity, version, and whether it bears WPS's mark for this permit (invariant 8). */
const base = { name: z.string(), uid: z.string(), version: z.int(), owned: z.boolean() };
/** What an object that may linger while it goes has. */
const mortal = { deletedAtMs: z.number().nullable(), finalizers: z.array(z.string()) };

/** What the control pod found. */
const control = z.strictObject({ atMs: z.number(), alive: z.array(z.string()), silent: z.array(z.string()) });

const template = z.strictObject({
  posture,
  account,
  fsGroup: z.int(),
  mounts: z.array(mount),
  tier: z.string(),
  /** The `template` setting when it was written. */
  revision: z.string(),
  /** Has the isolation gate before its container; with what the control pod had found when it was written. */
  gated: z.boolean().default(false),
  control: control.nullable().default(null),
});

/** WPS asks for one; another count is somebody's hand. */
export const REPLICAS_MAX = 2;

/** What a compute object asks for. */
const wish = z.strictObject({ replicas: z.int().min(0).max(REPLICAS_MAX), template });

const compute = z.strictObject({
  ...base,
  ...mortal,
  key: z.string(),
  kind: z.string(),
  owner: z.string(),
  ...wish.shape,
  /** What its controller acts on; null: it has not read anything yet. */
  acted: wish.nullable(),
  /** What it has yet to read, oldest first. */
  unread: z.array(wish),
  /** The version that the last stop had seen: a stop moves the version also where power was off already. */
  stoppedAfter: z.string().nullable(),
  /** How many of its pods were ready when its status was last written: a status write moves the version. */
  readyReplicas: z.int(),
});

const identity = z.strictObject({
  ...base,
  key: z.string(),
  kind: z.string(),
  owner: z.string(),
  protocol,
  /** Core `identityHash`; null: the Secret is not written yet. */
  hash: z.string().nullable(),
  /** SHA-256 of the password, never the password. */
  passwordHash: z.string().nullable(),
  hasHostKey: z.boolean(),
  /** The Service stands. */
  hasService: z.boolean(),
});

const rules = z.strictObject({
  /** The workspace whose pod it selects; null: every pod of the namespace. */
  selects: z.string().nullable(),
  /** Of these only the pod with this uid; null: all of them. */
  onlyPod: z.string().nullable(),
  /** What may leave. */
  egress: z.enum(["none", "proxy", "any"]),
  /** Who may come in; a list: these address ranges. Null: the policy says nothing of ingress. */
  ingress: z.union([z.enum(["none", "gateway", "any"]), z.array(z.string())]).nullable(),
});

const policy = z.strictObject({
  ...base,
  rules,
  /** What open-network wrote it for; null: a default-deny, a cut, or a foreign policy. */
  opening: z.strictObject({ posture, hash: z.string(), openedFor: z.string() }).nullable(),
});

const pod = z.strictObject({
  ...base,
  ...mortal,
  /** Whose pod it is: a compute object's or a task's, by key and uid. */
  belongs: z.strictObject({ to: z.enum(["workspace", "task"]), key: z.string(), uid: z.string() }),
  template,
  protocol: protocol.nullable(),
  node: z.string().nullable(),
  phase: z.enum(["pending", "running", "succeeded", "failed"]),
  ready: z.boolean(),
  reason: z.string().nullable(),
  /** Its end is being timed. */
  ending: z.boolean(),
  /** How far its gate is; of no meaning where its template has none. */
  gate: z.strictObject({
    rounds: z.int(),
    cleanRounds: z.int(),
    passed: z.boolean(),
    /**
     * Truth that nobody can see: of the rounds that let it pass, one reached nothing only because what it tried was silent,
     * not because anything held it back.
     */
    blind: z.boolean().default(false),
    /** Why it gave up last; it is started again all the same. */
    failed: z.string().nullable(),
    begunAtMs: z.number(),
    endedAtMs: z.number().nullable(),
  }),
  /** WPS has shown its isolation. */
  proven: z.boolean(),
  /** Ends that it reached or was reached from once: a connection lives as long as its pod (FACTS 10). */
  connections: z.array(z.string()),
});

const file = z.strictObject({
  text: z.string(),
  uid: z.int(),
  gid: z.int(),
  mode: z.int(),
  /** A symbolic link's target; absent: it is a file. */
  link: z.string().optional(),
});

const claim = z.strictObject({
  ...base,
  ...mortal,
  id: volumeId,
  key: z.string(),
  size: z.string(),
  tainted: z.boolean(),
  phase: z.enum(["pending", "bound", "lost"]),
  /** Name of the backing it is, or wants to be, bound to. */
  backing: z.string().nullable(),
});

const backing = z.strictObject({
  ...base,
  ...mortal,
  permitId: z.string(),
  scope: z.string(),
  id: volumeId,
  key: z.string(),
  size: z.string(),
  reclaim: z.enum(["Delete", "Retain"]),
  /** Invariant 3's mark, kept beside the claim's once WPS retains it. */
  tainted: z.boolean(),
  /** The claim it is bound to; null: released or available. */
  claimUid: z.string().nullable(),
  /** Truth, not a mark: sensitive data is or was on it. */
  touched: z.boolean(),
  /** Somebody's hand in it: WPS asked for its end. */
  destroyedByDriver: z.boolean(),
  ending: z.boolean(),
  files: z.record(z.string(), file),
});

const consolidation = z.strictObject({
  fromKey: z.string(),
  intoKey: z.string(),
  from: volumeId,
  into: volumeId,
  uid: z.int(),
  gid: z.int(),
  fsGroup: z.int(),
  folder: z.string(),
  holder: z.string(),
  accepted: z.string().nullable().default(null),
});

const task = z.strictObject({
  ...base,
  ...mortal,
  key: z.string(),
  work: consolidation,
  /** What the control pod had found when it was written. */
  control: control.nullable().default(null),
  state: z.enum(["running", "succeeded", "failed"]),
  message: z.string().nullable(),
  /** It copied nothing because of these. */
  refused: z.strictObject({ count: z.int(), shown: z.array(z.string()), listHash: z.string() }).nullable()
    .default(null),
});

const scope = z.strictObject({
  ...base,
  ...mortal,
  permitId: z.string(),
  fsGroup: z.int(),
  quota: z.boolean(),
  limits: z.boolean(),
  account: z.boolean(),
  /** Its end is being timed. */
  ending: z.boolean(),
  computes: z.record(z.string(), compute),
  identities: z.record(z.string(), identity),
  policies: z.record(z.string(), policy),
  /** What the node enforces on packets: follows `policies` after a delay. */
  enforced: z.record(z.string(), rules),
  pods: z.record(z.string(), pod),
  claims: z.record(z.string(), claim),
  tasks: z.record(z.string(), task),
  /** What somebody keeps there and WPS makes none of, as ConfigMaps. */
  settings: z.record(z.string(), z.strictObject(base)).default({}),
});

const node = z.strictObject({ name: z.string(), lostAtMs: z.number().nullable() });

const timer = z.strictObject({
  atMs: z.number(),
  /** Among timers of one instant the earlier made goes first. */
  order: z.int(),
  kind: z.enum([
    "bind",
    "sync",
    "run",
    "ready",
    "gone",
    "finish",
    "reclaim",
    "enforce",
    "gate",
    "vanish",
    "node",
  ]),
  /** Namespace, or "" for a cluster-wide object. */
  scope: z.string(),
  /** The object meant; a timer whose object is gone does nothing. */
  uid: z.string(),
});

const labState = z.strictObject({
  format: z.literal(1),
  /** Source of versions, uids and the order of timers. */
  counter: z.int(),
  scopes: z.record(z.string(), scope),
  backings: z.record(z.string(), backing),
  nodes: z.array(node),
  /** Canaries that answer nobody; see LAB_TARGETS. */
  silent: z.array(z.string()).default([]),
  timers: z.array(timer),
});

/** What a pod is made of: the spec that core `specHash` fingerprints, and what may lag behind. */
export type LabTemplate = z.output<typeof template>;
/** A StatefulSet; WPS's own are of 0 or 1. */
export type LabCompute = z.output<typeof compute>;
/** Secret and Service of a workspace. */
export type LabIdentity = z.output<typeof identity>;
/** What a NetworkPolicy lets pass; policies add up. */
export type LabRules = z.output<typeof rules>;
/** A NetworkPolicy. */
export type LabPolicy = z.output<typeof policy>;
/** What the control pod found at one time. */
export type LabControl = z.output<typeof control>;
/** A pod of a workspace or a task. */
export type LabPod = z.output<typeof pod>;
/** A file or symbolic link with its owner. */
export type LabFile = z.output<typeof file>;
/** A PersistentVolumeClaim. */
export type LabClaim = z.output<typeof claim>;
/** A PersistentVolume with the data on it. */
export type LabBacking = z.output<typeof backing>;
/** A Job that consolidates. */
export type LabTask = z.output<typeof task>;
/** A namespace with all that is in it. */
export type LabScope = z.output<typeof scope>;
/** Something that will happen. */
export type LabTimer = z.output<typeof timer>;
/** The whole cluster. */
export type LabState = z.output<typeof labState>;

/** A snapshot's JSON as a state; otherwise what is wrong with it, in one line. */
export function parseLabState(json: unknown): LabState | { error: string } {
  const parsed = labState.safeParse(json);
  if (parsed.success) return parsed.data;
  return { error: z.prettifyError(parsed.error).split("\n").join(" ") };
}

/** A cluster in which nothing has happened, without nodes. */
export function emptyState(): LabState {
  return { format: 1, counter: 0, scopes: {}, backings: {}, nodes: [], silent: [], timers: [] };
}

/** Adds nodes up to a number; none is ever taken away, because pods may be on it. */
export function addNodes(state: LabState, count: number): void {
  for (let n = state.nodes.length + 1; n <= count; n++) {
    state.nodes.push({ name: `lab-${n}`, lostAtMs: null });
  }
}
