import assert from "node:assert/strict";
import type { Step } from "../../src/core/step.ts";
import { nextStretch } from "../../src/runner/stretch.ts";
import { builtInPhases, journey, permitOf } from "../core/plan_fixture.ts";

const phases = await builtInPhases();

/** "start research/a" of a wave that follows another. */
function planned(steps: [id: string, wave: number, what: Step["do"]][]): Step[] {
  return steps.map(([id, wave, what]): Step => {
    const base = { id, target: "a", why: "", wave, before: [], after: [] };
    if (what === "await") return { ...base, do: "await", kind: "await-gone", wait: "gone" };
    if (what === "later") return { ...base, do: "later", kind: "start" };
    return { ...base, do: "apply", kind: "destroy-scope", action: { kind: "destroy-scope", seen: null } };
  });
}

const CASES: { name: string; steps: Parameters<typeof planned>[0]; waves: string[][]; awaiting: string[] }[] =
  [
    { name: "nothing", steps: [], waves: [], awaiting: [] },
    {
      name: "waves follow each other, steps of one stay together",
      steps: [["a", 1, "apply"], ["b", 1, "apply"], ["c", 2, "apply"]],
      waves: [["a", "b"], ["c"]],
      awaiting: [],
    },
    {
      name: "what is behind a wait is left to the next plan",
      steps: [["a", 1, "apply"], ["w", 2, "await"], ["b", 3, "apply"]],
      waves: [["a"]],
      awaiting: ["w"],
    },
    {
      name: "what stands beside a wait is applied, and nothing after",
      steps: [["a", 1, "apply"], ["w", 1, "await"], ["b", 2, "apply"]],
      waves: [["a"]],
      awaiting: ["w"],
    },
    {
      name: "steps for later are never run, and no barrier",
      steps: [["l", 1, "later"], ["a", 2, "apply"]],
      waves: [["a"]],
      awaiting: [],
    },
    {
      name: "waves are taken by their number, not by their place",
      steps: [["b", 2, "apply"], ["a", 1, "apply"]],
      waves: [["a"], ["b"]],
      awaiting: [],
    },
  ];

for (const { name, steps, waves, awaiting } of CASES) {
  Deno.test(`nextStretch: ${name}`, () => {
    const stretch = nextStretch(planned(steps));
    assert.deepEqual(stretch.waves.map((wave) => wave.map(({ id }) => id)), waves);
    assert.deepEqual(stretch.awaiting.map(({ id }) => id), awaiting);
  });
}

Deno.test("plan: no two steps of a plan bear one id, because waits and counts go by it", () => {
  const wishes = [...phases.statuses.keys()].map((status) => permitOf({ status, ingressBatch: 1 }));
  const ends = [{ halted: true }, { deletion: "requested" as const }].map(permitOf);
  for (const from of wishes) {
    for (const to of [...wishes, ...ends]) {
      const trip = journey(phases);
      trip.reach(permitOf({ status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 1 }));
      trip.reach(from, 12);
      const ids = trip.planFor(to).steps.map(({ id }) => id);
      const twice = ids.filter((id, index) => ids.indexOf(id) !== index);
      assert.deepEqual(twice, [], `${from.status} → ${to.status}`);
    }
  }
});

Deno.test("nextStretch: whatever is planned, giving never stands in one stretch behind taking away", () => {
  const taking = new Set(["cut-network", "stop"]);
  const giving = new Set(["ensure-identity", "start", "open-network", "ensure-volume"]);
  for (const from of phases.statuses.keys()) {
    for (const to of phases.statuses.keys()) {
      const trip = journey(phases);
      trip.reach(permitOf({ status: from, ingressBatch: 1 }));
      const { waves } = nextStretch(trip.planFor(permitOf({ status: to, ingressBatch: 1 })).steps);
      const kinds = waves.flat().map(({ kind }) => kind);
      const takes = kinds.some((kind) => taking.has(kind));
      assert.ok(!takes || !kinds.some((kind) => giving.has(kind)), `${from} → ${to}: ${kinds.join(" ")}`);
    }
  }
});
