import assert from "node:assert/strict";
import { ago, duration, instantText, until } from "../../src/cli/time.ts";

Deno.test("duration: two units at most, none lost by rounding", () => {
  const cases: Array<[number, string]> = [
    [-5, "0 ms"],
    [0, "0 ms"],
    [99, "99 ms"],
    [100, "0.1 s"],
    [9_949, "9.9 s"],
    [9_960, "10 s"],
    [59_400, "59 s"],
    [59_600, "1 min"],
    [185_000, "3 min 5 s"],
    [3_599_600, "1 h"],
    [7_800_000, "2 h 10 min"],
    [356_400_000, "4 d 3 h"],
  ];
  for (const [ms, expected] of cases) assert.equal(duration(ms), expected, `${ms} ms`);
});

Deno.test("ago, until: clocks may differ", () => {
  const now = Date.parse("2026-11-22T10:00:00Z");
  assert.equal(ago("2026-11-22T09:59:00Z", now), "1 min ago");
  assert.equal(ago("2026-11-22T10:00:03Z", now), "just now", "the service's clock is ahead");
  assert.equal(until("2026-11-22T10:00:30Z", now), "in 30 s");
  assert.equal(until("2026-11-22T09:00:00Z", now), "now");
});

Deno.test("instantText: UTC, and what is no instant stays as it came", () => {
  assert.equal(instantText("2026-11-22T12:00:00.500+02:00"), "2026-11-22 10:00:00Z");
  assert.equal(instantText("soon"), "soon");
});
