/** Who is let near the token: real TLS on loopback, with certificates that are good, and with all kinds that are not. */
import assert from "node:assert/strict";
import { Distrust, openConnection } from "../../../src/drivers/proxmox/connection.ts";
import { readPin, spelt, whyDistrusted } from "../../../src/drivers/proxmox/pin.ts";
import { makeCertificates } from "./certificates.ts";
import { startImpostor } from "./impostor.ts";
import { type Keys, startServer } from "./server.ts";

const CERTIFICATES = await makeCertificates();
const {
  authority,
  leaf,
  elsewhere,
  expired,
  old,
  chained,
  intermediate,
  foreign,
  foreignAuthority,
  own,
  ownLeaf,
} = CERTIFICATES;
const { signal } = new AbortController();

function derOf(pem: string): Uint8Array<ArrayBuffer> {
  const [, base64 = ""] = pem.split(/-----[A-Z ]+-----/);
  return Uint8Array.fromBase64(base64.replaceAll(/\s/g, ""));
}

async function sha256Of(pem: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", derOf(pem))).toHex();
}

/** Connects as configured; why not, or null. Nothing that was sent may have reached a server that is not trusted. */
async function whyNot(
  port: number,
  trust: { ca: string } | { fingerprint: string },
  host = "localhost",
): Promise<string | null> {
  const url = `https://${host}:${port}`;
  const settings = "ca" in trust
    ? { url, caFile: "/ca.pem", fingerprint: null }
    : { url, caFile: null, fingerprint: trust.fingerprint };
  const readText = (): Promise<string> => Promise.resolve("ca" in trust ? trust.ca : "");
  try {
    const socket = await openConnection(url, await readPin(settings, { readText }), signal);
    socket.destroy();
    return null;
  } catch (thrown) {
    assert.ok(thrown instanceof Distrust, `${thrown}`);
    return thrown.message;
  }
}

const BY_AUTHORITY: { why: string; keys: Keys; ca: string; host?: string; refused: RegExp | null }[] = [
  { why: "its certificate is signed by the authority", keys: leaf, ca: authority, refused: null },
  {
    why: "so it is, and the address is a number",
    keys: leaf,
    ca: authority,
    host: "127.0.0.1",
    refused: null,
  },
  {
    why: "one of two authorities has signed it",
    keys: leaf,
    ca: foreignAuthority + authority,
    refused: null,
  },
  { why: "the authority between is named", keys: chained, ca: intermediate, refused: null },
  { why: "it signed itself, and is an authority", keys: own, ca: own.cert, refused: null },
  { why: "it signed itself, and is none", keys: ownLeaf, ca: ownLeaf.cert, refused: null },
  { why: "another authority of the same name signed it", keys: foreign, ca: authority, refused: /verify/ },
  {
    why: "an authority that ours has signed did",
    keys: chained,
    ca: authority,
    refused: /no authority of \/ca\.pem/,
  },
  { why: "its certificate is for another host", keys: elsewhere, ca: authority, refused: /altnames/ },
  { why: "for another address", keys: elsewhere, ca: authority, host: "127.0.0.1", refused: /altnames|list/ },
  { why: "its certificate is over", keys: expired, ca: authority, refused: /expired/ },
  { why: "it signed itself, and nobody named it", keys: own, ca: authority, refused: /self-signed|verify/ },
  {
    why: "its own certificate is named as an authority, and is none",
    keys: leaf,
    ca: leaf.cert,
    refused: /verify/,
  },
];
for (const { why, keys, ca, host, refused } of BY_AUTHORITY) {
  Deno.test(`openConnection: a server is ${refused === null ? "trusted" : "refused"} by authority: ${why}`, async () => {
    await using server = startServer(() => ({ body: {} }), keys);
    const found = await whyNot(server.port, { ca }, host);
    if (refused === null) assert.equal(found, null);
    else assert.match(found ?? "trusted", refused);
    assert.equal(server.requests.length, 0);
  });
}

