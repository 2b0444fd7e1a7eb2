import assert from "node:assert/strict";
import { Turns } from "../../src/store/turns.ts";

Deno.test("Turns: everybody gets a turn, one at a time, in the order of asking", async () => {
  const turns = new Turns();
  const order: string[] = [];
  let inside = 0;
  await Promise.all(["a", "b", "c", "d"].map(async (name) => {
    const endTurn = await turns.next();
    assert.equal(++inside, 1);
    await Promise.resolve();
    order.push(name);
    inside--;
    endTurn();
  }));
  assert.deepEqual(order, ["a", "b", "c", "d"]);
});

Deno.test("Turns: who asks while a turn is handed on cannot slip in before the one who waited", async () => {
  const turns = new Turns();
  const order: string[] = [];
  const endFirst = await turns.next();
  const waiter = turns.next().then((endTurn) => {
    order.push("waiter");
    endTurn();
  });
  endFirst();
  const late = turns.next().then((endTurn) => {
    order.push("late");
    endTurn();
  });
  await Promise.all([waiter, late]);
  assert.deepEqual(order, ["waiter", "late"]);
});

Deno.test("Turns: the queue is bounded", async () => {
  const turns = new Turns();
  const endFirst = await turns.next();
  const waiting = Array.from({ length: 10_000 }, () => turns.next());
  await assert.rejects(turns.next(), { name: "Fault", reason: "unavailable", disposition: "retry" });
  endFirst();
  for (const turn of waiting) (await turn)();
});

Deno.test("Turns: end lets the turn in progress finish, refuses those who wait and those who come", async () => {
  const turns = new Turns();
  const endFirst = await turns.next();
  const refused = assert.rejects(turns.next(), { reason: "unavailable" });
  let ended = false;
  const end = turns.end().then(() => ended = true);
  await refused;
  assert.equal(ended, false);
  endFirst();
  await end;
  await assert.rejects(turns.next(), { reason: "unavailable" });
});
