import assert from "node:assert/strict";
import type { Step } from "../../src/core/step.ts";
import { createTally } from "../../src/runner/tally.ts";

function plan(...ids: string[]): Step[] {
  return ids.map((id, index): Step => {
    const [kind = ""] = id.split(" ");
    const base = { id, target: "a", why: "", wave: index + 1, before: [], after: [] };
    if (kind.startsWith("await-")) return { ...base, do: "await", kind: "await-ready", wait: "ready" };
    return { ...base, do: "later", kind: "start" };
  });
}

Deno.test("tally: steps done stay counted, waits do not count, and done never exceeds total", () => {
  const tally = createTally(new Set());
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
  const tally = createTally(new Set());
  for (let round = 0; round < 5; round++) {
    tally.planned(plan("start a", "open-network a"));
    assert.deepEqual(tally.progress(), { done: 0, total: 2 });
    tally.applied(["start a"]);
    assert.deepEqual(tally.progress(), { done: 1, total: 2 });
  }
});

Deno.test("tally: a retry goes on counting where the last attempt ended", () => {
  const tally = createTally(new Set(["stop a", "start a"]));
  tally.planned(plan("start a", "open-network a"));
  assert.deepEqual(tally.progress(), { done: 1, total: 3 });
});