for (const [why, keys] of Object.entries({ leaf, own, ownLeaf, expired, elsewhere, chained })) {
  Deno.test(`openConnection: a fingerprint names exactly one certificate, whatever it says of itself: ${why}`, async () => {
    await using server = startServer(() => ({ body: {} }), keys);
    const fingerprint = await sha256Of(keys.cert);
    assert.equal(await whyNot(server.port, { fingerprint }), null);
    const other = await sha256Of(keys === own ? ownLeaf.cert : own.cert);
    assert.match(
      await whyNot(server.port, { fingerprint: other }) ?? "trusted",
      /has the SHA-256 fingerprint ([0-9A-F]{2}:){31}/,
    );
    assert.match(
      await whyNot(server.port, { fingerprint: other }) ?? "trusted",
      new RegExp(spelt(fingerprint)),
    );
    assert.equal(server.requests.length, 0);
  });
}

Deno.test("openConnection: the fingerprint of what has signed it is not its own", async () => {
  await using server = startServer(() => ({ body: {} }), chained);
  assert.match(
    await whyNot(server.port, { fingerprint: await sha256Of(intermediate) }) ?? "trusted",
    /fingerprint/,
  );
  assert.match(
    await whyNot(server.port, { fingerprint: await sha256Of(authority) }) ?? "trusted",
    /fingerprint/,
  );
});

Deno.test("openConnection: who shows the very certificate without its key is refused, by fingerprint as by authority", async () => {
  const trusts = [{ fingerprint: await sha256Of(leaf.cert) }, { ca: authority }];
  for (const trust of trusts) {
    await using impostor = startImpostor({ cert: leaf.cert, key: foreign.key });
    assert.notEqual(await whyNot(impostor.port, trust), null);
    assert.equal(await impostor.verdict, "refused");
  }
});

Deno.test("openConnection: who was trusted once for one reason is judged anew for another", async () => {
  await using server = startServer(() => ({ body: {} }), foreign);
  const fingerprint = await sha256Of(foreign.cert);
  for (let round = 0; round < 2; round++) {
    assert.equal(await whyNot(server.port, { fingerprint }), null);
    assert.match(await whyNot(server.port, { ca: authority }) ?? "trusted", /verify/);
  }
});

Deno.test("startImpostor: with the key it is believed, so that a refusal is about the key", async () => {
  await using impostor = startImpostor(leaf);
  const stop = new AbortController();
  const url = `https://localhost:${impostor.port}`;
  const connecting = openConnection(
    url,
    { by: "fingerprint", sha256: await sha256Of(leaf.cert) },
    stop.signal,
  );
  assert.equal(await impostor.verdict, "believed");
  stop.abort(new Error("seen enough"));
  await assert.rejects(connecting);
});

/** A certificate with one bit changed: the first byte of what these bytes stand for, in DER. */
function damaged(pem: string, bytes: readonly number[], at: number): string {
  const der = derOf(pem);
  const found = der.findIndex((_, index) => bytes.every((byte, offset) => der[index + offset] === byte));
  assert.ok(found > 0, "the bytes are there");
  der[found + at] = (der[found + at] ?? 0) ^ 1;
  return `-----BEGIN CERTIFICATE-----\n${der.toBase64()}\n-----END CERTIFICATE-----\n`;
}

const UNPROVEN: { why: string; cert: string }[] = [
  { why: "of version 1", cert: old.cert },
  { why: "of a version that is none", cert: damaged(leaf.cert, [0xa0, 0x03, 0x02, 0x01, 0x02], 4) },
  {
    why: "whose name for a host is no list",
    cert: damaged(leaf.cert, [0x06, 0x03, 0x55, 0x1d, 0x11, 0x04], 5),
  },
  { why: "whose key is no sequence", cert: damaged(leaf.cert, [0x30, 0x13, 0x06, 0x07, 0x2a, 0x86], 0) },
];
for (const { why, cert } of UNPROVEN) {
  Deno.test(`openConnection: a certificate ${why} needs no key with Deno, so it is nobody's`, async () => {
    await using impostor = startImpostor({ cert, key: foreign.key });
    const stop = new AbortController();
    const url = `https://localhost:${impostor.port}`;
    const sha256 = await sha256Of(cert);
    const connecting = openConnection(url, { by: "fingerprint", sha256 }, stop.signal);
    assert.equal(await impostor.verdict, "believed", "Deno has learnt: whyDistrusted may forget it");
    stop.abort(new Error("seen enough"));
    await assert.rejects(connecting);
    const peer = { isAuthorized: true, certificate: derOf(cert) };
    assert.match(await whyDistrusted({ by: "fingerprint", sha256 }, peer) ?? "trusted", /nothing proves/);
  });
}

