import assert from "node:assert/strict";
import type { ObservedObject, ObservedScope } from "../../src/core/observed.ts";
import { certifyObjects, keepObjects, noteOrder, uncertifiedObjects } from "../../src/store/objects.ts";
import { addPermit, withStore } from "./fixture.ts";

const INTACT: ObservedScope = { state: "intact", name: "ns", detail: null, seen: null };
const INCOMPLETE: ObservedScope = { ...INTACT, state: "incomplete" };
const ENDING: ObservedScope = { state: "terminating", name: "ns", detail: "", seen: null };
const ABSENT: ObservedScope = { state: "absent" };

function object(uid: string, given: Partial<ObservedObject> = {}): ObservedObject {
  const of = { kind: "workspace", key: "research/a" } as const;
  return { kind: "Pod", name: `name-${uid}`, uid, of, foundBy: "list of pods", isWithin: true, ...given };
}

Deno.test("keepObjects: what is no longer shown is gone only where the observation can tell", async () => {
  const claim = object("c", { kind: "PersistentVolume", foundBy: "list of volumes", isWithin: false });
  const cases: [why: string, scope: ObservedScope, within: string | null, beside: string | null][] = [
    ["a whole namespace", INTACT, "list of pods did not show it", "list of volumes did not show it"],
    ["no namespace any more", ABSENT, "the space it lay in was not found", "list of volumes did not show it"],
    ["a namespace whose guards are missing", INCOMPLETE, null, "list of volumes did not show it"],
    ["a namespace that ends", ENDING, null, "list of volumes did not show it"],
  ];
  for (const [why, scope, within, beside] of cases) {
    await withStore(async (db) => {
      await addPermit(db, "p");
      await db.write((tx) =>
        keepObjects(tx, "p", { objects: [object("a"), claim], scope: INTACT, atMs: 10 })
      );
      await db.write((tx) => keepObjects(tx, "p", { objects: [], scope, atMs: 20 }));
      const kept = await uncertifiedObjects(db, "p");
      assert.deepEqual(kept.map(({ absent }) => absent?.by ?? null), [within, beside], why);
      assert.ok(
        kept.every(({ absent, seenAtMs }) => seenAtMs === 10 && (absent === null || absent.atMs === 20)),
      );
    });
  }
});

Deno.test("keepObjects: what a list failed to show once is there again; a new uid is another object", () =>
  withStore(async (db) => {
    await addPermit(db, "p");
    for (const [atMs, objects] of [[1, [object("a")]], [2, []], [3, [object("a")]]] as const) {
      await db.write((tx) => keepObjects(tx, "p", { objects: [...objects], scope: INTACT, atMs }));
    }
    assert.deepEqual((await uncertifiedObjects(db, "p")).map(({ seenAtMs, absent }) => [seenAtMs, absent]), [
      [1, null],
    ]);
    const again = object("b", { name: "name-a" });
    await db.write((tx) => keepObjects(tx, "p", { objects: [again], scope: INTACT, atMs: 4 }));
    assert.deepEqual((await uncertifiedObjects(db, "p")).map(({ uid, absent }) => [uid, absent?.atMs]), [
      ["a", 4],
      ["b", undefined],
    ]);
  }));

Deno.test("noteOrder: the first order of what is still there, by what it belongs to and its kind", () =>
  withStore(async (db) => {
    await addPermit(db, "p");
    const set = object("s", { kind: "StatefulSet" });
    const other = object("o", { of: { kind: "workspace", key: "research/b" } });
    const objects = [object("a"), set, other];
    await db.write((tx) => keepObjects(tx, "p", { objects, scope: INTACT, atMs: 1 }));
    const of = { kind: "workspace", key: "research/a" } as const;
    const why = "the permit is deleted", jobId = 7;
    await db.write((tx) => noteOrder(tx, "p", { step: "stop", why, jobId, of, kind: "Pod" }, 5));
    await db.write((tx) => noteOrder(tx, "p", { step: "remove", why, jobId, of, kind: null }, 6));
    await db.write((tx) =>
      noteOrder(tx, "p", { step: "destroy-scope", why, jobId, of: null, kind: null }, 7)
    );
    assert.deepEqual(
      (await uncertifiedObjects(db, "p")).map(({ uid, ordered }) => [uid, ordered?.step, ordered?.atMs]),
      [
        ["a", "stop", 5],
        ["s", "remove", 6],
        ["o", "destroy-scope", 7],
      ],
    );
  }));

Deno.test("objects: a certificate tells only of what is gone, and nothing is ever deleted", () =>
  withStore(async (db) => {
    await addPermit(db, "p");
    await db.write((tx) =>
      keepObjects(tx, "p", { objects: [object("a"), object("b")], scope: INTACT, atMs: 1 })
    );
    await db.write((tx) => keepObjects(tx, "p", { objects: [object("b")], scope: INTACT, atMs: 2 }));
    const ids = (await uncertifiedObjects(db, "p")).map(({ id }) => id);
    await db.write((tx) => certifyObjects(tx, ids, 1));
    assert.deepEqual((await uncertifiedObjects(db, "p")).map(({ uid }) => uid), ["b"]);
    await assert.rejects(db.write((tx) => tx.run("delete from objects", [])), /never forgotten/);
  }));
