import assert from "node:assert/strict";
import {
  clearPassword,
  clearSecrets,
  keepPasswords,
  readSealedHostKey,
  readSealedPassword,
  saveHostKeyOnce,
  savePassword,
} from "../../src/store/secrets.ts";
import { addPermit, withStore } from "./fixture.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

Deno.test("savePassword: replaces; each workspace and permit has its own; cleared it is gone", async () => {
  await withStore(async (db) => {
    for (const id of ["p", "q"]) await addPermit(db, id);
    await db.write(async (tx) => {
      await savePassword(tx, "p", "research/a", bytes(1, 0, 255), 10);
      await savePassword(tx, "p", "research/a", bytes(2, 0, 255), 20);
      await savePassword(tx, "p", "research/b", bytes(3), 20);
      await savePassword(tx, "q", "research/a", bytes(4), 20);
      await clearPassword(tx, "p", "research/b");
    });
    assert.deepEqual(await readSealedPassword(db, "p", "research/a"), bytes(2, 0, 255));
    assert.equal(await readSealedPassword(db, "p", "research/b"), null);
    assert.deepEqual(await readSealedPassword(db, "q", "research/a"), bytes(4));
  });
});

Deno.test("saveHostKeyOnce: the first one counts, whoever comes later", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    const save = (value: number): Promise<Uint8Array> =>
      db.write((tx) => saveHostKeyOnce(tx, "p", "hospital-a", bytes(value), 10));
    assert.equal(await readSealedHostKey(db, "p", "hospital-a"), null);
    assert.deepEqual(await save(1), bytes(1));
    assert.deepEqual(await save(2), bytes(1));
    assert.deepEqual(await readSealedHostKey(db, "p", "hospital-a"), bytes(1));
  });
});

Deno.test("keepPasswords: those of other workspaces of the permit go, host keys and other permits' stay", async () => {
  await withStore(async (db) => {
    for (const id of ["p", "q"]) await addPermit(db, id);
    await db.write(async (tx) => {
      for (const id of ["p", "q"]) {
        for (const key of ["research/a", "research/b"]) await savePassword(tx, id, key, bytes(1), 10);
        await saveHostKeyOnce(tx, id, "h", bytes(2), 10);
      }
      await keepPasswords(tx, "p", ["research/a", "research/never"]);
    });
    assert.deepEqual(await readSealedPassword(db, "p", "research/a"), bytes(1));
    assert.equal(await readSealedPassword(db, "p", "research/b"), null);
    assert.deepEqual(await readSealedHostKey(db, "p", "h"), bytes(2));
    assert.deepEqual(await readSealedPassword(db, "q", "research/b"), bytes(1));
    await db.write((tx) => keepPasswords(tx, "p", []));
    assert.equal(await readSealedPassword(db, "p", "research/a"), null);
  });
});

Deno.test("clearSecrets: a deleted permit keeps none, the others theirs", async () => {
  await withStore(async (db) => {
    for (const id of ["p", "q"]) await addPermit(db, id);
    await db.write(async (tx) => {
      for (const id of ["p", "q"]) {
        await savePassword(tx, id, "research/a", bytes(1), 10);
        await saveHostKeyOnce(tx, id, "h", bytes(2), 10);
      }
      await clearSecrets(tx, "p");
    });
    assert.equal(await readSealedPassword(db, "p", "research/a"), null);
    assert.equal(await readSealedHostKey(db, "p", "h"), null);
    assert.deepEqual(await readSealedPassword(db, "q", "research/a"), bytes(1));
    assert.deepEqual(await readSealedHostKey(db, "q", "h"), bytes(2));
  });
});
