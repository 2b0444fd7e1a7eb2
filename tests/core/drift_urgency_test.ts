import assert from "node:assert/strict";
import {
  obstaclesByUrgency,
  obstacleUrgency,
  stepsByUrgency,
  stepUrgency,
} from "../../src/core/drift_urgency.ts";
import type { Permit } from "../../src/core/permit.ts";
import { builtInPhases, type Journey, journey, permitOf } from "./plan_fixture.ts";

const phases = await builtInPhases();

function volume(trip: Journey, key: string): { retained: boolean } {
  const found = trip.platform.state.volumes.get(key);
  assert.ok(found !== undefined, key);
  return found;
}

Deno.test("stepsByUrgency: an open network, then guards and pods, then data, then the rest", () => {
  const cases: {
    why: string;
    reached: Partial<Permit>;
    wish?: Partial<Permit>;
    spoil(trip: Journey): void;
    first: string[];
  }[] = [
    {
      why: "a volume that is not retained is repaired in the first wave, and is not the gravest",
      reached: { status: "ANALYSIS_ACTIVE" },
      wish: { status: "ARCHIVED" },
      spoil: (trip) => volume(trip, "prepared").retained = false,
      first: [
        "cut-network access",
        "cut-network access",
        "await-cut access",
        "stop access",
        "stop access",
        "retain-volume data",
      ],
    },
    {
      why: "a missing guard comes before a missing workspace",
      reached: { status: "ANALYSIS_ACTIVE" },
      spoil: (trip) => {
        trip.platform.state.scope = {
          state: "incomplete",
          name: "wps-p",
          seen: null,
          detail: "no default-deny policy",
        };
        trip.platform.state.workspaces.delete("research/l.maes");
      },
      first: ["ensure-scope access", "ensure-identity other"],
    },
    {
      why: "a workspace alone is nothing urgent",
      reached: { status: "WORKSPACE_SETUP_PENDING" },
      spoil: (trip) => trip.platform.state.workspaces.delete("research/l.maes"),
      first: ["ensure-identity other", "start other"],
    },
  ];
  for (const { why, reached, wish, spoil, first } of cases) {
    const trip = journey(phases);
    trip.reach(permitOf(reached));
    spoil(trip);
    const { steps } = trip.planFor(permitOf(wish ?? reached));
    const told = stepsByUrgency(steps).map((step) => `${step.kind} ${stepUrgency(step)}`);
    assert.deepEqual(told.slice(0, first.length), first, `${why}: ${told}`);
    assert.equal(told.length, steps.length, why);
  }
});

Deno.test("obstaclesByUrgency: a way out, a stranger's object, lost data, what a person is to decide", () => {
  const reasons = ["consolidation-refused", "volume-lost", "foreign-object", "isolation-unproven"] as const;
  const sorted = obstaclesByUrgency(reasons.map((reason) => ({ reason })));
  assert.deepEqual(sorted.map((obstacle) => `${obstacle.reason} ${obstacleUrgency(obstacle)}`), [
    "isolation-unproven access",
    "foreign-object access",
    "volume-lost data",
    "consolidation-refused other",
  ]);
});
