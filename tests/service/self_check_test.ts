import assert from "node:assert/strict";
import { driverHealth, type PartHealth } from "../../src/app/health.ts";
import { type SelfCheck, startSelfCheck } from "../../src/app/self_check.ts";
import { toInstant } from "../../src/core/clock.ts";
import type { CheckLine, Driver } from "../../src/core/driver.ts";
import { createLog } from "../../src/log.ts";
import { FakeClock } from "../fake_clock.ts";

const OK: CheckLine = { check: "cluster", result: "ok", detail: "v1.36.3", advice: "" };
const FORBIDDEN: CheckLine = {
  check: "permissions",
  result: "failed",
  detail: "may not create pods",
  advice: "Apply deploy/kubernetes",
};
const UNKNOWN: CheckLine = {
  check: "network policy",
  result: "warning",
  detail: "cannot be known",
  advice: "Try it",
};

/** A self-check of a driver that answers what `answer` says. */
async function checking(
  answer: (signal: AbortSignal) => Promise<CheckLine[]>,
): Promise<{ clock: FakeClock; lines: string[]; selfCheck: SelfCheck; part: () => PartHealth }> {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLog({ level: "debug", format: "text", clock, write: (line) => void lines.push(line) });
  const nothing = (): never => assert.fail("the self-check only checks");
  const driver: Driver = {
    name: "paper",
    check: answer,
    observe: nothing,
    apply: nothing,
    probe: nothing,
    watch: nothing,
    list: nothing,
    close: () => Promise.resolve(),
  };
  const random = { next: () => 0.5, bytes: (length: number) => new Uint8Array(length) };
  const selfCheck = await startSelfCheck({ driver, clock, random, log });
  const part = (): PartHealth => driverHealth({ driver, selfCheck });
  return { clock, lines, selfCheck, part };
}

Deno.test("self-check: what failed is in health with its advice, and gone from there once it is mended", async () => {
  let answer = [OK, FORBIDDEN];
  const { clock, lines, selfCheck, part } = await checking(() => Promise.resolve(answer));
  const beganMs = clock.now();
  assert.deepEqual(part(), {
    state: "down",
    detail: "permissions: may not create pods. Apply deploy/kubernetes",
    since: toInstant(beganMs),
    checks: [OK, FORBIDDEN],
  });
  await clock.advance(120_000);
  assert.equal(part().since, toInstant(beganMs), "it has not changed");
  const told = lines.filter((line) => line.includes("may not create pods"));
  assert.equal(told.length, 1, "a line is told once");
  answer = [OK, { ...FORBIDDEN, result: "ok", detail: "all granted", advice: "" }];
  await clock.advance(60_000);
  const mended = part();
  assert.deepEqual([mended.state, mended.detail], ["ok", "paper: all 2 checks are ok"]);
  assert.ok((mended.since ?? "") > toInstant(beganMs));
  assert.ok(lines.some((line) => line.includes("all granted")));
  await selfCheck.stop();
});

Deno.test("self-check: what breaks later is noticed, and a warning is not looked at every minute", async () => {
  let asked = 0;
  let answer = [OK, UNKNOWN];
  const { clock, selfCheck, part } = await checking(() => {
    asked++;
    return Promise.resolve(answer);
  });
  assert.equal(part().state, "degraded");
  await clock.advance(50 * 60_000);
  assert.equal(asked, 1);
  answer = [FORBIDDEN];
  await clock.advance(15 * 60_000);
  assert.equal(part().state, "down");
  await selfCheck.stop();
});

Deno.test("self-check: a platform that does not answer is given up, and a stop does not wait for it", async () => {
  const away: CheckLine = { ...OK, result: "failed", detail: "no answer", advice: "Look at it" };
  const hanging = (signal: AbortSignal): Promise<CheckLine[]> =>
    new Promise((resolve) => signal.addEventListener("abort", () => resolve([away]), { once: true }));
  let answer = (_signal: AbortSignal): Promise<CheckLine[]> => Promise.resolve([FORBIDDEN]);
  const { clock, selfCheck, part } = await checking((signal) => answer(signal));
  answer = hanging;
  await clock.advance(60_000);
  await clock.advance(20_000);
  assert.match(part().detail, /no answer/);
  await clock.advance(60_000);
  await selfCheck.stop();
});
