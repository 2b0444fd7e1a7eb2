import assert from "node:assert/strict";
import fc from "fast-check";
import { type Foreseeable, foreseen, type GuardContext, guardedOf } from "../../src/core/guarded.ts";
import { breachesOf } from "../../src/core/invariants.ts";
import { volumeName } from "../../src/core/names.ts";
import type {
  Instance,
  Observed,
  ObservedNetwork,
  ObservedTask,
  ObservedWorkspace,
  TaskNetwork,
} from "../../src/core/observed.ts";
import type { Permit } from "../../src/core/permit.ts";
import type { Action } from "../../src/core/step.ts";
import { parseVolumeKey } from "../../src/core/volume.ts";
import type { DesiredWorkspace, Mount } from "../../src/core/workspace.ts";
import {
  consolidation,
  mount,
  neverSeen,
  readyInstance,
  volume,
  workspace,
} from "../conformance/fixtures.ts";
import { UNASKED } from "./paper_platform.ts";
import { builtInPhases, type Journey, journey, permitOf } from "./plan_fixture.ts";

const phases = await builtInPhases();
const KEY = "research/a";
const DATA = mount("prepared", "ro");
const PROJECT = mount("project", "rw");

function context(given: Partial<GuardContext> = {}): GuardContext {
  return { phases, records: [], proven: new Set(), isDeleted: false, ...given };
}

function observed(...workspaces: ObservedWorkspace[]): Observed {
  return {
    permitId: "permit-001",
    scope: { state: "absent" },
    workspaces,
    volumes: [],
    tasks: [],
    foreign: [],
    objects: [],
    canaries: UNASKED,
    atMs: 0,
  };
}

function seen(network: ObservedNetwork, instances: Instance[] = [], key = KEY): ObservedWorkspace {
  return { ...neverSeen(key), network, instances };
}

const SHUT: ObservedNetwork = { state: "shut", seen: null };
const BREACHED: ObservedNetwork = { state: "breached", by: "NetworkPolicy let-me-out", seen: null };
const PROXIED: ObservedNetwork = {
  state: "open",
  posture: "proxied",
  hash: "",
  openedFor: "uid-1",
  seen: null,
};

const ALLOW_LISTED: ObservedNetwork = { ...PROXIED, posture: "inbound-allowlist" };

const start = (given: Partial<DesiredWorkspace> = {}): Action => ({
  kind: "start",
  workspace: workspace(KEY, { mounts: [DATA], sensitive: true, ...given }),
  seen: null,
});
const open = (given: Partial<DesiredWorkspace> = {}): Action => ({
  kind: "open-network",
  workspace: workspace(KEY, { mounts: [DATA], ...given }),
  instanceUid: "uid-1",
  seen: null,
});
const taint: Action = { kind: "taint-volume", volume: volume("project", { sensitive: true }), seen: null };
const proof: Action = { kind: "prove-isolation", workspace: workspace(KEY), instanceUid: "uid-1" };

