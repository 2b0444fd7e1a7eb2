import assert from "node:assert/strict";
import { expiryMs, type ExpiryStep, expiryStep, isExpired } from "../../src/core/expiry.ts";
import { newPermit, type Permit } from "../../src/core/permit.ts";

const NOW_MS = Date.UTC(2026, 10, 22, 12);
const DAY_MS = 86_400_000;

const at = (ms: number): string => new Date(ms).toISOString();
const permitOf = (given: Partial<Permit>): Permit => ({ ...newPermit("p"), ...given });

Deno.test("isExpired: by the clock until it is on record, then whatever the clock says", () => {
  const cases: [why: string, permit: Partial<Permit>, nowMs: number, is: boolean][] = [
    ["no date", {}, NOW_MS, false],
    ["no date, whatever was on record", { expired: true }, NOW_MS, false],
    ["a date to come", { expiresAt: at(NOW_MS + 1) }, NOW_MS, false],
    ["at the very millisecond", { expiresAt: at(NOW_MS) }, NOW_MS, true],
    ["past", { expiresAt: at(NOW_MS - 1) }, NOW_MS, true],
    ["not on record, the clock went back", { expiresAt: at(NOW_MS) }, NOW_MS - DAY_MS, false],
    ["on record, the clock went back", { expiresAt: at(NOW_MS), expired: true }, NOW_MS - DAY_MS, true],
    [
      "finer than a millisecond counts from its beginning",
      {
        expiresAt: "2026-11-22T12:00:00.000900000Z",
      },
      NOW_MS,
      true,
    ],
    ["no instant at all", { expiresAt: "soon" }, NOW_MS, true],
  ];
  for (const [why, permit, nowMs, is] of cases) assert.equal(isExpired(permitOf(permit), nowMs), is, why);
  assert.equal(expiryMs({ expiresAt: at(NOW_MS) }), NOW_MS);
});

Deno.test("expiryStep: which warnings are due, whether it is over, and when to look again", () => {
  const none: ExpiryStep = { expires: false, warnings: [], nextAtMs: null };
  const inDays = (days: number): Partial<Permit> => ({ expiresAt: at(NOW_MS + days * DAY_MS) });
  const cases: [why: string, permit: Partial<Permit>, warnDays: number[], step: ExpiryStep][] = [
    ["no date", {}, [30, 7, 1], none],
    ["long before any warning", inDays(40), [30, 7, 1], { ...none, nextAtMs: NOW_MS + 10 * DAY_MS }],
    ["at the moment of a warning", inDays(30), [30, 7, 1], {
      ...none,
      warnings: [30],
      nextAtMs: NOW_MS + 23 * DAY_MS,
    }],
    ["several have passed: the nearest to the end first", inDays(5), [30, 7, 1], {
      ...none,
      warnings: [7, 30],
      nextAtMs: NOW_MS + 4 * DAY_MS,
    }],
    ["behind the last warning only the end is left", inDays(0.5), [1, 7], {
      ...none,
      warnings: [1, 7],
      nextAtMs: NOW_MS + DAY_MS / 2,
    }],
    ["the order and repetitions of the setting do not matter", inDays(5), [1, 7, 7, 30], {
      ...none,
      warnings: [7, 30],
      nextAtMs: NOW_MS + 4 * DAY_MS,
    }],
    ["no warnings wanted", inDays(5), [], { ...none, nextAtMs: NOW_MS + 5 * DAY_MS }],
    ["it is over: no warning any more", inDays(0), [30, 7, 1], { ...none, expires: true }],
    ["it was over while nobody looked", inDays(-100), [30, 7, 1], { ...none, expires: true }],
    ["on record already", { ...inDays(-1), expired: true }, [30], none],
    ["halted: the date counts all the same", { ...inDays(0), halted: true }, [], { ...none, expires: true }],
    ["being deleted", { ...inDays(0), deletion: "requested" }, [30], none],
  ];
  for (const [why, permit, warnDays, step] of cases) {
    assert.deepEqual(expiryStep(permitOf(permit), warnDays, NOW_MS), step, why);
  }
});
