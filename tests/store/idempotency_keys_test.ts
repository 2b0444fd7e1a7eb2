import assert from "node:assert/strict";
import type { Db } from "../../src/store/db.ts";
import {
  abandonIdempotent,
  beginIdempotent,
  type Beginning,
  finishIdempotent,
  IDEMPOTENCY_KEPT_MS,
  type StoredAnswer,
} from "../../src/store/idempotency_keys.ts";
import { withStore } from "./fixture.ts";

const KEY = { caller: "api:key-1", key: "abc" };
const ANSWER: StoredAnswer = { status: 202, contentType: "application/json", body: '{"seq":1}' };

const begin = (
  db: Db,
  change: Partial<Parameters<typeof beginIdempotent>[1]> = {},
): Promise<Beginning> =>
  db.write((tx) =>
    beginIdempotent(tx, { ...KEY, bodyHash: "h1", bootEpoch: "boot-1", nowMs: 10, ...change })
  );
const finish = (db: Db): Promise<boolean> => db.write((tx) => finishIdempotent(tx, KEY, ANSWER));

const REPEATS: [
  what: string,
  before: (db: Db) => Promise<unknown>,
  repeat: Partial<Parameters<typeof beginIdempotent>[1]>,
  expected: Beginning,
][] = [
  ["the same request while it runs", () => Promise.resolve(), {}, { is: "running" }],
  ["another body while it runs", () => Promise.resolve(), { bodyHash: "h2" }, { is: "mismatch" }],
  ["the same request when it is done", finish, {}, { is: "done", answer: ANSWER }],
  ["another body when it is done", finish, { bodyHash: "h2" }, { is: "mismatch" }],
  ["the same key of another caller", finish, { caller: "api:key-2" }, { is: "begun" }],
  ["another key", finish, { key: "abd" }, { is: "begun" }],
  ["a request that a crashed boot left", () => Promise.resolve(), { bootEpoch: "boot-2" }, { is: "begun" }],
  ["another body for what a crashed boot left", () => Promise.resolve(), {
    bootEpoch: "boot-2",
    bodyHash: "h2",
  }, {
    is: "mismatch",
  }],
  ["an answer of an earlier boot", finish, { bootEpoch: "boot-2" }, { is: "done", answer: ANSWER }],
  ["after 24 hours", finish, { nowMs: 10 + IDEMPOTENCY_KEPT_MS, bodyHash: "h2" }, { is: "begun" }],
  ["just before 24 hours", finish, { nowMs: 9 + IDEMPOTENCY_KEPT_MS }, { is: "done", answer: ANSWER }],
  ["after it was given up", (db) => db.write((tx) => abandonIdempotent(tx, KEY)), { bodyHash: "h2" }, {
    is: "begun",
  }],
];
for (const [what, before, repeat, expected] of REPEATS) {
  Deno.test(`beginIdempotent: ${what}: ${expected.is}`, async () => {
    await withStore(async (db) => {
      assert.deepEqual(await begin(db), { is: "begun" });
      await before(db);
      assert.deepEqual(await begin(db, repeat), expected);
    });
  });
}

Deno.test("finishIdempotent: commits with its effect or not at all", async () => {
  await withStore(async (db) => {
    await begin(db);
    await assert.rejects(db.write(async (tx) => {
      await finishIdempotent(tx, KEY, ANSWER);
      throw new Error("the effect failed");
    }));
    assert.deepEqual(await begin(db), { is: "running" });
    assert.equal(await finish(db), true);
    assert.deepEqual(await begin(db), { is: "done", answer: ANSWER });
    assert.equal(await finish(db), false, "a second answer never replaces the first");
  });
});

Deno.test("finishIdempotent: says so when the mark is gone, so that the effect is rolled back", async () => {
  await withStore(async (db) => assert.equal(await finish(db), false));
});

Deno.test("abandonIdempotent: leaves an answer alone", async () => {
  await withStore(async (db) => {
    await begin(db);
    await finish(db);
    await db.write((tx) => abandonIdempotent(tx, KEY));
    assert.deepEqual(await begin(db), { is: "done", answer: ANSWER });
  });
});
