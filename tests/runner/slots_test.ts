import assert from "node:assert/strict";
import { JOB_PRIORITY } from "../../src/core/job.ts";
import { createBell } from "../../src/runner/bell.ts";
import { awaitSlot, createSlots, type Slots, type Ticket } from "../../src/runner/slots.ts";
import { FakeClock } from "../fake_clock.ts";

const never = new AbortController().signal;
const queue = (slots: Slots, priority: number): Ticket => slots.queue(priority, () => {});

Deno.test("slots: general work gets the general ones, urgent work its own lane first and then general ones", () => {
  const slots = createSlots(2, 1);
  const lanes = [50, 10, 0, 50, 0].map((priority) => queue(slots, priority).slot?.lane ?? null);
  assert.deepEqual(lanes, ["general", "urgent", "general", null, null]);
  assert.equal(slots.held(), 3);
});

Deno.test("slots: who queues is served by urgency, then by arrival, and never beyond the lanes", () => {
  const slots = createSlots(1, 0);
  const first = queue(slots, 50);
  const served: string[] = [];
  const tickets = ["drift 90", "reconcile 50", "reconcile 50 later", "halt 0"].map((name) => {
    const ticket: Ticket = slots.queue(Number(name.split(" ")[1]), () => {
      served.push(name);
      ticket.leave();
    });
    return ticket;
  });
  assert.deepEqual(served, []);
  first.leave();
  assert.deepEqual(served, ["halt 0", "reconcile 50", "reconcile 50 later", "drift 90"]);
  assert.equal(slots.held(), 0);
  assert.ok(tickets.every(({ slot }) => slot === null));
});

Deno.test("slots: a free urgent slot is not for general work, however long that queues", () => {
  const slots = createSlots(1, 1);
  const [holder, urgent] = [queue(slots, 50), queue(slots, 0)];
  const general = queue(slots, 50);
  urgent.leave();
  assert.equal(general.take(), null);
  holder.leave();
  assert.equal(general.take()?.lane, "general");
});

Deno.test("slots: releasing twice gives back once", () => {
  const slots = createSlots(1, 0);
  const slot = queue(slots, 50).take();
  slot?.release();
  slot?.release();
  const [one, two] = [queue(slots, 50), queue(slots, 50)];
  assert.deepEqual([one.slot?.lane, two.slot], ["general", null]);
});

Deno.test("slots: a ticket that leaves gives back what it was given, unless somebody took it", () => {
  const slots = createSlots(1, 0);
  const left = queue(slots, 50);
  left.leave();
  assert.equal(slots.held(), 0);
  const taken = queue(slots, 50);
  const slot = taken.take();
  taken.leave();
  assert.equal(slots.held(), 1, "it is the taker's now");
  slot?.release();
  assert.equal(slots.held(), 0);
});

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
