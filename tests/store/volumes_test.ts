import assert from "node:assert/strict";
import { listVolumes, markDestroyed, taintVolumes, upsertVolume } from "../../src/store/volumes.ts";
import { addPermit, withStore } from "./fixture.ts";

const NEW = { tainted: false, bound: false, destroyed: false };

Deno.test("upsertVolume: adds what is newly known and takes nothing back", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    await db.write(async (tx) => {
      await upsertVolume(tx, "p", { key: "home/a", ...NEW, observed: "pending, 20Gi" }, 10);
      await upsertVolume(tx, "p", { key: "home/a", ...NEW, tainted: true, bound: true }, 20);
      await upsertVolume(tx, "p", { key: "home/a", ...NEW, observed: "bound, 20Gi" }, 30);
    });
    assert.deepEqual(await listVolumes(db, "p"), [{
      permitId: "p",
      key: "home/a",
      tainted: true,
      bound: true,
      destroyed: false,
      acceptedList: null,
      observed: "bound, 20Gi",
      taintedAtMs: 20,
      taintedUnder: null,
      updatedAtMs: 30,
    }]);
  });
});

const BOUND = { key: "uploads/h", tainted: false, bound: true, destroyed: false };

Deno.test("taintVolumes: known and unknown ones; says which are newly tainted; the rest stays as it was", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    const taint = (keys: string[]): Promise<string[]> => db.write((tx) => taintVolumes(tx, "p", keys, 20));
    await db.write((tx) => upsertVolume(tx, "p", { ...BOUND, key: "project" }, 10));
    assert.deepEqual((await taint(["project", "home/a"])).sort(), ["home/a", "project"]);
    assert.deepEqual(await taint(["project", "home/b"]), ["home/b"]);
    assert.deepEqual(await taint([]), []);
    const rows = (await listVolumes(db, "p")).map(({ key, tainted, bound }) => [key, tainted, bound]);
    assert.deepEqual(rows, [["home/a", true, false], ["home/b", true, false], ["project", true, true]]);
  });
});

Deno.test("markDestroyed: keeps what the volume has been", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    await db.write(async (tx) => {
      await upsertVolume(tx, "p", BOUND, 10);
      await taintVolumes(tx, "p", ["uploads/h"], 10);
      await markDestroyed(tx, "p", "uploads/h", 20);
      await upsertVolume(tx, "p", BOUND, 30);
    });
    const [row] = await listVolumes(db, "p");
    assert.deepEqual([row?.tainted, row?.bound, row?.destroyed], [true, true, true]);
  });
});

Deno.test("taintVolumes, upsertVolume: since when and under which status, the first time for good", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p", { status: "ANALYSIS_ACTIVE" });
    const clean = { key: "project", tainted: false, bound: true, destroyed: false };
    await db.write((tx) => upsertVolume(tx, "p", clean, 10));
    const since = async (): Promise<unknown[]> =>
      (await listVolumes(db, "p")).map((
        { key, taintedAtMs, taintedUnder },
      ) => [key, taintedAtMs, taintedUnder]);
    assert.deepEqual(await since(), [["project", null, null]]);
    await db.write(async (tx) => {
      await taintVolumes(tx, "p", ["project", "home/a"], 20);
      await upsertVolume(tx, "p", { ...clean, key: "home/b", tainted: true }, 25);
    });
    await addPermit(db, "p", { status: "ARCHIVED" });
    await db.write(async (tx) => {
      await taintVolumes(tx, "p", ["project"], 30);
      await upsertVolume(tx, "p", { ...clean, tainted: true }, 40);
      await upsertVolume(tx, "p", clean, 50);
    });
    assert.deepEqual(await since(), [
      ["home/a", 20, "ANALYSIS_ACTIVE"],
      ["home/b", 25, "ANALYSIS_ACTIVE"],
      ["project", 20, "ANALYSIS_ACTIVE"],
    ]);
  });
});

const FORBIDDEN: [what: string, sql: string][] = [
  ["taint taken back", "update volumes set tainted = 0"],
  ["bound taken back", "update volumes set bound = 0"],
  ["destroyed taken back", "update volumes set destroyed = 0"],
  ["a volume forgotten", "delete from volumes"],
  [
    "a volume replaced",
    `insert or replace into volumes (permit_id, key, tainted, bound, destroyed, updated_at_ms)
     select permit_id, key, 0, 0, 0, 0 from volumes`,
  ],
];
for (const [what, sql] of FORBIDDEN) {
  Deno.test(`volumes: ${what} is refused by the database itself (invariant 3)`, async () => {
    await withStore(async (db) => {
      await addPermit(db, "p");
      await db.write((tx) =>
        upsertVolume(tx, "p", { key: "home/a", tainted: true, bound: true, destroyed: true }, 1)
      );
      await assert.rejects(db.write((tx) => tx.run(sql, [])), {
        reason: "conflict",
        message: /never forgotten/,
      });
      assert.equal((await listVolumes(db, "p"))[0]?.tainted, true);
    });
  });
}
