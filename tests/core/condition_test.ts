import assert from "node:assert/strict";
import { describeCondition, describeInstance, liveInstance, unmet } from "../../src/core/condition.ts";
import type { Observed, ObservedWorkspace } from "../../src/core/observed.ts";
import type { Condition } from "../../src/core/step.ts";
import { nextStretch } from "../../src/runner/stretch.ts";
import { boundVolume, neverSeen, readyInstance } from "../conformance/fixtures.ts";
import { UNASKED } from "./paper_platform.ts";
import { builtInPhases, journey, permitOf } from "./plan_fixture.ts";

function workspace(given: Partial<ObservedWorkspace> = {}): ObservedWorkspace {
  return { ...neverSeen("research/a"), power: "running", ...given };
}

function seen(given: Partial<Observed> = {}): Observed {
  return {
    permitId: "p",
    scope: { state: "intact", name: "wps-p", detail: null, seen: null },
    workspaces: [],
    volumes: [],
    tasks: [],
    foreign: [],
    objects: [],
    canaries: UNASKED,
    atMs: 0,
    ...given,
  };
}

const OPEN = { state: "open", posture: "isolated", hash: "", openedFor: "uid-1", seen: null } as const;
const TASK = {
  key: "uploads/h",
  name: "consolidate-h",
  message: null,
  pods: [],
  network: { state: "shut" } as const,
  terminating: null,
  seen: null,
};
const A = ["research/a"];

const CASES: { why: string; condition: Condition; observed: Partial<Observed>; open: string[] }[] = [
  {
    why: "what is absent has no network",
    condition: { is: "network-shut", workspaces: A },
    observed: {},
    open: [],
  },
  {
    why: "shut is shut",
    condition: { is: "network-shut", workspaces: A },
    observed: { workspaces: [workspace()] },
    open: [],
  },
  {
    why: "open is not",
    condition: { is: "network-shut", workspaces: A },
    observed: { workspaces: [workspace({ network: OPEN })] },
    open: ["network of research/a is open"],
  },
  {
    why: "opened by somebody else is not, and who it is",
    condition: { is: "network-shut", workspaces: A },
    observed: { workspaces: [workspace({ network: { state: "breached", by: "policy x", seen: null } })] },
    open: ["network of research/a is opened by policy x"],
  },
  {
    why: "every pod counts, also one that ends",
    condition: { is: "instances-gone", workspaces: A },
    observed: {
      workspaces: [workspace({
        instances: [
          readyInstance({ state: "terminating" }),
          readyInstance({ name: "other-0", state: "unreachable", reason: "its node does not answer" }),
        ],
      })],
    },
    open: [
      "pod research-a-0 is terminating on node node-1",
      "pod other-0 is unreachable on node node-1: its node does not answer",
    ],
  },
  {
    why: "leftovers count",
    condition: { is: "workspaces-gone", workspaces: A },
    observed: { workspaces: [workspace({ power: null })] },
    open: ["research/a still exists"],
  },
  {
    why: "what ends says why it does not",
    condition: { is: "workspaces-gone", workspaces: A },
    observed: { workspaces: [workspace({ terminating: "statefulset x: finalizer y" })] },
    open: ["statefulset x: finalizer y"],
  },
  {
    why: "an incomplete scope is not intact",
    condition: { is: "scope-intact" },
    observed: { scope: { state: "incomplete", name: "wps-p", detail: "no quota", seen: null } },
    open: ["scope is incomplete"],
  },
  { why: "a scope that stands", condition: { is: "scope-gone" }, observed: {}, open: ["wps-p still exists"] },
  {
    why: "a scope that goes says what holds it",
    condition: { is: "scope-gone" },
    observed: { scope: { state: "terminating", name: "wps-p", detail: "still in it: pod x", seen: null } },
    open: ["still in it: pod x"],
  },
  {
    why: "a scope that is gone",
    condition: { is: "scope-gone" },
    observed: { scope: { state: "absent" } },
    open: [],
  },
  {
    why: "a volume must be there and bound",
    condition: { is: "volumes-usable", volumes: ["raw", "outputs", "prepared"] },
    observed: {
      volumes: [boundVolume("raw"), boundVolume("outputs", { state: "pending", detail: "no class" })],
    },
    open: ["no class", "volume prepared does not exist"],
  },
  {
    why: "a released volume still is something",
    condition: { is: "volumes-gone", volumes: ["raw", "prepared"] },
    observed: { volumes: [boundVolume("raw", { state: "released" })] },
    open: ["volume vol-raw is released"],
  },
  {
    why: "retained means bound and set so",
    condition: { is: "volumes-retained", volumes: ["raw", "outputs", "prepared"] },
    observed: { volumes: [boundVolume("raw"), boundVolume("outputs", { retained: false })] },
    open: ["volume outputs is not retained yet", "volume prepared is not retained yet"],
  },
  {
    why: "a consolidation counts when it succeeded",
    condition: { is: "consolidated", uploads: ["uploads/h", "uploads/i", "uploads/j"] },
    observed: {
      tasks: [{ ...TASK, state: "running" }, { ...TASK, key: "uploads/i", state: "succeeded" }],
    },
    open: ["consolidation of uploads/h running", "consolidation of uploads/j has not started"],
  },
  {
    why: "a task that ends says why it does not",
    condition: { is: "tasks-gone", tasks: ["uploads/h", "uploads/i"] },
    observed: { tasks: [{ ...TASK, state: "failed", terminating: "job x: its pod ends" }] },
    open: ["job x: its pod ends"],
  },
  {
    why: "ready is the live pod's",
    condition: { is: "ready", workspace: "research/a" },
    observed: {
      workspaces: [
        workspace({
          instances: [readyInstance({ state: "terminating" }), readyInstance({ name: "next-0" })],
        }),
      ],
    },
    open: [],
  },
  {
    why: "running is not ready",
    condition: { is: "ready", workspace: "research/a" },
    observed: {
      workspaces: [workspace({ instances: [readyInstance({ ready: false, reason: "starting" })] })],
    },
    open: ["pod research-a-0 is running, not ready on node node-1: starting"],
  },
  {
    why: "no pod is named, too",
    condition: { is: "ready", workspace: "research/a" },
    observed: {},
    open: ["research/a has no pod yet"],
  },
  {
    why: "what is absent is not reachable",
    condition: { is: "reachable", workspace: "research/a" },
    observed: {},
    open: ["research/a is not reachable"],
  },
  {
    why: "foreign objects by name",
    condition: { is: "nothing-foreign" },
    observed: { foreign: [{ object: "Secret x", why: "it has no mark" }] },
    open: ["Secret x: it has no mark"],
  },
  {
    why: "only an event can name a person",
    condition: { is: "members-named", roles: ["reviewer"] },
    observed: {},
    open: ["no reviewer has been named"],
  },
];