/** Invariants by number that the actions would newly break. */
const FORESEEN: {
  why: string;
  observed: Observed;
  context?: Partial<GuardContext>;
  actions: Foreseeable[];
  broken: number[];
}[] = [
  { why: "a start behind a shut network", observed: observed(seen(SHUT)), actions: [start()], broken: [] },
  {
    why: "a start into a breached network",
    observed: observed(seen(BREACHED)),
    actions: [start()],
    broken: [1],
  },
  {
    why: "a cut does not close what somebody else opens",
    observed: observed(seen(BREACHED)),
    actions: [{ kind: "cut-network", workspace: seen(BREACHED) }, start()],
    broken: [1],
  },
  {
    why: "a start without data into a breached network",
    observed: observed(seen(BREACHED)),
    actions: [start({ mounts: [PROJECT] })],
    broken: [],
  },
  {
    why: "an open without proof",
    observed: observed(seen(SHUT, [readyInstance({ mounts: [DATA] })])),
    actions: [open()],
    broken: [6],
  },
  {
    why: "an open after its proof, in the same stretch",
    observed: observed(seen(SHUT, [readyInstance({ mounts: [DATA] })])),
    actions: [proof, open()],
    broken: [],
  },
  {
    why: "an open after a proof on record",
    observed: observed(seen(SHUT, [readyInstance({ mounts: [DATA] })])),
    context: { proven: new Set(["uid-1"]) },
    actions: [open()],
    broken: [],
  },
  {
    why: "the proof of another instance is none of this one",
    observed: observed(seen(SHUT, [readyInstance({ mounts: [DATA] })])),
    context: { proven: new Set(["uid-0"]) },
    actions: [open()],
    broken: [6],
  },
  {
    why: "an open with a way out beside data, proven or not",
    observed: observed(seen(SHUT, [readyInstance({ mounts: [DATA] })])),
    actions: [proof, open({ posture: "proxied" })],
    broken: [1],
  },
  {
    why: "a mount beside data, unmarked",
    observed: observed(seen(SHUT)),
    actions: [start({ mounts: [DATA, PROJECT] })],
    broken: [3],
  },
  {
    why: "the same with the mark written before",
    observed: observed(seen(SHUT)),
    actions: [taint, start({ mounts: [DATA, PROJECT] })],
    broken: [],
  },
  {
    why: "the mark after the start comes too late",
    observed: observed(seen(SHUT)),
    actions: [start({ mounts: [DATA, PROJECT] }), taint],
    broken: [3],
  },
  {
    why: "a mark on record counts as one on the volume",
    observed: observed(seen(SHUT)),
    context: {
      records: [{ key: "project", tainted: true, bound: true, destroyed: false, acceptedList: null }],
    },
    actions: [start({ mounts: [DATA, PROJECT] })],
    broken: [],
  },
  {
    why: "a mark on a volume that somebody with a way out mounts",
    observed: observed(seen(PROXIED, [readyInstance({ mounts: [PROJECT] })])),
    actions: [taint],
    broken: [1, 6],
  },
  {
    why: "data beside a pod that shares a volume and has a way out",
    observed: observed(
      seen(PROXIED, [readyInstance({ mounts: [PROJECT] })]),
      seen(SHUT, [], "research/b"),
    ),
    context: {
      records: [{ key: "project", tainted: true, bound: true, destroyed: false, acceptedList: null }],
    },
    actions: [{
      kind: "start",
      workspace: workspace("research/b", { mounts: [DATA, PROJECT] }),
      seen: null,
    }],
    broken: [2],
  },
  {
    why: "the same once that pod is cut",
    observed: observed(seen(PROXIED, [readyInstance({ mounts: [PROJECT] })]), seen(SHUT, [], "research/b")),
    actions: [
      { kind: "cut-network", workspace: seen(PROXIED) },
      taint,
      { kind: "start", workspace: workspace("research/b", { mounts: [DATA, PROJECT] }), seen: null },
    ],
    broken: [],
  },
  {
    why: "the same once that pod is seen to be gone",
    observed: observed(seen(PROXIED, [readyInstance({ mounts: [PROJECT] })]), seen(SHUT, [], "research/b")),
    actions: [
      { kind: "gone", workspaces: [KEY] },
      taint,
      { kind: "start", workspace: workspace("research/b", { mounts: [DATA, PROJECT] }), seen: null },
    ],
    broken: [],
  },
  {
    why: "the same while another pod is waited for",
    observed: observed(seen(PROXIED, [readyInstance({ mounts: [PROJECT] })]), seen(SHUT, [], "research/b")),
    actions: [{ kind: "gone", workspaces: ["research/b"] }, taint],
    broken: [1, 6],
  },
  {
    why: "the same once that pod is stopped",
    observed: observed(seen(PROXIED, [readyInstance({ mounts: [PROJECT] })]), seen(SHUT, [], "research/b")),
    actions: [
      { kind: "stop", workspace: seen(PROXIED) },
      taint,
      { kind: "start", workspace: workspace("research/b", { mounts: [DATA, PROJECT] }), seen: null },
    ],
    broken: [],
  },
  {
    why: "cut and stop, then a start of its own with data",
    observed: observed(seen(PROXIED, [readyInstance({ mounts: [PROJECT] })])),
    actions: [
      { kind: "cut-network", workspace: seen(PROXIED) },
      { kind: "stop", workspace: seen(PROXIED) },
      taint,
      start({ mounts: [DATA, PROJECT] }),
    ],
    broken: [],
  },
  {
    why: "what is broken already is not the steps' doing: cutting goes on",
    observed: observed(seen(BREACHED, [readyInstance({ mounts: [DATA] })])),
    actions: [{ kind: "cut-network", workspace: seen(BREACHED) }, {
      kind: "stop",
      workspace: seen(BREACHED),
    }],
    broken: [],
  },
];

