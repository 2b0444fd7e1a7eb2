import assert from "node:assert/strict";
import { scrub, scrubText } from "../../src/scrub.ts";

Deno.test("scrubText: takes out what looks like a secret and leaves the rest", async (test) => {
  const cases: [reason: string, text: string, expected: string][] = [
    [
      "a URL's password",
      "to amqps://wps:s3cret@broker:5671/spe now",
      "to amqps://wps:[redacted]@broker:5671/spe now",
    ],
    ["a URL's password without user", "redis://:s3cret@cache", "redis://:[redacted]@cache"],
    ["a URL without password", "http://user@host:80/a@b", "http://user@host:80/a@b"],
    ["a bearer token", "Authorization: Bearer abcdefgh.ijk", "Authorization: Bearer [redacted]"],
    ["basic credentials", "basic dXNlcjpwYXNz", "basic [redacted]"],
    ["ordinary words", "the bearer of this letter", "the bearer of this letter"],
    ["an API key", "key wps_ab12_0123456789abcdef refused", "key wps_ab12_[redacted] refused"],
    ["a JSON Web Token", "t eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig x", "t [redacted] x"],
    [
      "a private key",
      "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY----- end",
      "[redacted] end",
    ],
    ["half a private key", "x -----BEGIN PRIVATE KEY-----\nabc", "x [redacted]"],
    ["a public key", "ssh-ed25519 AAAAC3Nz user", "ssh-ed25519 AAAAC3Nz user"],
  ];
  for (const [reason, text, expected] of cases) {
    await test.step(reason, () => assert.equal(scrubText(text), expected));
  }
});

Deno.test("scrubText: cuts what nobody would read", () => {
  const text = scrubText("words of ".repeat(10_000));
  assert.ok(text.length < 8300);
  assert.match(text, /\(90000 characters\)$/);
});

Deno.test("scrubText: a secret at the cut does not show by half", () => {
  const secret = "s".repeat(200);
  for (let before = 32_500; before < 32_800; before += 7) {
    const keys = "-----BEGIN PRIVATE KEY-----x-----END PRIVATE KEY-----".repeat(600);
    const text = scrubText(`${keys.padEnd(before)} amqp://wps:${secret}@broker ${"x ".repeat(1000)}`);
    assert.ok(!text.includes("ss"), `${before}`);
  }
});

Deno.test("scrubText: no text is slow", () => {
  const started = performance.now();
  for (const part of ["x", "eyJ-", "a:/", "bearer ", "wps_", "-----BEGIN ", "http://u:", "@", " "]) {
    scrubText(part.repeat(1_000_000 / part.length));
  }
  assert.ok(performance.now() - started < 1000);
});

Deno.test("scrub: fields with the name of a secret lose their value, others keep it", () => {
  const fields = {
    password: "x",
    brokerPassword: "x",
    api_key: "x",
    apiKey: "x",
    accessToken: "x",
    clientSecret: 5,
    Authorization: "x",
    "set-cookie": ["x"],
    privateKey: { pem: "x" },
    token: null,
    passwordFile: "/etc/wps/secrets/broker",
    tokens: 3,
    workspaceKey: "research/j.virtanen",
    volumeKey: "home/j.virtanen",
  };
  assert.deepEqual(scrub(fields), {
    password: "[redacted]",
    brokerPassword: "[redacted]",
    api_key: "[redacted]",
    apiKey: "[redacted]",
    accessToken: "[redacted]",
    clientSecret: "[redacted]",
    Authorization: "[redacted]",
    "set-cookie": "[redacted]",
    privateKey: "[redacted]",
    token: null,
    passwordFile: "/etc/wps/secrets/broker",
    tokens: 3,
    workspaceKey: "research/j.virtanen",
    volumeKey: "home/j.virtanen",
  });
});

Deno.test("scrub: deep and wide values are cut", () => {
  let deep: unknown = "bottom";
  for (let index = 0; index < 50; index++) deep = { deep };
  const shown = JSON.stringify(scrub({ deep, wide: Array.from({ length: 1000 }, (_, index) => index) }));
  assert.ok(!shown.includes("bottom"));
  assert.ok(shown.includes("[deep]"));
  assert.ok(!shown.includes("999"));
});
