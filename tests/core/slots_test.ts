import assert from "node:assert/strict";
import { createSlots, type Slots, takeSlot, type Ticket } from "../../src/core/slots.ts";

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

Deno.test("takeSlot: waits its turn; who is told to stop leaves the queue and holds nothing", async () => {
  const slots = createSlots(1, 0);
  const { signal } = new AbortController();
  const first = await takeSlot(slots, 50, signal);
  const stop = new AbortController();
  const told = assert.rejects(takeSlot(slots, 50, stop.signal), /enough/);
  const later = takeSlot(slots, 50, signal);
  stop.abort(new Error("enough"));
  await told;
  first.release();
  (await later).release();
  await assert.rejects(takeSlot(slots, 50, AbortSignal.abort(new Error("before"))), /before/);
  assert.equal(slots.held(), 0);
});
