import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { type Job, JOB_PRIORITY, type JobKind } from "../../src/core/job.ts";
import { afterFault, backoffMs, jitteredMs, repairPauseMs, type RetryLimits } from "../../src/core/retry.ts";

const LIMITS: RetryLimits = { attemptMax: 8, backoffMs: 2_000, backoffMaxMs: 300_000 };
const NOW_MS = 1_000_000;

function job(kind: JobKind, attempt: number, priority = JOB_PRIORITY[kind]): Job {
  return {
    id: 1,
    permitId: "p",
    kind,
    state: "running",
    priority,
    version: 1,
    eventSeq: null,
    attempt,
    runAtMs: 0,
    createdAtMs: 0,
    startedAtMs: 0,
    endedAtMs: null,
    bootEpoch: "boot",
    fence: 1,
    waitingFor: null,
    waitingSinceMs: null,
    reason: null,
    message: null,
    advice: null,
    cancelRequested: false,
    stepsDone: 0,
    stepsTotal: 0,
  };
}

Deno.test("backoffMs: doubles from the first delay to the last, half of it fixed and half of it chance", () => {
  const cases: [attempt: number, least: number, most: number][] = [
    [1, 1_000, 2_000],
    [2, 2_000, 4_000],
    [3, 4_000, 8_000],
    [8, 128_000, 256_000],
    [9, 150_000, 300_000],
    [10_000, 150_000, 300_000],
  ];
  for (const [attempt, least, most] of cases) {
    assert.equal(backoffMs(attempt, LIMITS, 0, null), least, `attempt ${attempt}`);
    assert.equal(backoffMs(attempt, LIMITS, 1, null), most, `attempt ${attempt}`);
  }
});

Deno.test("backoffMs: a server's Retry-After is obeyed within reason", () => {
  assert.equal(backoffMs(1, LIMITS, 0, 90_000), 90_000);
  assert.equal(backoffMs(9, LIMITS, 0, 1_000), 150_000, "it does not hurry");
  assert.equal(backoffMs(1, LIMITS, 0, 10 * 86_400_000), 3_600_000, "nor park a permit for days");
});

const fault = (disposition: Fault["disposition"], reason: Fault["reason"] = "unavailable"): Fault =>
  new Fault(disposition, reason, "Cannot");

const CASES: { why: string; job: Job; fault: Fault; next: string }[] = [
  { why: "may pass", job: job("reconcile", 1), fault: fault("retry"), next: "retry" },
  { why: "is not there yet", job: job("reconcile", 1), fault: fault("wait"), next: "retry" },
  { why: "needs a person", job: job("reconcile", 1), fault: fault("stalled"), next: "fail" },
  {
    why: "a server that has not read its roles yet refuses, too",
    job: job("reconcile", 1),
    fault: fault("stalled", "denied"),
    next: "retry",
  },
  {
    why: "who is refused eight times lacks the grant",
    job: job("reconcile", 8),
    fault: fault("stalled", "denied"),
    next: "fail",
  },
  { why: "nobody wants it", job: job("reconcile", 1), fault: fault("cancelled"), next: "cancel" },
  { why: "the last attempt but one", job: job("reconcile", 7), fault: fault("retry"), next: "retry" },
  { why: "the last attempt", job: job("reconcile", 8), fault: fault("retry"), next: "fail" },
  { why: "a drift's last attempt", job: job("drift", 8), fault: fault("retry"), next: "fail" },
  { why: "a stop may have to give, too", job: job("stop", 8), fault: fault("retry"), next: "fail" },
  { why: "a halt never gives up", job: job("halt", 800), fault: fault("retry"), next: "retry" },
  { why: "also where a person is needed", job: job("halt", 8), fault: fault("stalled"), next: "retry" },
  { why: "a deletion never gives up", job: job("delete", 800), fault: fault("stalled"), next: "retry" },
  {
    why: "nor does a drift that only cuts",
    job: job("drift", 800, JOB_PRIORITY.stop),
    fault: fault("stalled"),
    next: "retry",
  },
];

for (const { why, job, fault, next } of CASES) {
  Deno.test(`afterFault: ${why}`, () => assert.equal(afterFault(job, fault, NOW_MS, LIMITS, 0).next, next));
}

Deno.test("afterFault: the next attempt is due after the delay", () => {
  assert.deepEqual(afterFault(job("reconcile", 2), fault("retry"), NOW_MS, LIMITS, 0.5), {
    next: "retry",
    runAtMs: NOW_MS + 3_000,
  });
  assert.deepEqual(
    afterFault(
      job("reconcile", 2),
      new Fault("retry", "unavailable", "Cannot", { retryAfterMs: 60_000 }),
      NOW_MS,
      LIMITS,
      0.5,
    ),
    {
      next: "retry",
      runAtMs: NOW_MS + 60_000,
    },
  );
});

const PAUSES: { why: string; job: Job; fault: Fault; pauseMs: number }[] = [
  { why: "a halt while the platform is away", job: job("halt", 40), fault: fault("retry"), pauseMs: 5_000 },
  {
    why: "a halt that a server tells to come back in an hour",
    job: job("halt", 1),
    fault: new Fault("retry", "unavailable", "Cannot", { retryAfterMs: 3_600_000 }),
    pauseMs: 5_000,
  },
  { why: "a deletion", job: job("delete", 40), fault: fault("retry"), pauseMs: 5_000 },
  {
    why: "what drift must cut",
    job: job("drift", 40, JOB_PRIORITY.stop),
    fault: fault("retry"),
    pauseMs: 5_000,
  },
  {
    why: "a halt that a server refuses which has not read its roles yet",
    job: job("halt", 40),
    fault: fault("stalled", "denied"),
    pauseMs: 5_000,
  },
  {
    why: "a halt that needs a person first",
    job: job("halt", 40),
    fault: fault("stalled", "foreign-object"),
    pauseMs: 300_000,
  },
  { why: "what gives", job: job("reconcile", 7), fault: fault("retry"), pauseMs: 128_000 },
];
for (const { why, job, fault, pauseMs } of PAUSES) {
  Deno.test(`afterFault: the longest pause of ${why}`, () =>
    assert.deepEqual(afterFault(job, fault, NOW_MS, LIMITS, 1), {
      next: "retry",
      runAtMs: NOW_MS + pauseMs,
    }));
}

Deno.test("jitteredMs: a tenth around the interval", () => {
  assert.deepEqual([0, 0.5, 1].map((chance) => jitteredMs(600_000, chance)), [540_000, 600_000, 660_000]);
});

const REPAIRS: [failures: number, intervalMs: number, chance: number, pauseMs: number, why: string][] = [
  [1, 600_000, 0, 600_000, "one interval at least"],
  [1, 600_000, 1, 1_200_000, "two at most"],
  [2, 600_000, 0, 1_200_000, "twice as long each time"],
  [40, 600_000, 1, 86_400_000, "at least once a day"],
  [40, 7 * 86_400_000, 1, 7 * 86_400_000, "not more often than the pass itself"],
];
for (const [failures, intervalMs, chance, pauseMs, why] of REPAIRS) {
  Deno.test(`repairPauseMs: ${why}`, () =>
    assert.equal(repairPauseMs(failures, intervalMs, chance), pauseMs));
}
