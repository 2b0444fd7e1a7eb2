import assert from "node:assert/strict";
import { inspectDisk } from "../../../src/config/disk.ts";
import type { Fault } from "../../../src/core/fault.ts";
import { authorizationOf, readToken } from "../../../src/drivers/proxmox/token.ts";

const SECRET = "0aa5ef10-4bcd-4bb1-9e20-0e2a5c2b6f7d";
const TOKEN = `wps@pve!prod=${SECRET}`;
const SURROUNDINGS = { readText: (path: string) => Deno.readTextFile(path), inspect: inspectDisk };

/** A file of this content and mode, as long as `use` runs. */
async function withFile<T>(content: string, mode: number, use: (path: string) => Promise<T>): Promise<T> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, content);
    await Deno.chmod(path, mode);
    return await use(path);
  } finally {
    await Deno.remove(path);
  }
}

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  return await promise.then(() => assert.fail("it must be refused"), (thrown) => thrown);
}

for (const content of [TOKEN, `${TOKEN}\n`, `  PVEAPIToken=${TOKEN}\r\n`]) {
  Deno.test(`readToken: ${JSON.stringify(content.replace(SECRET, "…"))} logs in`, async () => {
    const token = await withFile(content, 0o640, (path) => readToken(path, SURROUNDINGS));
    assert.equal(authorizationOf(token), `PVEAPIToken=${TOKEN}`);
    assert.equal(token.id, "wps@pve!prod");
  });
}

for (const mode of [0o644, 0o604, 0o602, 0o601]) {
  Deno.test(`readToken: a file of mode ${mode.toString(8)} is everybody's, and refused`, async () => {
    const fault = await withFile(TOKEN, mode, (path) => faultOf(readToken(path, SURROUNDINGS)));
    assert.deepEqual([fault.disposition, fault.reason], ["stalled", "invalid"]);
    assert.match(`${fault.message} ${fault.advice}`, /mode 06.*chmod 640.*new token/);
  });
}

const WRONG: { why: string; content: string }[] = [
  { why: "nothing", content: "" },
  { why: "a user's password", content: "hunter2-hunter2" },
  { why: "a secret without its id", content: SECRET },
  { why: "a token without a realm", content: `wps!prod=${SECRET}` },
  { why: "a token id of one letter", content: `wps@pve!p=${SECRET}` },
  { why: "a secret that is no UUID", content: "wps@pve!prod=0aa5ef10" },
  { why: "a second header behind it", content: `${TOKEN}\r\nX-Other: 1` },
  { why: "a letter that no header can carry", content: `wps\u20ac@pve!prod=${SECRET}` },
  { why: "two tokens", content: `${TOKEN}\n${TOKEN}` },
];
for (const { why, content } of WRONG) {
  Deno.test(`readToken: refuses ${why}, and does not repeat it`, async () => {
    const fault = await withFile(content, 0o600, (path) => faultOf(readToken(path, SURROUNDINGS)));
    assert.deepEqual([fault.disposition, fault.reason], ["stalled", "invalid"]);
    for (const word of content.split(/\s+/).filter((part) => part.length > 4)) {
      assert.ok(!`${fault.message} ${fault.advice}`.includes(word), word);
    }
  });
}

Deno.test("readToken: a file that is not there may come back", async () => {
  const fault = await faultOf(readToken("/nowhere/proxmox.token", SURROUNDINGS));
  assert.deepEqual([fault.disposition, fault.reason], ["retry", "unavailable"]);
  assert.match(fault.message, /\/nowhere\/proxmox\.token: it does not exist/);
});