for (const { why, observed, context: given, actions, broken } of FORESEEN) {
  Deno.test(`foreseen: ${why}: ${broken.length === 0 ? "nothing" : `invariant ${broken.join(", ")}`}`, () => {
    const found = foreseen(observed, context(given), actions);
    assert.deepEqual([...new Set(found.map(({ invariant }) => invariant))], broken, JSON.stringify(found));
  });
}

Deno.test("guardedOf: a network is open only for the pod that it was opened for, and one that has ended sees nothing", () => {
  const pods = [
    readyInstance({ mounts: [DATA] }),
    readyInstance({ uid: "uid-2" }),
    readyInstance({ uid: "uid-3", state: "failed" }),
  ];
  const { instances } = guardedOf(observed(seen(PROXIED, pods)), context({ proven: new Set(["uid-2"]) }));
  assert.deepEqual(
    instances.map(({ uid, isOpened, isProven, waysOut }) => [uid, isOpened, isProven, waysOut.length]),
    [
      ["uid-1", true, false, 1],
      ["uid-2", false, true, 0],
    ],
  );
  const breached = guardedOf(observed(seen(BREACHED, pods)), context()).instances;
  assert.ok(
    breached.every(({ waysOut }) => waysOut.length === 1),
    "what somebody else opens is open for all",
  );
});

Deno.test("guardedOf: a volume is sensitive by rule, by record or by its own mark", () => {
  const platform = seen(SHUT, [
    readyInstance({ mounts: [DATA, PROJECT, mount("home/a", "rw"), mount("home/b", "rw")] }),
  ]);
  const marked = {
    ...observed(platform),
    volumes: [{
      id: { volume: "home", owner: "a", generation: 1 },
      key: "home/a",
      name: "x",
      state: "bound" as const,
      retained: true,
      tainted: true,
      size: "1Gi",
      detail: null,
      seen: null,
    }],
  };
  const records = [{ key: "project", tainted: true, bound: true, destroyed: false, acceptedList: null }];
  const [pod] = guardedOf(marked, context({ records })).instances;
  assert.deepEqual(pod?.mounts.map(({ volumeKey, sensitive }) => [volumeKey, sensitive]), [
    ["prepared", true],
    ["project", true],
    ["home/a", true],
    ["home/b", false],
  ]);
});

Deno.test("guardedOf: what was bound and is gone is lost, unless WPS destroyed it or the permit is deleted", () => {
  const record = { tainted: false, bound: true, destroyed: false, acceptedList: null };
  const records = [
    { ...record, key: "prepared" },
    { ...record, key: "raw", destroyed: true },
    { ...record, key: "outputs", bound: false },
  ];
  const { lost } = guardedOf(observed(), context({ records }));
  assert.deepEqual(lost.map(({ volumeKey }) => volumeKey), ["prepared"]);
  assert.deepEqual(guardedOf(observed(), context({ records, isDeleted: true })).lost, []);
});