Deno.test("whyDistrusted: no public authority will do, even if Deno finds everything in order", async () => {
  const pin = await readPin({ url: "https://a", caFile: "/ca.pem", fingerprint: null }, {
    readText: () => Promise.resolve(authority),
  });
  assert.ok(pin !== null);
  assert.equal(await whyDistrusted(pin, { isAuthorized: true, certificate: derOf(leaf.cert) }), null);
  const others = [foreign.cert, own.cert, chained.cert];
  for (const cert of others) {
    assert.match(
      await whyDistrusted(pin, { isAuthorized: true, certificate: derOf(cert) }) ?? "trusted",
      /no authority/,
    );
  }
  const unfit = { isAuthorized: false, certificate: derOf(leaf.cert) };
  assert.match(await whyDistrusted(pin, unfit) ?? "trusted", /not valid under \/ca\.pem/);
});

for (
  const [what, certificate] of [["nothing", ""], ["a text", "hello"], ["a header alone", "\u0030\u0082"]]
) {
  Deno.test(`whyDistrusted: ${what} is no certificate`, async () => {
    const bytes = new TextEncoder().encode(certificate);
    const pin = {
      by: "fingerprint" as const,
      sha256: new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex(),
    };
    assert.match(
      await whyDistrusted(pin, { isAuthorized: true, certificate: bytes }) ?? "trusted",
      /version 3/,
    );
  });
}

const FILES: { why: string; text: string | null; says: RegExp }[] = [
  { why: "is not there", text: null, says: /does not exist/ },
  { why: "is empty", text: "", says: /no certificate/ },
  { why: "is a key", text: leaf.key, says: /no certificate/ },
  { why: "is cut", text: authority.slice(0, 200), says: /damaged/ },
  { why: "has a second one that is cut", text: authority + foreignAuthority.slice(0, 200), says: /damaged/ },
  {
    why: "has a certificate that is none",
    text: authority.replace(/[A-Za-z0-9]{40}/, "A".repeat(40)),
    says: /damaged/,
  },
];
for (const { why, text, says } of FILES) {
  Deno.test(`readPin: refuses a file that ${why}`, async () => {
    const readText = (): Promise<string> =>
      text === null ? Promise.reject(new Deno.errors.NotFound()) : Promise.resolve(text);
    await assert.rejects(
      readPin({ url: "https://a", caFile: "/ca.pem", fingerprint: null }, { readText }),
      says,
    );
  });
}

Deno.test("readPin: https without anything that says who the server is is refused, whatever let it through", async () => {
  const readText = (): Promise<string> => Promise.resolve("");
  await assert.rejects(
    readPin({ url: "https://a", caFile: null, fingerprint: null }, { readText }),
    /neither/,
  );
});

Deno.test("openConnection: plain HTTP goes to this machine alone, whatever a name leads to", async () => {
  await using server = startServer(() => ({ body: {} }));
  const socket = await openConnection(`http://localhost:${server.port}`, null, signal);
  socket.destroy();
  // An address of this machine that is not plainly one: what is in doubt is not sent to.
  await assert.rejects(openConnection(`http://[::ffff:127.0.0.1]:${server.port}`, null, signal), Distrust);
  // The server speaks plain HTTP: a pin that got lost must not make https plain.
  await assert.rejects(openConnection(`https://localhost:${server.port}`, null, signal), Distrust);
});

Deno.test("openConnection: a server that is not there, or says nothing, is no matter of trust", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `https://localhost:${listener.addr.port}`;
  const pin = { by: "fingerprint" as const, sha256: "0".repeat(64) };
  const stop = new AbortController();
  const waiting = openConnection(url, pin, stop.signal);
  const silent = await listener.accept();
  stop.abort(new Error("too slow"));
  await assert.rejects(waiting, /too slow/);
  await silent.readable.pipeTo(new WritableStream()); // it ends: nobody is there any more
  await assert.rejects(openConnection(url, pin, AbortSignal.abort(new Error("before"))), /before/);
  listener.close();
  await assert.rejects(openConnection(url, pin, signal), /ECONNREFUSED/);
});
