import assert from "node:assert/strict";
import { z } from "zod";
import {
  createVault,
  hostKeyContext,
  makePassword,
  passwordContext,
  type Vault,
} from "../../src/runner/vault.ts";
import type { Db } from "../../src/store/db.ts";
import { bytes } from "../../src/store/columns.ts";
import { createSealer, loadSealKey } from "../../src/store/seal.ts";
import { addPermit, withStore } from "../store/fixture.ts";
import { FakeClock } from "../fake_clock.ts";
import { SeededRandom } from "../seeded_random.ts";

async function withVault(
  test: (vault: Vault, db: Db, again: (seed: number) => Promise<Vault>) => Promise<void>,
): Promise<void> {
  await withStore(async (db, directory) => {
    await addPermit(db, "p");
    await addPermit(db, "q");
    const make = async (seed: number): Promise<Vault> => {
      const random = new SeededRandom(seed);
      return createVault(
        db,
        createSealer(await loadSealKey(directory, random), random),
        random,
        new FakeClock(),
      );
    };
    await test(await make(1), db, make);
  });
}

async function allSealed(db: Db): Promise<string> {
  const rows = await db.read("select sealed from secrets", [], z.object({ sealed: bytes }));
  return rows.map(({ sealed }) => new TextDecoder("latin1").decode(sealed)).join("\n");
}

Deno.test("vault: a password lasts until the next start, over a restart of the service", async () => {
  await withVault(async (vault, _db, again) => {
    const first = await vault.password("p", "research/a", true);
    assert.equal(await vault.password("p", "research/a", false), first);
    assert.equal(await (await again(2)).password("p", "research/a", false), first, "kept, not remembered");
    const second = await vault.password("p", "research/a", true);
    assert.notEqual(second, first, "each start has its own");
    assert.equal(await vault.password("p", "research/a", false), second);
  });
});

Deno.test("vault: nobody shares a password", async () => {
  await withVault(async (vault) => {
    const keys: [string, string][] = [["p", "research/a"], ["p", "research/b"], ["q", "research/a"]];
    const passwords = await Promise.all(keys.map(([permit, key]) => vault.password(permit, key, true)));
    assert.equal(new Set(passwords).size, keys.length);
  });
});

Deno.test("vault: no secret lies open in the database", async () => {
  await withVault(async (vault, db) => {
    const password = await vault.password("p", "research/a", true);
    const pem = await vault.hostKey("p", "hospital-a");
    const stored = await allSealed(db);
    assert.ok(!stored.includes(password) && !stored.includes(pem.split("\n")[1] ?? "BEGIN"));
  });
});

Deno.test("vault: a sealed password moved to another workspace's row does not open", async () => {
  await withVault(async (vault, db) => {
    await vault.password("p", "research/a", true);
    await db.write((tx) => tx.run("update secrets set subject = 'research/b'", []).then(() => {}));
    await assert.rejects(vault.password("p", "research/b", false), { name: "Fault", reason: "denied" });
    assert.notEqual(passwordContext("p", "a"), passwordContext("q", "a"));
    assert.notEqual(passwordContext("p", "a"), hostKeyContext("p", "a"));
  });
});

Deno.test("vault: a host key is made once, also by two at the same time", async () => {
  await withVault(async (vault, _db, again) => {
    const rival = await again(9);
    const [one, other] = await Promise.all([
      vault.hostKey("p", "hospital-a"),
      rival.hostKey("p", "hospital-a"),
    ]);
    assert.equal(one, other);
    assert.equal(await (await again(3)).hostKey("p", "hospital-a"), one);
    assert.notEqual(await vault.hostKey("p", "hospital-b"), one);
    assert.match(one, /^-----BEGIN OPENSSH PRIVATE KEY-----/);
  });
});

Deno.test("makePassword: 20 characters that people can type, each equally likely", () => {
  const counts = new Map<string, number>();
  const random = new SeededRandom(7);
  const many = 3_000;
  for (let n = 0; n < many; n++) {
    const password = makePassword(random);
    assert.match(password, /^[A-HJ-NP-Za-km-z2-9]{20}$/);
    for (const character of password) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  const expected = many * 20 / 57;
  assert.equal(counts.size, 57);
  for (const [character, count] of counts) {
    assert.ok(
      Math.abs(count - expected) < expected / 4,
      `${character}: ${count} instead of about ${expected}`,
    );
  }
});

Deno.test("makePassword: biased bytes are thrown away", () => {
  let calls = 0;
  // 228 = 4 × 57 and above would make the first letters more likely.
  const random = { next: () => 0, bytes: (n: number) => new Uint8Array(n).fill(++calls === 1 ? 255 : 0) };
  assert.equal(makePassword(random), "A".repeat(20));
  assert.equal(calls, 2);
});
