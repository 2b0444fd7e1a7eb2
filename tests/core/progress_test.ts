import assert from "node:assert/strict";
import fc from "fast-check";
import { progressOf } from "../../src/core/progress.ts";
import type { StepKind } from "../../src/core/step.ts";

const MEDIANS = new Map<StepKind, number>([["stop", 400], ["start", 1_000]]);

const CASES: {
  why: string;
  counts: { done: number; total: number };
  remaining?: StepKind[];
  running?: { kind: StepKind; startedAtMs: number }[];
  percent: number;
  estimateMs: number | null;
}[] = [
  { why: "nothing to do is all done", counts: { done: 0, total: 0 }, percent: 100, estimateMs: 0 },
  { why: "a third, rounded down", counts: { done: 1, total: 3 }, percent: 33, estimateMs: 0 },
  { why: "nearly all is not all", counts: { done: 999, total: 1_000 }, percent: 99, estimateMs: 0 },
  {
    why: "more done than known is all, not more",
    counts: { done: 5, total: 3 },
    percent: 100,
    estimateMs: 0,
  },
  {
    why: "what remains takes as long as it took",
    counts: { done: 0, total: 2 },
    remaining: ["stop", "start"],
    percent: 0,
    estimateMs: 1_400,
  },
  {
    why: "what runs counts with what is left of it",
    counts: { done: 0, total: 1 },
    running: [{ kind: "start", startedAtMs: 9_700 }],
    percent: 0,
    estimateMs: 700,
  },
  {
    why: "what takes longer than usual is due now",
    counts: { done: 0, total: 1 },
    running: [{ kind: "stop", startedAtMs: 0 }],
    percent: 0,
    estimateMs: 0,
  },
  {
    why: "without history there is no estimate",
    counts: { done: 0, total: 2 },
    remaining: ["stop", "consolidate"],
    percent: 0,
    estimateMs: null,
  },
  {
    why: "nor for what runs without history",
    counts: { done: 0, total: 1 },
    running: [{ kind: "consolidate", startedAtMs: 0 }],
    percent: 0,
    estimateMs: null,
  },
];

for (const { why, counts, remaining = [], running = [], percent, estimateMs } of CASES) {
  Deno.test(`progressOf: ${why}`, () => {
    const progress = progressOf(counts, remaining, running, MEDIANS, 10_000);
    assert.deepEqual([progress.percent, progress.estimateMs], [percent, estimateMs]);
  });
}

Deno.test("progressOf: percent is whole, never above 100, and 100 only when all is done", () => {
  const counts = fc.record({ done: fc.nat(5_000), total: fc.nat(5_000) });
  fc.assert(fc.property(counts, ({ done, total }) => {
    const { percent, ...progress } = progressOf({ done, total }, [], [], MEDIANS, 0);
    assert.ok(Number.isInteger(percent) && percent >= 0 && percent <= 100);
    assert.equal(percent === 100, done >= total);
    assert.ok(progress.done <= progress.total);
  }));
});