for (const { why, condition, observed, open } of CASES) {
  Deno.test(`unmet: ${condition.is}: ${why}`, () => assert.deepEqual(unmet(condition, seen(observed)), open));
}

Deno.test("describeInstance: a pod that nobody has placed yet", () => {
  const text = describeInstance(
    readyInstance({ state: "pending", node: null, reason: "0/3 nodes are available" }),
  );
  assert.equal(text, "pod research-a-0 is pending: 0/3 nodes are available");
});

Deno.test("liveInstance: an unreachable pod counts as running, one that ends does not (invariant 2)", () => {
  const [ending, lost] = [readyInstance({ state: "terminating" }), readyInstance({ state: "unreachable" })];
  assert.equal(liveInstance(workspace({ instances: [ending, lost] })), lost);
  assert.equal(liveInstance(workspace({ instances: [ending] })), null);
});

Deno.test("describeCondition: each in words that name what it is about", () => {
  for (const { condition } of CASES) {
    const text = describeCondition(condition);
    const about = Object.values(condition).flat().filter((value) => value !== condition.is);
    assert.ok(about.every((name) => text.includes(name)), text);
  }
});

Deno.test("unmet: whatever is planned, each wait names what it waits for, or is over", async () => {
  const phases = await builtInPhases();
  let waits = 0;
  for (const from of phases.statuses.keys()) {
    for (const to of phases.statuses.keys()) {
      const trip = journey(phases);
      trip.reach(permitOf({ status: from, ingressBatch: 1 }));
      const permit = permitOf({ status: to, ingressBatch: 1 });
      for (let round = 0; round < 12; round++) {
        const { waves, awaiting } = nextStretch(trip.planFor(permit).steps);
        for (const { action } of waves.flat()) trip.platform.apply(action);
        // Before time has passed: what is waited for is not there yet.
        const observed = trip.platform.observe();
        for (const { id, after } of waves.length === 0 ? awaiting : []) {
          waits++;
          const open = after.flatMap((condition) => unmet(condition, observed));
          assert.ok(open.length > 0 && open.every((text) => text.length > 5), `${from} → ${to}: ${id}`);
        }
        if (waves.length === 0) trip.platform.tick();
      }
    }
  }
  assert.ok(waits > 20, `${waits} waits`);
});
