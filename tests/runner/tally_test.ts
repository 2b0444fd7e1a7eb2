import assert from "node:assert/strict";
import { z } from "zod";
import type { Step } from "../../src/core/step.ts";
import { createTally, NOTHING_TOLD, type Progress } from "../../src/runner/tally.ts";
import { builtInPhases, type Heed, journey, permitOf, wishesOf } from "../core/plan_fixture.ts";
import { PERMIT, withStage } from "./stage.ts";

function plan(...ids: string[]): Step[] {
  return ids.map((id, index): Step => {
    const [kind = ""] = id.split(" ");
    const base = { id, target: "a", why: "", wave: index + 1, before: [], after: [] };
    if (kind.startsWith("await-")) return { ...base, do: "await", kind: "await-ready", wait: "ready" };
    return { ...base, do: "later", kind: "start" };
  });
}

Deno.test("tally: steps done stay counted, waits do not count, and done never exceeds total", () => {
  const tally = createTally(NOTHING_TOLD);
  tally.planned(plan("stop a", "await-gone pods", "start a", "open-network a"));
  assert.deepEqual(tally.progress(), { done: 0, total: 3 });
  tally.applied(["stop a"]);
  assert.deepEqual(tally.progress(), { done: 1, total: 3 });
  tally.planned(plan("start a", "await-ready a", "open-network a"));
  assert.deepEqual(tally.progress(), { done: 1, total: 3 }, "the total is stable from look to look");
  tally.applied(["start a"]);
  tally.planned(plan("open-network a"));
  tally.applied(["open-network a"]);
  tally.planned([]);
  assert.deepEqual(tally.progress(), { done: 3, total: 3 });
});

Deno.test("tally: a step that must be done again is not done, however often it was", () => {
  const tally = createTally(NOTHING_TOLD);
  for (let round = 0; round < 5; round++) {
    tally.planned(plan("start a", "open-network a"));
    assert.deepEqual(tally.progress(), { done: 0, total: 2 });
    tally.applied(["start a"]);
    assert.deepEqual(tally.progress(), { done: 1, total: 2 });
  }
});

Deno.test("tally: a retry goes on counting where the last attempt ended", () => {
  const tally = createTally({ done: new Set(["stop a", "start a"]), total: 3 });
  tally.planned(plan("start a", "open-network a"));
  assert.deepEqual(tally.progress(), { done: 1, total: 3 });
});

Deno.test("tally: the total that was told stays over a restart, whatever the crash left to do", () => {
  const ids = ["stop a", "start a", "prove a", "open-network a"];
  const cases: Array<[why: string, done: string[], ahead: string[], told: Progress]> = [
    ["all was recorded", ids.slice(0, 2), ids.slice(2), { done: 2, total: 4 }],
    ["a step was carried out and not recorded", ids.slice(0, 1), ids.slice(2), { done: 2, total: 4 }],
    ["a step must be done again", ids.slice(0, 2), ids.slice(1), { done: 1, total: 4 }],
    ["a step that nobody foresaw", ids.slice(0, 2), ["cut a", ...ids.slice(2)], { done: 1, total: 4 }],
    ["more than was ever told", ids.slice(0, 2), ["w a", "x a", "y a", "z a", "v a"], { done: 0, total: 5 }],
    ["nothing is left", ids.slice(0, 2), [], { done: 4, total: 4 }],
  ];
  for (const [why, done, ahead, told] of cases) {
    const tally = createTally({ done: new Set(done), total: ids.length });
    tally.planned(plan(...ahead));
    assert.deepEqual(tally.progress(), told, why);
    tally.applied(ahead);
    tally.planned([]);
    assert.deepEqual(tally.progress(), { done: told.total, total: told.total }, `${why}: the end`);
  }
});

const phases = await builtInPhases();
const INGRESS = { status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 1 };

/** Notes what is told of a way at each look. */
function witness(): { heed: Heed; told: Progress[] } {
  const tally = createTally(NOTHING_TOLD);
  const told: Progress[] = [];
  const heed: Heed = {
    planned(steps): void {
      tally.planned(steps);
      told.push(tally.progress());
    },
    applied: (ids): void => tally.applied(ids),
  };
  return { heed, told };
}

/** Differing totals among what was told; a total of zero is not shown. */
function totalsOf(told: readonly Progress[]): number[] {
  return [...new Set(told.map(({ total }) => total))].filter((total) => total > 0);
}

Deno.test("tally: the first plan of a way from any wish to any other tells its total", () => {
  const grown: string[] = [];
  for (const [fromName, from] of wishesOf(phases)) {
    for (const [toName, to] of wishesOf(phases)) {
      if (from.deletion === "requested" && to.deletion !== "requested") continue; // deletion is final
      for (const stopAfter of [Infinity, 4, 9]) {
        const trip = journey(phases);
        trip.reach(permitOf(INGRESS));
        trip.reach(permitOf(from), stopAfter);
        const { heed, told } = witness();
        trip.reach(permitOf(to), Infinity, heed);
        const totals = totalsOf(told);
        if (totals.length > 1) grown.push(`${fromName} (${stopAfter}) → ${toName}: ${totals}`);
      }
    }
  }
  assert.deepEqual(grown, []);
});

const LIFE = [
  "permit.ingress.initiated",
  "DATA_PREPARATION_PENDING",
  "DATA_PREPARATION_REVIEW_PENDING",
  "WORKSPACE_SETUP_PENDING",
  "WORKSPACE_SETUP_REVIEW_PENDING",
  "WORKSPACE_SETUP_REWORK",
  "ANALYSIS_ACTIVE",
  "permit.workspace.stop_requested",
  "permit.workspace.start_requested",
  "permit.halted",
  "permit.resumed",
  "WORKSPACE_SETUP_REWORK",
  "ANALYSIS_ACTIVE",
  "permit.deleted",
];

Deno.test("tally: no total of a job changes while it works, pods that end slowly and copies included", async () => {
  await withStage(async (stage) => {
    await stage.db.write((tx) =>
      tx.script(
        `create table told (done integer, total integer);
         create trigger tell after update of steps_done, steps_total on jobs
           begin insert into told values (new.steps_done, new.steps_total); end`,
      )
    );
    await stage.job((await stage.status("AWAITING_INGRESS")).jobId, "succeeded");
    for (const word of LIFE) {
      const { jobId } = await (word.startsWith("permit.") ? stage.send(word) : stage.status(word));
      await stage.job(jobId, "succeeded");
      if (word === LIFE[0]) {
        assert.ok(
          stage.inside.writeInside(PERMIT, "airlock/hospital-a", "/uploads/hospital-a/rows.csv", "1"),
        );
      }
      const row = z.object({ done: z.number(), total: z.number() });
      const told = await stage.db.read("select done, total from told", [], row);
      assert.equal(totalsOf(told).length, 1, `${word}: ${JSON.stringify(told)}`);
      await stage.db.write((tx) => tx.script("delete from told"));
    }
  }, { withoutDrift: true });
});
