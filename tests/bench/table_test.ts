import assert from "node:assert/strict";
import { quantile, render, spread } from "../../bench/table.ts";

Deno.test("quantile: between two values where the share falls between them", () => {
  const cases: [values: number[], share: number, expected: number][] = [
    [[3], 0.5, 3],
    [[4, 1], 0.5, 2.5],
    [[3, 1, 2], 0.5, 2],
    [[0, 10, 20, 30, 40], 0.25, 10],
    [[0, 10], 0.9, 9],
    [[5, 1], 1, 5],
  ];
  for (const [values, share, expected] of cases) assert.equal(quantile(values, share), expected, `${values}`);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

Deno.test("spread: median and spread, as much as so many samples can tell", () => {
  const count = (n: number): number[] => Array.from({ length: n }, (_, index) => index + 1);
  assert.equal(spread([7.04]), "7.0 ms (measured once)");
  assert.equal(spread([9, 1, 2]), "2.0 ms median of 9.0, 1.0, 2.0");
  assert.equal(spread(count(9)), "5.0 ms median, half within 3.0 to 7.0 (n=9)");
  assert.equal(spread(count(31)), "16.0 ms median, 80 % within 4.0 to 28.0 (n=31)");
  assert.equal(spread(count(201)), "101.0 ms median, 80 % within 21.0 to 181.0, 99 % below 199.0 (n=201)");
  assert.equal(spread([30_000, 31_000, 29_000], "/s", 0), "30000/s median of 30000, 31000, 29000");
});

Deno.test("spread: one outlier decides no printed figure, however many samples there are", () => {
  for (const n of [8, 10, 19, 20, 30, 199, 200, 500]) {
    const calm = Array.from({ length: n }, (_, index) => 100 + index % 5);
    const disturbed = [...calm.slice(1), 1e9];
    const figures = [...spread(disturbed).matchAll(/[\d.]+/g)].map(([figure]) => Number(figure));
    assert.ok(figures.length >= 4, spread(disturbed));
    assert.ok(figures.every((figure) => figure <= 500), `${n}: ${spread(disturbed)}`);
  }
});

Deno.test("render: a heading a section, aligned, the ratio beside its figure", () => {
  const rows = [
    { section: "a", what: "x", value: "1", ratio: 1.234 },
    { section: "a", what: "long", value: "2", ratio: null },
    { section: "b", what: "y", value: "3", ratio: null },
  ];
  assert.equal(render(rows), "\na\n  x     1   ×1.23\n  long  2\n\nb\n  y     3");
});
