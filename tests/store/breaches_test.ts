import assert from "node:assert/strict";
import type { Breach } from "../../src/core/invariants.ts";
import { keepBreaches, listBreaches, permitsInBreach } from "../../src/store/breaches.ts";
import { addPermit, withStore } from "./fixture.ts";

const OPEN: Breach = { invariant: 1, target: "pod a", message: "has prepared and a way out" };
const LOST: Breach = { invariant: 4, target: "volume prepared", message: "is no longer there" };
const MARK: Breach = { invariant: 3, target: "pod a", message: "writes project beside data" };
const HOME: Breach = { ...MARK, message: "writes home/a beside data" };

Deno.test("keepBreaches: new ones are returned once, what is over is forgotten, what lasts keeps its time", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    const keep = (found: Breach[], nowMs: number): Promise<Breach[]> =>
      db.write((tx) => keepBreaches(tx, "p", found, nowMs));
    assert.deepEqual(await keep([OPEN, LOST], 10), [OPEN, LOST]);
    assert.deepEqual(await keep([OPEN, MARK, HOME], 20), [MARK, HOME], "two of one pod are two");
    assert.deepEqual(await listBreaches(db, "p"), [
      { ...OPEN, sinceMs: 10 },
      { ...HOME, sinceMs: 20 },
      { ...MARK, sinceMs: 20 },
    ]);
    assert.deepEqual(await permitsInBreach(db, 5), ["p"]);
    assert.deepEqual(await keep([], 30), []);
    assert.deepEqual([await listBreaches(db, "p"), await permitsInBreach(db, 5)], [[], []]);
    assert.deepEqual(await keep([OPEN], 40), [OPEN], "broken again is new again");
  });
});

Deno.test("permitsInBreach: at most so many, and none whose deletion is over", async () => {
  await withStore(async (db) => {
    for (const id of ["a", "b", "c"]) {
      await addPermit(db, id);
      await db.write((tx) => keepBreaches(tx, id, [OPEN, LOST], 10));
    }
    assert.deepEqual(await permitsInBreach(db, 2), ["a", "b"]);
    await addPermit(db, "a", { deletion: "requested" });
    await addPermit(db, "a", { deletion: "done" });
    assert.deepEqual(await permitsInBreach(db, 5), ["b", "c"]);
  });
});
