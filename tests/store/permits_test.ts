import assert from "node:assert/strict";
import { newPermit, type Permit } from "../../src/core/permit.ts";
import { membersOf } from "../../src/store/members.ts";
import { getPermit, getStoredPermit, listPermits, savePermit } from "../../src/store/permits.ts";
import { addPermit, withStore } from "./fixture.ts";

const FULL: Permit = {
  permitId: "Lupa/2026 – ä'\"; drop table permits; --",
  status: "ANALYSIS_ACTIVE",
  members: {
    dataHolders: [{
      id: "hospital-a",
      username: "hospital-a",
      uid: 30001,
      gid: 30001,
      allowedCidrs: ["203.0.113.7/32"],
      sshPublicKeys: ["ssh-ed25519 AAAA"],
    }],
    preprocessor: { username: "m.keller" },
    reviewer: { username: "a.rossi" },
    setupReviewer: { username: "a.rossi" },
    researchers: [{ username: "j.virtanen", uid: 21001, gid: 21001 }, { username: "l.meri" }],
  },
  accounts: {
    "j.virtanen": { username: "j.virtanen", uid: 21001, gid: 21001 },
    "a.rossi": { username: "a.rossi", uid: 30002, gid: 30002 },
  },
  holders: { "hospital-a": "hospital-a", "hospital-b": "hospital-b" },
  fsGroup: 30000,
  tier: "large",
  expiresAt: "2027-06-30T00:00:00Z",
  expired: false,
  ingressBatch: 2,
  ingressOpen: true,
  stopRequested: true,
  halted: true,
  deletion: "requested",
  lastRevision: 7,
  lastTime: "2026-11-22T10:00:00Z",
  latest: { type: "permit.status.updated", bodyHash: "abc" },
  version: 9,
};

Deno.test("getPermit: gives back exactly what was saved, full and empty", async () => {
  await withStore(async (db) => {
    for (const permit of [FULL, newPermit("empty")]) {
      await db.write((tx) => savePermit(tx, permit, 5));
      assert.deepEqual(await getPermit(db, permit.permitId), permit);
    }
    assert.equal(await getPermit(db, "unknown"), null);
  });
});

Deno.test("savePermit: replaces the row, keeps when it was created", async () => {
  await withStore(async (db) => {
    await db.write((tx) => savePermit(tx, newPermit("p"), 5));
    await db.write((tx) => savePermit(tx, { ...FULL, permitId: "p" }, 9));
    assert.deepEqual(await getStoredPermit(db, "p"), {
      ...FULL,
      permitId: "p",
      createdAtMs: 5,
      updatedAtMs: 9,
    });
  });
});

Deno.test("savePermit: a version that falls is refused, so that a late writer undoes nothing", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p", { version: 3 });
    await assert.rejects(addPermit(db, "p", { version: 2 }), { reason: "conflict", message: /never falls/ });
    assert.equal((await getPermit(db, "p"))?.version, 3);
  });
});

const DELETIONS: [from: Permit["deletion"], to: Permit["deletion"], legal: boolean][] = [
  ["none", "requested", true],
  ["requested", "done", true],
  ["none", "done", true],
  ["requested", "none", false],
  ["done", "none", false],
  ["done", "requested", false],
];
for (const [from, to, legal] of DELETIONS) {
  Deno.test(`savePermit: deletion ${from} → ${to} is ${legal ? "saved" : "refused: deletion is final"}`, async () => {
    await withStore(async (db) => {
      await addPermit(db, "p", { deletion: from });
      const save = addPermit(db, "p", { deletion: to });
      if (legal) await save;
      else await assert.rejects(save, { reason: "conflict" });
    });
  });
}

Deno.test("membersOf: follows the permit; who is no longer named stays, inactive, and may come back", async () => {
  await withStore(async (db) => {
    const save = (permit: Permit, nowMs: number): Promise<void> =>
      db.write((tx) => savePermit(tx, permit, nowMs));
    const brief = async (): Promise<unknown[]> =>
      (await membersOf(db, "p")).map((
        { role, owner, uid, active, sinceAtMs },
      ) => [role, owner, uid, active, sinceAtMs]);
    const permit = { ...FULL, permitId: "p" };
    await save(permit, 10);
    assert.deepEqual(await brief(), [
      ["dataHolder", "hospital-a", null, true, 10],
      ["preprocessor", "m.keller", null, true, 10],
      ["researcher", "j.virtanen", 21001, true, 10],
      ["researcher", "l.meri", null, true, 10],
      ["reviewer", "a.rossi", 30002, true, 10],
      ["setupReviewer", "a.rossi", 30002, true, 10],
    ]);
    const fewer = { ...permit, members: { ...permit.members, researchers: [{ username: "l.meri" }] } };
    await save(fewer, 20);
    assert.deepEqual((await brief()).slice(2, 4), [
      ["researcher", "j.virtanen", 21001, false, 10],
      ["researcher", "l.meri", null, true, 10],
    ]);
    await save(permit, 30);
    assert.deepEqual((await brief())[2], ["researcher", "j.virtanen", 21001, true, 30]);
  });
});

Deno.test("listPermits: pages by id, each permit exactly once, also while others are added", async () => {
  await withStore(async (db) => {
    for (const id of ["a", "b", "c", "d", "e"]) await addPermit(db, id);
    const first = await listPermits(db, {}, { cursor: null, limit: 2 });
    await addPermit(db, "aa");
    const second = await listPermits(db, {}, { cursor: first.next, limit: 2 });
    const third = await listPermits(db, {}, { cursor: second.next, limit: 2 });
    const ids = [first, second, third].map(({ items }) => items.map(({ permitId }) => permitId));
    assert.deepEqual(ids, [["a", "b"], ["c", "d"], ["e"]]);
    assert.equal(third.next, null);
  });
});

Deno.test("listPermits: a last page that is exactly full says that nothing follows", async () => {
  await withStore(async (db) => {
    for (const id of ["a", "b"]) await addPermit(db, id);
    assert.equal((await listPermits(db, {}, { cursor: null, limit: 2 })).next, null);
  });
});

const FILTERS: [filter: Parameters<typeof listPermits>[1], ids: string[]][] = [
  [{}, ["archived", "deleted", "halted"]],
  [{ status: "ARCHIVED" }, ["archived"]],
  [{ halted: true }, ["halted"]],
  [{ halted: false }, ["archived", "deleted"]],
  [{ deletion: "done" }, ["deleted"]],
  [{ status: "ARCHIVED", halted: true }, []],
  [{ status: null, halted: null }, ["archived", "deleted", "halted"]],
];
for (const [filter, ids] of FILTERS) {
  Deno.test(`listPermits: ${JSON.stringify(filter)} gives ${ids.join(", ") || "none"}`, async () => {
    await withStore(async (db) => {
      await addPermit(db, "archived", { status: "ARCHIVED" });
      await addPermit(db, "deleted", { deletion: "done" });
      await addPermit(db, "halted", { halted: true });
      const { items } = await listPermits(db, filter, { cursor: null, limit: 10 });
      assert.deepEqual(items.map(({ permitId }) => permitId), ids);
    });
  });
}
