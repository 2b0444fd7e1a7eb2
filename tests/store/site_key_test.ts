import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import {
  loadSiteSigner,
  publicKeyOf,
  signerFromSeed,
  SITE_KEY_FILE,
  SITE_PUBLIC_FILE,
} from "../../src/store/site_key.ts";
import { countingRandom, withDirectory } from "./fixture.ts";

Deno.test("site key: made once, for the owner only, with the public key beside it", () =>
  withDirectory(async (directory) => {
    const signer = await loadSiteSigner(directory, countingRandom());
    const { mode } = await Deno.stat(`${directory}/${SITE_KEY_FILE}`);
    assert.equal((mode ?? 0) & 0o777, 0o600);
    const pem = await Deno.readTextFile(`${directory}/${SITE_PUBLIC_FILE}`);
    assert.equal(pem, signer.key.pem);
    assert.ok(!pem.includes("PRIVATE"));
    assert.equal(((await Deno.stat(`${directory}/${SITE_PUBLIC_FILE}`)).mode ?? 0) & 0o777, 0o644);
    const signature = signer.sign("text");
    assert.ok(publicKeyOf(pem, "file").verify("text", signature));
    assert.ok(!publicKeyOf(pem, "file").verify("test", signature));
    const again = await loadSiteSigner(directory, countingRandom());
    assert.equal(again.key.id, signer.key.id);
    const names = (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name).sort();
    assert.deepEqual(names, [SITE_KEY_FILE, SITE_PUBLIC_FILE], "nothing half made is left");
  }));

Deno.test("site key: of several that make it at once all get the same", () =>
  withDirectory(async (directory) => {
    const random = countingRandom();
    const signers = await Promise.all(Array.from({ length: 8 }, () => loadSiteSigner(directory, random)));
    assert.equal(new Set(signers.map(({ key }) => key.id)).size, 1);
  }));

Deno.test("site key: a lost or altered public file is written anew", () =>
  withDirectory(async (directory) => {
    const { key } = await loadSiteSigner(directory, countingRandom());
    for (
      const spoil of [(path: string) => Deno.remove(path), (path: string) => Deno.writeTextFile(path, "x")]
    ) {
      await spoil(`${directory}/${SITE_PUBLIC_FILE}`);
      await loadSiteSigner(directory, countingRandom());
      assert.equal(await Deno.readTextFile(`${directory}/${SITE_PUBLIC_FILE}`), key.pem);
    }
  }));

Deno.test("site key: one that others can read, or that is none, stops the start", async () => {
  const cases: [why: string, spoil: (path: string) => Promise<void>, reason: string][] = [
    ["readable by the group", (path) => Deno.chmod(path, 0o640), "denied"],
    ["writable by others", (path) => Deno.chmod(path, 0o602), "denied"],
    ["empty", (path) => Deno.truncate(path, 0), "invalid"],
    ["not PEM", (path) => Deno.writeTextFile(path, "a key"), "invalid"],
  ];
  for (const [why, spoil, reason] of cases) {
    await withDirectory(async (directory) => {
      await loadSiteSigner(directory, countingRandom());
      await spoil(`${directory}/${SITE_KEY_FILE}`);
      await assert.rejects(
        loadSiteSigner(directory, countingRandom()),
        (thrown) => thrown instanceof Fault && thrown.reason === reason,
        why,
      );
    });
  }
  await assert.rejects(
    loadSiteSigner("/nowhere/at/all", countingRandom()),
    (thrown) => thrown instanceof Fault && thrown.reason === "unavailable",
  );
});

Deno.test("publicKeyOf: takes an Ed25519 public key and nothing else", async () => {
  const { publicKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const body = btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.exportKey("spki", publicKey))));
  const cases: [pem: string, expected: RegExp][] = [
    ["", /no key in PEM/],
    ["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", /no key in PEM/],
    [`-----BEGIN PUBLIC KEY-----\n${body}\n-----END PUBLIC KEY-----\n`, /a key of type ec/],
    ["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", /a private key/],
  ];
  for (const [pem, expected] of cases) assert.throws(() => publicKeyOf(pem, "x.pub"), expected);
});

Deno.test("site key: signs as RFC 8032 says, and takes each signature in one spelling only", () => {
  // Section 7.1, test 2.
  const hex = (text: string): Uint8Array => Uint8Array.fromHex(text);
  const signer = signerFromSeed(hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
  const signature = signer.sign("r");
  assert.equal(
    Uint8Array.fromBase64(signature).toHex(),
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  );
  assert.ok(signer.key.verify("r", signature));
  for (const other of [signature.replaceAll("=", ""), ` ${signature}`, `${signature}\n`, "", "x"]) {
    assert.ok(!signer.key.verify("r", other), JSON.stringify(other));
  }
});
