/** `wps certificate` as the operator and the auditor use it. */
import assert from "node:assert/strict";
import { SITE_KEY_FILE, SITE_PUBLIC_FILE } from "../../src/store/site_key.ts";
import { setupEvent, TestSite } from "./site.ts";

Deno.test("certificate: printed, saved, verified elsewhere, and never believed once altered", async (t) => {
  await using site = await TestSite.make();
  await site.start();
  const file = await site.event("a", setupEvent("a", 1, "WORKSPACE_SETUP_PENDING"));
  assert.equal((await site.wps(["events", "send", file, "--follow"])).code, 0);

  await t.step("none before the deletion", async () => {
    const { code, stderr } = await site.wps(["certificate", "permit-001"]);
    assert.equal(code, 3);
    assert.match(stderr, /Cannot find a certificate of permit-001: it is RUNNING/);
    assert.equal((await site.wps(["certificate", "nobody"])).code, 3);
  });
  const deletion = await site.event("b", {
    id: "b",
    type: "permit.deleted",
    permitId: "permit-001",
    data: {},
  });
  assert.equal((await site.wps(["events", "send", deletion, "--follow"])).code, 0);

  await t.step("for people: each object with who ordered its end and what saw it gone", async () => {
    const { code, stdout, stderr } = await site.wps(["certificate", "permit-001"]);
    assert.deepEqual([code, stderr], [0, ""], stdout);
    assert.match(stdout, /^Certificate 1 of the deletion of permit-001$/m);
    assert.match(stdout, /none is left: the absence of each was observed/);
    assert.match(stdout, /asked for by +event 2 \(permit\.deleted b from /);
    assert.match(stdout, /PersistentVolume .*destroy-volume home\/j\.virtanen.* did not show it/);
    assert.match(stdout, /signature verified with the site's key ed25519:[0-9a-f]{32}$/m);
  });
  const saved = `${site.directory}/saved.json`, key = `${site.directory}/trusted.pub`;
  await Deno.copyFile(`${site.directory}/keys/${SITE_PUBLIC_FILE}`, key);
  await t.step("saved, and verified without the service by who trusts the key", async () => {
    const { code, stdout } = await site.wps(["certificate", "permit-001", "--json"]);
    assert.equal(code, 0);
    await Deno.writeTextFile(saved, stdout);
    const read = await site.wps(["certificate", "--verify", saved, "--key", key]);
    assert.equal(read.code, 0, read.stderr);
    assert.match(read.stdout, /signature verified with the trusted key ed25519:/);
    assert.equal((await site.wps(["certificate", "permit-001", "--key", key])).code, 0);
  });
  await t.step("without a trusted key, or with another, nothing is verified", async () => {
    const without = await site.wps(["certificate", "--verify", saved]);
    assert.deepEqual([without.code, without.stdout], [2, ""]);
    assert.match(without.stderr, /no key is trusted/);
    const secret = await site.wps([
      "certificate",
      "--verify",
      saved,
      "--key",
      `${site.directory}/keys/${SITE_KEY_FILE}`,
    ]);
    assert.equal(secret.code, 1);
    assert.match(secret.stderr, /it is a private key/);
    assert.equal((await site.wps(["certificate"])).code, 2);
    assert.equal((await site.wps(["certificate", "permit-001", "--verify", saved, "--key", key])).code, 2);
  });
  await t.step("altered, or no certificate at all: 1, and nothing of it is shown", async () => {
    const text = await Deno.readTextFile(saved);
    const spoiled = `${site.directory}/spoiled.json`;
    for (
      const altered of [
        text.replace("permit-001", "permit-002"),
        text.replace('"tainted": false', '"tainted": true'),
        "[]",
        "{}",
        "x",
      ]
    ) {
      assert.notEqual(altered, text);
      await Deno.writeTextFile(spoiled, altered);
      const { code, stdout, stderr } = await site.wps(["certificate", "--verify", spoiled, "--key", key]);
      assert.deepEqual([code, stdout], [1, ""], stderr);
    }
  });
});
