import assert from "node:assert/strict";
import { unmet } from "../../src/core/condition.ts";
import type { ObservedNetwork, ObservedWorkspace } from "../../src/core/observed.ts";
import { plan } from "../../src/core/plan.ts";
import type { Plan } from "../../src/core/step.ts";
import { nextStretch } from "../../src/runner/stretch.ts";
import { builtInPhases, type Journey, journey, permitOf, SITE } from "./plan_fixture.ts";

const phases = await builtInPhases();
const HALTED = permitOf({ status: "ANALYSIS_ACTIVE", halted: true });
const MINE = "research/j.virtanen", OTHER = "research/l.maes";

/** Two researchers at work; `mine` replaces what is seen of the first. */
function atWork(mine: (workspace: ObservedWorkspace) => Partial<ObservedWorkspace>): Journey {
  const trip = journey(phases);
  trip.reach(permitOf({ status: "ANALYSIS_ACTIVE" }));
  const workspace = trip.platform.state.workspaces.get(MINE) ?? assert.fail(MINE);
  Object.assign(workspace, mine(workspace));
  return trip;
}

function halt(trip: Journey): Plan {
  const input = { permit: HALTED, records: [], proven: new Set<string>(), phases, site: SITE };
  return plan({ ...input, observed: trip.platform.observe(), insist: true });
}

const NETWORKS: Record<string, (network: ObservedNetwork) => ObservedNetwork> = {
  open: (network) => network,
  shut: ({ seen }) => ({ state: "shut", seen }),
  breached: ({ seen }) => ({ state: "breached", by: "networkpolicy x", seen }),
};

Deno.test("plan: a halt's first stretch can be carried out as it is, and cuts and stops whatever is seen", () => {
  for (const power of ["running", "stopped", null] as const) {
    for (const [state, networkOf] of Object.entries(NETWORKS)) {
      for (const isLive of [true, false]) {
        const label = `${power}, ${state}, ${isLive ? "with" : "without"} a pod`;
        const trip = atWork(({ instances, network, compute }) => ({
          power,
          compute: power === null ? null : compute,
          network: networkOf(network),
          instances: isLive ? instances : [],
        }));
        const made = halt(trip);
        const ids = made.steps.map(({ id }) => id);
        const { waves } = nextStretch(made.steps);
        const now = waves.flat().map(({ id }) => id);
        assert.equal(new Set(ids).size, ids.length, `${label}: no step twice: ${ids.join(", ")}`);
        for (const step of waves.flat()) {
          const open = step.before.flatMap((condition) => unmet(condition, trip.platform.observe()));
          assert.deepEqual(open, [], `${label}: ${step.id} cannot be carried out`);
        }
        assert.ok(now.includes(`cut-network ${MINE}`), `${label}: cut: ${now.join(", ")}`);
        assert.ok(now.includes(`cut-network ${OTHER}`), `${label}: the other: ${now.join(", ")}`);
        assert.equal(ids.includes(`stop ${MINE}`), power !== null, `${label}: stop: ${ids.join(", ")}`);
        const lastCut = now.findLastIndex((id) => id.startsWith("cut-network"));
        const firstStop = now.findIndex((id) => id.startsWith("stop"));
        assert.ok(firstStop === -1 || lastCut < firstStop, `${label}: cuts first: ${now.join(", ")}`);
      }
    }
  }
});
