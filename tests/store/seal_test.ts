import assert from "node:assert/strict";
import {
  checkSealKey,
  createSealer,
  loadSealKey,
  open,
  seal,
  SEAL_KEY_FILE,
  type SealKey,
} from "../../src/store/seal.ts";
import { countingRandom, withDirectory, withStore } from "./fixture.ts";

const SECRET = "correct-horse-battery-ä";
const BINDING = JSON.stringify(["password", "p", "research/j.virtanen"]);

async function withKey(test: (key: SealKey, directory: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) =>
    await test(await loadSealKey(directory, countingRandom()), directory)
  );
}

Deno.test("loadSealKey: makes a key of 256 bits for the owner only, once", async () => {
  await withKey(async (key, directory) => {
    const path = `${directory}/${SEAL_KEY_FILE}`;
    const { mode, size } = await Deno.stat(path);
    assert.deepEqual([(mode ?? 0) & 0o777, size], [0o600, 32]);
    const before = await Deno.readFile(path);
    const again = await loadSealKey(directory, countingRandom());
    assert.deepEqual(await Deno.readFile(path), before);
    assert.equal(await open(again, await seal(key, SECRET, BINDING, countingRandom()), BINDING), SECRET);
    assert.deepEqual((await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name), [
      SEAL_KEY_FILE,
    ]);
  });
});

Deno.test("loadSealKey: of several that make it at once all get the same", async () => {
  await withDirectory(async (directory) => {
    const random = countingRandom();
    const keys = await Promise.all(Array.from({ length: 8 }, () => loadSealKey(directory, random)));
    const [first] = keys;
    assert.ok(first !== undefined);
    const sealed = await seal(first, SECRET, BINDING, random);
    for (const key of keys) assert.equal(await open(key, sealed, BINDING), SECRET);
  });
});

const REFUSED: [what: string, prepare: (path: string) => Promise<void>, reason: string, expected: RegExp][] =
  [
    [
      "readable by the group",
      (path) => Deno.chmod(path, 0o640),
      "denied",
      /its mode 0640 lets others read it/,
    ],
    ["readable by all", (path) => Deno.chmod(path, 0o604), "denied", /its mode 0604 lets others read it/],
    ["writable by others", (path) => Deno.chmod(path, 0o602), "denied", /its mode 0602/],
    ["empty", (path) => Deno.truncate(path, 0), "invalid", /it has 0 bytes, 32 were expected/],
    ["too long", (path) => Deno.truncate(path, 33), "invalid", /it has 33 bytes/],
  ];
for (const [what, prepare, reason, expected] of REFUSED) {
  Deno.test(`loadSealKey: a key that is ${what} is refused, not replaced`, async () => {
    await withKey(async (_key, directory) => {
      const path = `${directory}/${SEAL_KEY_FILE}`;
      await prepare(path);
      const before = await Deno.readFile(path);
      await assert.rejects(loadSealKey(directory, countingRandom()), {
        name: "Fault",
        reason,
        message: expected,
      });
      assert.deepEqual(await Deno.readFile(path), before);
    });
  });
}

Deno.test("loadSealKey: a missing keys directory is a stalled Fault with advice", async () => {
  await withDirectory(async (directory) => {
    await assert.rejects(loadSealKey(`${directory}/absent`, countingRandom()), {
      name: "Fault",
      disposition: "stalled",
      reason: "unavailable",
    });
  });
});

Deno.test("seal: the same text twice looks different, and nothing of it shows", async () => {
  await withKey(async (key) => {
    const random = countingRandom();
    const [a, b] = [await seal(key, SECRET, BINDING, random), await seal(key, SECRET, BINDING, random)];
    assert.notDeepEqual(a, b);
    assert.equal(a.byteLength, 1 + 12 + new TextEncoder().encode(SECRET).byteLength + 16);
    assert.ok(!new TextDecoder().decode(a).includes("horse"));
  });
});

const TAMPERED: [what: string, change: (sealed: Uint8Array) => Uint8Array, binding: string][] = [
  ["another permit's binding", (sealed) => sealed, JSON.stringify(["password", "q", "research/j.virtanen"])],
  ["another workspace's binding", (sealed) => sealed, JSON.stringify(["password", "p", "research/l.meri"])],
  ["a flipped bit", (sealed) => sealed.map((byte, index) => index === 20 ? byte ^ 1 : byte), BINDING],
  ["another version", (sealed) => sealed.map((byte, index) => index === 0 ? 2 : byte), BINDING],
  ["a cut end", (sealed) => sealed.subarray(0, -1), BINDING],
  ["nothing", () => new Uint8Array(), BINDING],
];
for (const [what, change, binding] of TAMPERED) {
  Deno.test(`open: ${what} is refused, and the Fault shows no secret`, async () => {
    await withKey(async (key) => {
      const sealed = change(await seal(key, SECRET, BINDING, countingRandom()));
      await assert.rejects(open(key, sealed, binding), (thrown) => {
        assert.ok(thrown instanceof Error && "reason" in thrown && thrown.reason === "denied");
        assert.ok(!String(thrown).includes("horse"));
        return true;
      });
    });
  });
}

Deno.test("checkSealKey: remembers the first key of a database and refuses another at the start", async () => {
  await withStore(async (db, directory) => {
    for (const name of ["a", "b"]) await Deno.mkdir(`${directory}/${name}`);
    const random = countingRandom();
    const right = createSealer(await loadSealKey(`${directory}/a`, random), random);
    const wrong = createSealer(await loadSealKey(`${directory}/b`, random), random);
    await checkSealKey(db, right);
    await checkSealKey(db, right);
    await assert.rejects(checkSealKey(db, wrong), {
      name: "Fault",
      reason: "denied",
      disposition: "stalled",
    });
    await checkSealKey(db, right);
  });
});
