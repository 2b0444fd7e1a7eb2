import assert from "node:assert/strict";
import { createBell, type Ear } from "../../src/runner/bell.ts";
import { FakeClock } from "../fake_clock.ts";

const never = new AbortController().signal;

/** How long a wait of a minute lasts, in milliseconds, when time passes by itself after `act`. */
async function lasts(clock: FakeClock, ear: Ear, act: () => void, signal = never): Promise<number> {
  const beganMs = clock.now();
  let isOver = false;
  const waiting = ear.wait(60_000, signal).then(() => isOver = true);
  act();
  await clock.advance(0);
  if (!isOver) await clock.advance(60_000);
  await waiting;
  return clock.now() - beganMs;
}

Deno.test("bell: a ring ends a wait, and only waits for that permit", async () => {
  const clock = new FakeClock();
  const bell = createBell(clock);
  const ear = bell.listen("a");
  assert.equal(await lasts(clock, ear, () => bell.ring("a")), 0);
  assert.equal(await lasts(clock, ear, () => bell.ring("b")), 60_000);
  ear.close();
});

Deno.test("bell: a ring between two waits ends the next one, once", async () => {
  const clock = new FakeClock();
  const bell = createBell(clock);
  const ear = bell.listen("a");
  bell.ring("a");
  bell.ring("a");
  assert.equal(await lasts(clock, ear, () => {}), 0, "remembered");
  assert.equal(await lasts(clock, ear, () => {}), 60_000, "rings do not add up");
  ear.close();
});

Deno.test("bell: a ring that nobody listens to is dropped", async () => {
  const clock = new FakeClock();
  const bell = createBell(clock);
  bell.ring("a");
  const ear = bell.listen("a");
  assert.equal(await lasts(clock, ear, () => {}), 60_000, "who comes later begins with a look");
  ear.close();
  bell.ring("a");
  const again = bell.listen("a");
  assert.equal(await lasts(clock, again, () => {}), 60_000, "a closed ear hears nothing");
  again.close();
});

Deno.test("bell: all who listen to a permit are told, and one can be told alone", async () => {
  const clock = new FakeClock();
  const bell = createBell(clock);
  const [one, other] = [bell.listen("a"), bell.listen("a")];
  bell.ring("a");
  assert.equal(await lasts(clock, one, () => {}), 0);
  assert.equal(await lasts(clock, other, () => {}), 0);
  one.ring();
  assert.equal(await lasts(clock, one, () => {}), 0);
  assert.equal(await lasts(clock, other, () => {}), 60_000);
  one.close();
  bell.ring("a");
  assert.equal(await lasts(clock, other, () => {}), 0, "one that leaves takes nobody along");
  other.close();
});

Deno.test("bell: an abort ends a wait, before and during", async () => {
  const clock = new FakeClock();
  const ear = createBell(clock).listen("a");
  const stopping = new AbortController();
  assert.equal(await lasts(clock, ear, () => stopping.abort(), stopping.signal), 0);
  assert.equal(await lasts(clock, ear, () => {}, stopping.signal), 0);
  assert.equal(clock.sleeping, 0, "no timer is left behind");
  ear.close();
});
