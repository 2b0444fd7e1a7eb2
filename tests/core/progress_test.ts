import assert from "node:assert/strict";
import fc from "fast-check";
import { progressOf } from "../../src/core/progress.ts";

const CASES: { why: string; counts: { done: number; total: number }; percent: number }[] = [
  { why: "nothing to do is all done", counts: { done: 0, total: 0 }, percent: 100 },
  { why: "a third, rounded down", counts: { done: 1, total: 3 }, percent: 33 },
  { why: "nearly all is not all", counts: { done: 999, total: 1_000 }, percent: 99 },
  { why: "more done than known is all, not more", counts: { done: 5, total: 3 }, percent: 100 },
];

for (const { why, counts, percent } of CASES) {
  Deno.test(`progressOf: ${why}`, () => assert.equal(progressOf(counts).percent, percent));
}

Deno.test("progressOf: percent is whole, never above 100, and 100 only when all is done", () => {
  const counts = fc.record({ done: fc.nat(5_000), total: fc.nat(5_000) });
  fc.assert(fc.property(counts, ({ done, total }) => {
    const { percent, ...progress } = progressOf({ done, total });
    assert.ok(Number.isInteger(percent) && percent >= 0 && percent <= 100);
    assert.equal(percent === 100, done >= total);
    assert.ok(progress.done <= progress.total);
  }));
});
