import assert from "node:assert/strict";
import { RUNNING_MAX, ToldSteps } from "../../src/api/told_steps.ts";

type Outcome = Parameters<ToldSteps["take"]>[0]["outcome"];

/** What is taken of these steps, in their order. */
function taken(told: ToldSteps, steps: [id: number, outcome: Outcome][]): number[] {
  return steps.filter(([id, outcome]) => told.take({ id, outcome })).map(([id]) => id);
}

Deno.test("ToldSteps: each step as running and as ended, once, also by who reconnects after any of them", () => {
  const history: [number, Outcome][] = [
    [5, "running"],
    [6, "running"],
    [6, "failed"],
    [5, "done"],
    [8, "waited"],
    [9, "running"],
    [9, "abandoned"],
  ];
  const now: [number, Outcome][] = [[5, "done"], [6, "failed"], [8, "waited"], [9, "abandoned"]];
  for (let at = 0; at <= history.length; at++) {
    const first = new ToldSteps(41, null);
    assert.equal(taken(first, history.slice(0, at)).length, at, "each is news");
    assert.deepEqual(taken(first, history.slice(0, at)).filter((id) => ![5, 6, 9].includes(id)), []);
    const told = new ToldSteps(41, null);
    taken(told, history.slice(0, at));
    const again = new ToldSteps(41, told.id(false));
    const ended = history.slice(0, at).filter(([, outcome]) => outcome !== "running").map(([id]) => id);
    assert.deepEqual(
      taken(again, now),
      now.map(([id]) => id).filter((id) => !ended.includes(id)),
      told.id(false),
    );
    assert.deepEqual(taken(again, now), [], "and then no more");
  }
});

Deno.test("ToldSteps: what is no id of this job's stream counts as nothing told", () => {
  const cases = [
    ["", "nothing"],
    ["42-9", "another job's"],
    ["9", "no job"],
    ["41-", "no step"],
    ["41-9:", "no running step"],
    ["41-9:1,", "half a list"],
    ["41-x", "not a number"],
    [`41-9:${Array(51).fill(1).join(",")}`, "longer than any of ours"],
    ["41-9;ended", "not ours"],
    ["9".repeat(10_000), "long"],
  ] as const;
  for (const [lastId, why] of cases) {
    const told = new ToldSteps(41, lastId);
    assert.deepEqual([taken(told, [[1, "done"]]), told.hasEnd], [[1], false], why);
  }
  assert.equal(new ToldSteps(41, "41-9;end").hasEnd, true);
  assert.equal(new ToldSteps(42, "41-9;end").hasEnd, false, "of another job");
});

Deno.test("ToldSteps: an id stays short: of very many running steps some are told again, none is missed", () => {
  const told = new ToldSteps(1, null);
  const many = Array.from(
    { length: RUNNING_MAX + 1 },
    (_, index): [number, Outcome] => [index + 10, "running"],
  );
  taken(told, [[3, "done"], ...many]);
  assert.equal(told.id(false), "1-9");
  taken(told, [[10, "done"]]);
  const id = told.id(true);
  assert.ok(id.length < 1_000 && id.endsWith(";end"), id);
  const again = new ToldSteps(1, id);
  assert.deepEqual(taken(again, [[10, "done"], ...many.slice(1)]), []);
});
