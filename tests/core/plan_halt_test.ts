import assert from "node:assert/strict";
import { unmet } from "../../src/core/condition.ts";
import type { ObservedNetwork, ObservedTask, ObservedWorkspace, TaskPod } from "../../src/core/observed.ts";
import { plan } from "../../src/core/plan.ts";
import type { Permit } from "../../src/core/permit.ts";
import type { Plan } from "../../src/core/step.ts";
import { nextStretch } from "../../src/runner/stretch.ts";
import { neverSeen } from "../conformance/fixtures.ts";
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
  const input = { permit: HALTED, records: [], proven: new Set<string>(), phases, site: SITE, nowMs: 0 };
  return plan({ ...input, observed: trip.platform.observe(), insist: true });
}

const OPEN: ObservedNetwork = { state: "open", posture: "isolated", hash: "", openedFor: "u", seen: null };
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

const POD: TaskPod = { uid: "u", name: "p", mounts: [], gated: true };

/** A permit whose uploads are being copied into `raw`; `given` replaces what is seen of the first task. */
function consolidating(given: Partial<ObservedTask> = {}): Journey {
  const trip = journey(phases);
  trip.reach(permitOf({ status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 1 }));
  const permit = permitOf({ status: "DATA_PREPARATION_PENDING", ingressBatch: 1 });
  for (let round = 0; round < 20 && trip.platform.state.tasks.size < 2; round++) {
    for (const { action } of nextStretch(trip.planFor(permit).steps).waves.flat()) {
      trip.platform.apply(action);
    }
    if (trip.platform.state.tasks.size < 2) trip.platform.tick();
  }
  const [task] = trip.platform.state.tasks.values();
  Object.assign(task ?? assert.fail("no task"), given);
  return trip;
}

Deno.test("plan: a halt ends the consolidations that run before it waits for anything", () => {
  const A = "uploads/hospital-a", B = "uploads/hospital-b";
  const cases: [why: string, given: Partial<ObservedTask>, removed: string[], awaited: string[]][] = [
    ["both run", {}, [A, B], [A, B]],
    ["one succeeded: its proof stays, or verified uploads were copied again", { state: "succeeded" }, [B], [
      B,
    ]],
    ["one failed: its last words stay", { state: "failed", pods: [] }, [B], [B]],
    ["one failed, its pod has not ended", { state: "failed", pods: [POD] }, [A, B], [A, B]],
    ["one is being deleted", { terminating: "Job a is Terminating" }, [B], [A, B]],
  ];
  for (const [why, given, removed, awaited] of cases) {
    for (const insist of [true, false]) {
      const trip = consolidating(given);
      const observed = trip.platform.observe();
      const input = {
        permit: { ...HALTED, status: "DATA_PREPARATION_PENDING" },
        records: [],
        proven: new Set<string>(),
        phases,
        site: SITE,
        nowMs: 0,
      };
      for (const takingOnly of [true, false]) {
        const made = plan({ ...input, observed, insist, takingOnly });
        const now = nextStretch(made.steps).waves.flat();
        const ends = now.filter(({ kind }) => kind === "remove-task").map(({ target }) => target);
        assert.deepEqual(ends, removed, why);
        const tasks = made.steps.flatMap(({ after }) =>
          after.flatMap((condition) => condition.is === "tasks-gone" ? condition.tasks : [])
        );
        assert.deepEqual(tasks, awaited, why);
      }
    }
  }
});

Deno.test("plan: a halt cuts first although a consolidation runs, and after the resume it runs again", () => {
  const trip = consolidating();
  trip.platform.state.workspaces.set(MINE, { ...neverSeen(MINE), power: "running", network: OPEN });
  const halted = permitOf({ status: "DATA_PREPARATION_PENDING", ingressBatch: 1, halted: true });
  const [first = []] = nextStretch(trip.planFor(halted).steps).waves;
  assert.deepEqual(first.map(({ kind }) => kind), ["cut-network", "remove-task", "remove-task"]);
  trip.reach(halted);
  assert.equal(trip.platform.state.tasks.size, 0);
  const after = trip.reach({ ...halted, halted: false });
  assert.equal(after.filter((id) => id.startsWith("consolidate ")).length, 2);
  assert.deepEqual(trip.platform.violations, []);
});

Deno.test("plan: a consolidation that somebody lets out is ended first, whatever the permit should be", () => {
  const by = "NetworkPolicy let-me-out";
  const wishes: [string, Partial<Permit>][] = [
    ["it goes on", { status: "DATA_PREPARATION_PENDING" }],
    ["a phase that does not name it", { status: "ARCHIVED" }],
    ["a status that nobody knows", { status: "NEVER_HEARD_OF" }],
    ["deleted", { status: "ARCHIVED", deletion: "requested" }],
    ["deleted while halted", { status: "ARCHIVED", deletion: "requested", halted: true }],
  ];
  for (const [why, wish] of wishes) {
    const trip = consolidating({ network: { state: "breached", by } });
    const { steps } = trip.planFor(permitOf({ ingressBatch: 1, ...wish }));
    const ids = steps.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, `${why}: no step twice: ${ids.join(", ")}`);
    const first = steps.filter(({ wave }) => wave === 1).map(({ id }) => id);
    assert.ok(first.includes("remove-task uploads/hospital-a"), `${why}: ${ids.join(", ")}`);
    const stays = wish.status === "DATA_PREPARATION_PENDING";
    if (stays) assert.ok(!first.includes("remove-task uploads/hospital-b"), "the other is let alone");
  }
});
