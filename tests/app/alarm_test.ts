import assert from "node:assert/strict";
import { createAlarm } from "../../src/app/alarm.ts";
import type { AcceptDelivery } from "../../src/app/accept.ts";
import { createLog } from "../../src/log.ts";
import { FakeClock } from "../fake_clock.ts";
import { SeededRandom } from "../seeded_random.ts";

/** An intake that refuses so many deliveries; `taken` has the permits of those it recorded. */
function intake(refusals: number): { accept: AcceptDelivery; taken: string[] } {
  const taken: string[] = [];
  const accept: AcceptDelivery = ({ raw }) => {
    if (refusals-- > 0) return Promise.reject(new Error("database or disk is full"));
    taken.push(JSON.parse(new TextDecoder().decode(raw.body)).permitId);
    return Promise.resolve({} as Awaited<ReturnType<AcceptDelivery>>); // nobody reads it
  };
  return { accept, taken };
}

for (
  const { why, refusals, waitMs, expected } of [
    { why: "recorded at once", refusals: 0, waitMs: 0, expected: ["p"] },
    { why: "a full disk: not yet", refusals: 3, waitMs: 2_500, expected: [] },
    {
      why: "a disk with room again, though nothing shows the way out any more",
      refusals: 3,
      waitMs: 3_500,
      expected: ["p"],
    },
  ]
) {
  Deno.test(`createAlarm: a permit with a way out is halted: ${why}`, async () => {
    const clock = new FakeClock();
    const lines: string[] = [];
    const woken: string[] = [];
    const log = createLog({ level: "debug", format: "text", clock, write: (line) => lines.push(line) });
    const { alarm, arm, stop } = createAlarm({
      clock,
      random: new SeededRandom(1),
      log,
      bootEpoch: "boot-1",
    });
    const { accept, taken } = intake(refusals);
    arm(accept, (permitId) => woken.push(permitId));
    await alarm("p", "research/a", "networkpolicy x opens its network");
    await clock.advance(waitMs);
    assert.deepEqual([taken, woken], [expected, expected]);
    assert.equal(
      lines.filter((line) => line.includes("could not be halted yet")).length,
      refusals > 0 ? 1 : 0,
    );
    await stop();
    await clock.advance(60_000);
    assert.deepEqual(taken, expected, "who is stopped tries no more");
  });
}
