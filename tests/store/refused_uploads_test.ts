import assert from "node:assert/strict";
import type { Actor } from "../../src/core/audit.ts";
import { acceptRefused, refusedUploads, saveRefused } from "../../src/store/refused_uploads.ts";
import { listVolumes, markDestroyed, upsertVolume } from "../../src/store/volumes.ts";
import type { Db } from "../../src/store/db.ts";
import { addPermit, withStore } from "./fixture.ts";

const KEY = "uploads/h";
const FIRST = { listHash: "1".repeat(64), count: 2, shown: ["link ./a -> b"] };
const SECOND = { listHash: "2".repeat(64), count: 1, shown: [] };
const ANNA: Actor = { kind: "operator", id: "anna" };

async function withUploads(work: (db: Db) => Promise<void>): Promise<void> {
  await withStore(async (db) => {
    for (const permitId of ["p", "q"]) {
      await addPermit(db, permitId);
      await db.write((tx) =>
        upsertVolume(tx, permitId, { key: KEY, tainted: false, bound: true, destroyed: false }, 1)
      );
    }
    await work(db);
  });
}

const save = (db: Db, list: typeof FIRST, atMs: number): Promise<void> =>
  db.write((tx) => saveRefused(tx, "p", KEY, list, atMs));
const accept = (db: Db, list: string, atMs: number, actor = ANNA): Promise<boolean> =>
  db.write((tx) => acceptRefused(tx, "p", KEY, list, actor, atMs));
const acceptedOf = async (db: Db, permitId = "p"): Promise<string | null | undefined> =>
  (await listVolumes(db, permitId))[0]?.acceptedList;

Deno.test("refusedUploads: the newest list of each uploads volume, until WPS destroyed it", () =>
  withUploads(async (db) => {
    await save(db, FIRST, 10);
    await save(db, SECOND, 20);
    const none = { acceptedAtMs: null, acceptedBy: null };
    assert.deepEqual(await refusedUploads(db, "p"), [{ key: KEY, ...SECOND, seenAtMs: 20, ...none }]);
    await save(db, FIRST, 30);
    assert.deepEqual(await refusedUploads(db, "p"), [{ key: KEY, ...FIRST, seenAtMs: 30, ...none }]);
    assert.deepEqual(await refusedUploads(db, "q"), []);
    await db.write((tx) => markDestroyed(tx, "p", KEY, 40));
    assert.deepEqual(await refusedUploads(db, "p"), []);
  }));

Deno.test("acceptRefused: of exactly this list, by the first who did, for good; another list stays refused", () =>
  withUploads(async (db) => {
    await save(db, FIRST, 10);
    assert.equal(await accept(db, SECOND.listHash, 15), false, "nobody has seen that list");
    assert.equal(await acceptedOf(db), null);
    assert.equal(await accept(db, FIRST.listHash, 15), true);
    assert.equal(await accept(db, FIRST.listHash, 16, { kind: "api", id: "k" }), true);
    const [row] = await refusedUploads(db, "p");
    assert.deepEqual([row?.acceptedAtMs, row?.acceptedBy], [15, "operator:anna"]);
    assert.deepEqual([await acceptedOf(db), await acceptedOf(db, "q")], [FIRST.listHash, null]);
    await save(db, FIRST, 20);
    assert.equal((await refusedUploads(db, "p"))[0]?.acceptedAtMs, 15, "seeing it again takes nothing back");
    await save(db, SECOND, 30);
    assert.equal((await refusedUploads(db, "p"))[0]?.acceptedAtMs, null);
    await accept(db, SECOND.listHash, 35);
    assert.equal(await acceptedOf(db), SECOND.listHash, "of two accepted lists the one that was seen last");
  }));

Deno.test("refused_uploads: who agreed is on record for good", () =>
  withUploads(async (db) => {
    await save(db, FIRST, 10);
    await accept(db, FIRST.listHash, 15);
    await assert.rejects(
      db.write((tx) => tx.run("update refused_uploads set accepted_by = 'operator:eve'", [])),
      /what somebody agreed to is on record/,
    );
  }));
