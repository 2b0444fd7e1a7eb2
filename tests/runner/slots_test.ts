import assert from "node:assert/strict";
import { JOB_PRIORITY } from "../../src/core/job.ts";
import { createSlots, type Slots, type Ticket } from "../../src/core/slots.ts";
import { createBell } from "../../src/runner/bell.ts";
import { awaitSlot } from "../../src/runner/slots.ts";
import { FakeClock } from "../fake_clock.ts";

const never = new AbortController().signal;
const queue = (slots: Slots, priority: number): Ticket => slots.queue(priority, () => {});

Deno.test("awaitSlot: the place is kept while a ring makes it ask whether it is still wanted", async () => {
  const clock = new FakeClock();
  const bell = createBell(clock);
  const slots = createSlots(1, 0);
  const holder = queue(slots, 50);
  const ear = bell.listen("a");
  let asked = 0;
  const waiting = awaitSlot(slots, 50, ear, never, () => Promise.resolve(++asked > 0));
  const behind = queue(slots, 50);
  for (let ring = 0; ring < 3; ring++) {
    bell.ring("a");
    await clock.advance(0);
  }
  assert.equal(asked, 3);
  holder.leave();
  await clock.advance(0);
  assert.equal((await waiting)?.lane, "general");
  assert.equal(behind.slot, null, "it came later");
  ear.close();
  assert.equal(clock.sleeping, 0);
});

Deno.test("awaitSlot: who is no longer wanted leaves the queue and holds nothing", async () => {
  const clock = new FakeClock();
  const bell = createBell(clock);
  const slots = createSlots(1, 0);
  const holder = queue(slots, 50);
  const ear = bell.listen("a");
  const waiting = awaitSlot(slots, 50, ear, never, () => Promise.resolve(false));
  bell.ring("a");
  await clock.advance(0);
  assert.equal(await waiting, null);
  holder.leave();
  assert.equal(slots.held(), 0);
  ear.close();
});

Deno.test("awaitSlot: a slot given at the moment of an abort or a failing question is not lost", async () => {
  const clock = new FakeClock();
  const slots = createSlots(1, 0);
  const stopping = new AbortController();
  const holder = queue(slots, JOB_PRIORITY.reconcile);
  const ear = createBell(clock).listen("a");
  const stopped = awaitSlot(slots, 50, ear, stopping.signal, () => Promise.resolve(true));
  await clock.advance(0);
  holder.leave();
  stopping.abort();
  assert.equal(await stopped, null);
  assert.equal(slots.held(), 0, "given back after the abort");

  const again = queue(slots, 50);
  const failing = awaitSlot(slots, 50, ear, never, () => Promise.reject(new Error("the store is away")));
  ear.ring();
  await assert.rejects(failing, /the store is away/);
  again.leave();
  assert.equal(slots.held(), 0, "left the queue before the error");
  ear.close();
});