const WISHES: Partial<Permit>[] = [
  {},
  { status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 1 },
  ...[...phases.statuses.keys()].map((status) => ({ status, ingressBatch: 1 })),
  { status: "ANALYSIS_ACTIVE", stopRequested: true, ingressBatch: 1 },
  { status: "DATA_PREPARATION_PENDING", ingressOpen: true, ingressBatch: 2 },
  { status: "ANALYSIS_ACTIVE", halted: true, ingressBatch: 1 },
];

/** A wish, and after how many actions a crash or a newer wish cuts it off; what somebody does to the platform then. */
const leg = fc.record({
  wish: fc.constantFrom(...WISHES),
  stopAfter: fc.oneof(fc.nat(25), fc.constant(Infinity)),
  mischief: fc.constantFrom("none", "breach", "evict", "fail"),
});

function facts({ records, platform }: Journey): GuardContext {
  return context({ records: [...records.values()], proven: platform.state.proven });
}

Deno.test("foreseen: refuses no plan of the planner, whatever was cut off or done by hand before", () => {
  let plans = 0;
  const judge = (trip: Journey, wish: Partial<Permit>): void => {
    const { steps, obstacles } = trip.planFor(permitOf(wish));
    assert.deepEqual(obstacles.filter(({ reason }) => reason === "invariant"), [], JSON.stringify(wish));
    const actions = steps.flatMap((step) => step.do === "apply" ? [step.action] : []);
    assert.deepEqual(foreseen(trip.platform.observe(), facts(trip), actions), [], JSON.stringify(wish));
    plans += actions.length > 0 ? 1 : 0;
  };
  fc.assert(
    fc.property(fc.array(leg, { minLength: 1, maxLength: 6 }), fc.constantFrom(...WISHES), (legs, last) => {
      const trip = journey(phases);
      for (const { wish, stopAfter, mischief } of legs) {
        trip.reach(permitOf(wish), stopAfter);
        assert.deepEqual(
          breachesOf(guardedOf(trip.platform.observe(), facts(trip))),
          [],
          JSON.stringify(wish),
        );
        const { workspaces } = trip.platform.state;
        const before = structuredClone(workspaces);
        meddle(workspaces, mischief);
        judge(trip, wish);
        judge(trip, last);
        // The paper platform does not mend by itself what a real one does, so a journey goes on from before.
        for (const [key, one] of before) workspaces.set(key, one);
      }
    }),
    { numRuns: 300, seed: 20261122 },
  );
  assert.ok(plans > 500, `only ${plans} plans with steps were judged`);
});

function meddle(workspaces: Map<string, ObservedWorkspace>, mischief: string): void {
  for (const one of workspaces.values()) {
    if (mischief === "breach") one.network = BREACHED;
    if (mischief === "evict") one.instances = [];
    if (mischief === "fail") {
      one.instances = one.instances.map((pod) => ({ ...pod, state: "failed", ready: false }));
    }
  }
}

Deno.test("guardedOf: a consolidation sees data as a workspace does, and what lets it out breaks the same invariants", () => {
  const uploads: Mount = {
    ...mount("raw", "ro"),
    volume: parseVolumeKey("uploads/h"),
    volumeKey: "uploads/h",
  };
  const task = (network: TaskNetwork, gated = true): ObservedTask => ({
    key: "uploads/h",
    name: "task",
    state: "running",
    message: null,
    pods: [{ uid: "t-1", name: "task-1", mounts: [uploads, mount("raw", "rw")], gated }],
    network,
    terminating: null,
    seen: null,
  });
  const broken = (tasks: ObservedTask[], ...workspaces: ObservedWorkspace[]): string[] =>
    breachesOf(guardedOf({ ...observed(...workspaces), tasks }, context())).map(({ invariant, target }) =>
      `${invariant} ${target}`
    );
  const out: TaskNetwork = { state: "breached", by: "NetworkPolicy let-me-out" };
  assert.deepEqual(broken([task({ state: "shut" })]), []);
  assert.deepEqual(broken([task(out)]), ["1 pod task-1 (t-1)"]);
  assert.deepEqual(broken([task({ state: "shut" }, false)]), ["6 pod task-1 (t-1)"], "it passed no gate");
  const airlock = seen(ALLOW_LISTED, [readyInstance({ mounts: [uploads] })], "airlock/h");
  assert.deepEqual(
    broken([task({ state: "shut" })], airlock),
    ["2 pod task-1 (t-1)", "6 pod research-a-0 (uid-1)"],
    "its holder may still write, and was let in unproven",
  );
});

