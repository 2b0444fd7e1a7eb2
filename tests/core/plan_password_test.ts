import assert from "node:assert/strict";
import { plan } from "../../src/core/plan.ts";
import type { PlanInput } from "../../src/core/plan_input.ts";
import { builtInPhases, journey, permitOf, SITE } from "./plan_fixture.ts";

const phases = await builtInPhases();
const MINE = "research/j.virtanen", OTHER = "research/l.maes";

Deno.test("plan: who runs without a password that WPS knows gets one, and nothing else happens", () => {
  const cases: [why: string, given: Partial<PlanInput>, rotated: string[]][] = [
    ["both are kept", { passwords: new Set([MINE, OTHER]) }, []],
    ["one is missing", { passwords: new Set([OTHER]) }, [MINE]],
    ["nobody says which are kept", {}, []],
    ["a job that only takes gives no password", { passwords: new Set(), takingOnly: true }, []],
  ];
  for (const [why, given, rotated] of cases) {
    const trip = journey(phases);
    const permit = permitOf({ status: "ANALYSIS_ACTIVE" });
    trip.reach(permit);
    const records = [...trip.records.values()];
    const { proven } = trip.platform.state;
    const input = {
      permit,
      records,
      proven,
      observed: trip.platform.observe(),
      phases,
      site: SITE,
      nowMs: 0,
    };
    const made = plan({ ...input, ...given });
    const ids = made.steps.map((step) => {
      const rotates = step.do === "apply" && step.action.kind === "ensure-identity" && step.action.rotate;
      return rotates ? step.target : step.id;
    });
    assert.deepEqual(ids, rotated, why);
  }
});

Deno.test("plan: a missing password waits behind what stands in the way", () => {
  const trip = journey(phases);
  const permit = permitOf({ status: "ANALYSIS_ACTIVE" });
  trip.reach(permit);
  trip.platform.state.foreign.push({ object: "configmap x", why: "it is not WPS's" });
  const records = [...trip.records.values()];
  const observed = trip.platform.observe();
  const made = plan({
    permit,
    records,
    proven: trip.platform.state.proven,
    observed,
    phases,
    site: SITE,
    nowMs: 0,
    passwords: new Set(),
  });
  assert.deepEqual([made.steps, made.obstacles.length], [[], 1]);
});
