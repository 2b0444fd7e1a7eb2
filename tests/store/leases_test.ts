import assert from "node:assert/strict";
import type { Db } from "../../src/store/db.ts";
import { leasesOf, leaseUid, releaseLeases, type UidWish } from "../../src/store/leases.ts";
import { addPermit, withStore } from "./fixture.ts";

const lease = (db: Db, permitId: string, holder: string, change: Partial<UidWish> = {}): Promise<number> =>
  db.write((tx) =>
    leaseUid(tx, { permitId, holder, range: [30_000, 30_003], avoid: [], nowMs: 10, ...change })
  );

async function withPermits(test: (db: Db) => Promise<void>): Promise<void> {
  await withStore(async (db) => {
    for (const id of ["p", "q"]) await addPermit(db, id);
    await test(db);
  });
}

Deno.test("leaseUid: the lowest number that nobody has, over all permits; asked again the same", async () => {
  await withPermits(async (db) => {
    assert.equal(await lease(db, "p", "person/a"), 30_000);
    assert.equal(await lease(db, "q", "person/a"), 30_001);
    assert.equal(await lease(db, "p", "person/b"), 30_002);
    assert.equal(await lease(db, "p", "person/a"), 30_000);
    assert.deepEqual((await leasesOf(db, "p")).map(({ value, holder }) => [value, holder]), [
      [30_000, "person/a"],
      [30_002, "person/b"],
    ]);
  });
});

Deno.test("leaseUid: avoids numbers in use elsewhere", async () => {
  await withPermits(async (db) => {
    assert.equal(await lease(db, "p", "person/a", { avoid: [30_000, 30_001, 70_000] }), 30_002);
  });
});

Deno.test("leaseUid: a lease outlives a change of the range, because files belong to it", async () => {
  await withPermits(async (db) => {
    await lease(db, "p", "person/a");
    assert.equal(await lease(db, "p", "person/a", { range: [40_000, 40_009] }), 30_000);
  });
});

Deno.test("leaseUid: a range used up is a stalled Fault naming it; given back, numbers are free again", async () => {
  await withPermits(async (db) => {
    for (const holder of ["a", "b", "c", "d"]) await lease(db, "p", holder);
    await assert.rejects(lease(db, "q", "e"), {
      name: "Fault",
      disposition: "stalled",
      reason: "quota-exceeded",
      message: "Cannot lease a uid for e of permit q: all of 30000-30003 are taken",
    });
    assert.equal(await db.write((tx) => releaseLeases(tx, "p")), 4);
    assert.equal(await lease(db, "q", "e"), 30_000);
  });
});

Deno.test("leaseUid: an empty range leases nothing", async () => {
  await withPermits(async (db) => {
    await assert.rejects(lease(db, "p", "a", { range: [5, 4] }), { reason: "quota-exceeded" });
  });
});

Deno.test("leaseUid: the last free of the largest range is found without stopping the service", async () => {
  await withPermits(async (db) => {
    await db.write((tx) =>
      tx.run(
        `with recursive n (value) as (select 30000 union all select value + 1 from n where value < 39998)
         insert into leases (kind, value, permit_id, holder, leased_at_ms) select 'uid', value, 'p', value, 0 from n`,
        [],
      )
    );
    assert.equal(await lease(db, "q", "a", { range: [30_000, 39_999] }), 39_999);
  });
});