Deno.test("guardedOf: a pod near data without its gate breaks invariant 6, and one without data needs none", () => {
  const broken = (given: Partial<Instance>): number[] =>
    breachesOf(guardedOf(observed(seen(SHUT, [readyInstance(given)])), context())).map(({ invariant }) =>
      invariant
    );
  assert.deepEqual(broken({ mounts: [DATA], gated: true }), []);
  assert.deepEqual(broken({ mounts: [DATA], gated: false }), [6]);
  assert.deepEqual(broken({ mounts: [PROJECT], gated: false }), []);
});

Deno.test("foreseen: a consolidation is not begun while whoever shares its uploads has a way out", () => {
  const uploads: Mount = {
    ...mount("raw", "ro"),
    volume: parseVolumeKey("uploads/hospital-a"),
    volumeKey: "uploads/hospital-a",
  };
  const airlock = seen(ALLOW_LISTED, [readyInstance({ mounts: [uploads] })], "airlock/hospital-a");
  const action: Action = { kind: "consolidate", consolidation: consolidation("hospital-a"), task: null };
  const given = context({ proven: new Set(["uid-1"]) });
  const found = (actions: Foreseeable[]): number[] =>
    foreseen(observed(airlock), given, actions).map(({ invariant }) => invariant);
  assert.deepEqual(found([action]), [2]);
  assert.deepEqual(found([{ kind: "gone", workspaces: [airlock.key] }, action]), []);
});

Deno.test("guardedOf: a pod on a volume that does not bear the permit's mark breaks invariant 8", () => {
  const found = observed(seen({ state: "shut", seen: null }, [readyInstance({ mounts: [DATA, PROJECT] })]));
  const named = (key: string) => `PersistentVolumeClaim wps-p-1/${volumeName(key)}`;
  const why = "it has no label";
  const of = (foreign: Observed["foreign"]) =>
    breachesOf(guardedOf({ ...found, foreign }, context())).filter(({ invariant }) => invariant === 8);
  assert.deepEqual(of([]), []);
  assert.deepEqual(of([{ object: named("home/a"), why }]), [], "nobody mounts it");
  assert.deepEqual(of([{ object: named(PROJECT.volumeKey), why }]), [{
    invariant: 8,
    target: "pod research-a-0",
    message: `uses what is not WPS's: ${named(PROJECT.volumeKey)} (${why})`,
  }]);
});

Deno.test("foreseen: a start or a consolidation on somebody else's volume breaks invariant 8", () => {
  const work = consolidation("a");
  const wanted = workspace(KEY, { mounts: [PROJECT] });
  const cases: [Action, string][] = [
    [{ kind: "start", workspace: wanted, seen: null }, PROJECT.volumeKey],
    [{ kind: "consolidate", consolidation: work, task: null }, work.into.key],
  ];
  for (const [action, key] of cases) {
    const foreign = [{ object: `claim wps-p-1/${volumeName(key)}`, why: "it has no label" }];
    const numbers = (given: Partial<Observed>): number[] =>
      foreseen({ ...observed(), ...given }, context(), [action]).map(({ invariant }) => invariant);
    assert.deepEqual(numbers({ foreign }), [8], action.kind);
    assert.deepEqual(numbers({}), [], action.kind);
  }
});
