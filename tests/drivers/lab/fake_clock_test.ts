import assert from "node:assert/strict";
import { FakeClock } from "../../fake_clock.ts";

Deno.test("FakeClock: advance wakes sleepers in order, each at its own instant", async () => {
  const clock = new FakeClock({ startMs: 0 });
  const woken: [string, number][] = [];
  const sleeper = async (name: string, ...naps: number[]): Promise<void> => {
    for (const ms of naps) {
      await clock.sleep(ms);
      woken.push([name, clock.now()]);
    }
  };
  const all = Promise.all([sleeper("a", 20, 20), sleeper("b", 10, 30), sleeper("c", 20)]);
  await clock.advance(5);
  assert.deepEqual([woken, clock.now(), clock.sleeping], [[], 5, 3]);
  await clock.advance(95);
  assert.deepEqual(woken, [["b", 10], ["a", 20], ["c", 20], ["b", 40], ["a", 40]]);
  assert.equal(clock.now(), 100);
  await all;
});

Deno.test("FakeClock: an abort ends a sleep at once and does not reject", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const sleeping = clock.sleep(1_000, stop.signal);
  stop.abort();
  await sleeping;
  await clock.sleep(1_000, stop.signal);
  assert.equal(clock.sleeping, 0);
});

Deno.test("FakeClock: moves by itself only when everything sleeps", async () => {
  const clock = new FakeClock({ startMs: 0, auto: true });
  let worked = 0;
  const busy = async (): Promise<void> => {
    for (let i = 0; i < 100; i++) await Promise.resolve();
    worked = clock.now();
    await clock.sleep(5);
  };
  await Promise.all([clock.sleep(60_000), busy()]);
  assert.equal(worked, 0, "the sleeper did not overtake the worker");
  assert.equal(clock.now(), 60_000);
});

Deno.test("FakeClock: stop leaves sleepers asleep", async () => {
  const clock = new FakeClock({ startMs: 0, auto: true });
  void clock.sleep(1_000);
  clock.stop();
  await new FakeClock({ auto: true }).sleep(1);
  assert.deepEqual([clock.now(), clock.sleeping], [0, 1]);
});
