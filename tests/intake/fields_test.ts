import assert from "node:assert/strict";
import {
  CIDRS_MAX,
  HOLDERS_MAX,
  KEYS_MAX,
  parseUpdate,
  REASONS_MAX,
  RESEARCHERS_MAX,
} from "../../src/intake/fields.ts";
import { ed25519Key, holder, sshKey } from "./messages.ts";

type Fields = Record<string, unknown>;
interface Case {
  why: string;
  fields: Fields;
  path: string;
  message: RegExp;
}

function errorsOf(fields: Fields): string[] {
  const parsed = parseUpdate(fields);
  return "errors" in parsed ? parsed.errors.map(({ path, message }) => `${path}: ${message}`) : [];
}

function refuses(cases: Case[]): void {
  for (const { why, fields, path, message } of cases) {
    const parsed = parseUpdate(fields);
    assert.ok("errors" in parsed, `${why}: was taken`);
    assert.deepEqual(parsed.errors.map((error) => error.path), [path], why);
    assert.match(parsed.errors[0]?.message ?? "", message, why);
  }
}

const researcher = (person: Fields): Fields => ({ researchers: [person] });
const ofHolder = (overrides: Fields): Fields => ({ dataHolders: [holder("hospital-a", overrides)] });

Deno.test("parseUpdate: wrong types are refused where they stand", () =>
  refuses([
    { why: "status a number", fields: { status: 5 }, path: "data.status", message: /expected text, got 5/ },
    { why: "status null", fields: { status: null }, path: "data.status", message: /expected text, got null/ },
    { why: "status empty", fields: { status: "" }, path: "data.status", message: /is empty/ },
    {
      why: "status too long",
      fields: { status: "X".repeat(65) },
      path: "data.status",
      message: /65 characters/,
    },
    { why: "status with a line break", fields: { status: "A\nB" }, path: "data.status", message: /control/ },
    { why: "tier a list", fields: { tier: ["standard"] }, path: "data.tier", message: /expected text/ },
    { why: "tier with NUL", fields: { tier: "a\u0000" }, path: "data.tier", message: /control/ },
    {
      why: "researchers an object",
      fields: { researchers: {} },
      path: "data.researchers",
      message: /a list, got \{\}/,
    },
    {
      why: "researchers null",
      fields: { researchers: null },
      path: "data.researchers",
      message: /a list, got null/,
    },
    {
      why: "a researcher as text",
      fields: { researchers: ["a"] },
      path: "data.researchers[0]",
      message: /an object/,
    },
    {
      why: "a researcher null",
      fields: { researchers: [null] },
      path: "data.researchers[0]",
      message: /an object/,
    },
    {
      why: "reviewer null",
      fields: { reviewer: null },
      path: "data.reviewer",
      message: /an object, got null/,
    },
    { why: "reviewer a list", fields: { reviewer: [] }, path: "data.reviewer", message: /an object/ },
    {
      why: "no username",
      fields: { preprocessor: {} },
      path: "data.preprocessor.username",
      message: /is missing/,
    },
    {
      why: "username a number",
      fields: researcher({ username: 1 }),
      path: "data.researchers[0].username",
      message: /expected text/,
    },
    {
      why: "a holder without id",
      fields: ofHolder({ id: undefined }),
      path: "data.dataHolders[0].id",
      message: /is missing/,
    },
    {
      why: "keys as text",
      fields: ofHolder({ sshPublicKeys: ed25519Key() }),
      path: "data.dataHolders[0].sshPublicKeys",
      message: /a list/,
    },
    {
      why: "addresses as text",
      fields: ofHolder({ allowedCidrs: "203.0.113.7/32" }),
      path: "data.dataHolders[0].allowedCidrs",
      message: /a list/,
    },
  ]));

Deno.test("parseUpdate: usernames are POSIX names that no system account has", () => {
  const names: [string, RegExp][] = [
    ["root", /reserved/],
    ["Root", /reserved/],
    ["nobody", /reserved/],
    ["sshd", /reserved/],
    ["www-data", /reserved/],
    ["_apt", /reserved/],
    ["systemd-network", /reserved/],
    ["__proto__", /reserved/],
    ["constructor", /reserved/],
    ["toString", /reserved/],
    ["valueOf", /reserved/],
    ["hasOwnProperty", /reserved/],
    ["a@b", /POSIX/],
    ["a/b", /POSIX/],
    ["../a", /POSIX/],
    ["..", /POSIX/],
    [".", /POSIX/],
    [".hidden", /POSIX/],
    ["-rf", /POSIX/],
    ["a b", /POSIX/],
    ["a:b", /POSIX/],
    ["a\nroot", /POSIX/],
    ["a$", /POSIX/],
    ["é", /POSIX/],
    ["", /POSIX/],
    ["a,b", /POSIX/],
    ["a\u0000", /POSIX/],
    ["1000", /number/],
    ["x".repeat(33), /32/],
  ];
  refuses(names.map(([username, message]) => ({
    why: JSON.stringify(username),
    fields: researcher({ username }),
    path: "data.researchers[0].username",
    message,
  })));
  for (
    const username of ["j.virtanen", "hospital-a", "_svc", "A.Rossi", "m", "21a", "x".repeat(32), "a..b"]
  ) {
    assert.deepEqual(errorsOf(researcher({ username })), [], username);
  }
});

Deno.test("parseUpdate: uids and gids are those of people", () => {
  const numbers: [unknown, RegExp][] = [
    [0, /0 is below 1000/],
    [999, /below 1000/],
    [-1, /below 1000/],
    [2 ** 31, /above 2147483647/],
    [2 ** 32, /above/],
    [65534, /overflow id/],
    [65535, /overflow id/],
    [1000.5, /whole number/],
    ["21001", /whole number/],
    [null, /whole number/],
    [true, /whole number/],
  ];
  for (const field of ["uid", "gid"]) {
    refuses(numbers.map(([value, message]) => ({
      why: `${field} ${value}`,
      fields: researcher({ username: "a", [field]: value }),
      path: `data.researchers[0].${field}`,
      message,
    })));
  }
  for (const uid of [1000, 21001, 65533, 2 ** 31 - 1]) {
    assert.deepEqual(errorsOf(researcher({ username: "a", uid, gid: uid })), [], String(uid));
  }
});

Deno.test("parseUpdate: a holder's id is one plain path component", () => {
  const ids = [
    "..",
    ".",
    "../b",
    "a/b",
    "a\\b",
    "/etc",
    "a/../b",
    "a..b",
    ".a",
    "-a",
    "a b",
    "a\u0000",
    "a\n",
    "a@2",
    "%2e%2e",
    "é",
    "",
    "x".repeat(64),
    "constructor",
    "a;b",
    "$HOME",
    "a*",
    "~",
  ];
  for (const id of ids) {
    const [first = ""] = errorsOf(ofHolder({ id }));
    assert.match(first, /^data\.dataHolders\[0\]\.id: /, JSON.stringify(id));
  }
  for (const id of ["hospital-a", "7", "HUS.fi", "a_b", "x".repeat(63)]) {
    assert.deepEqual(errorsOf(ofHolder({ id })), [], id);
  }
});

Deno.test("parseUpdate: an allow-list names addresses that somebody can come from", () => {
  const path = "data.dataHolders[0].allowedCidrs";
  const bad: [string, RegExp][] = [
    ["203.0.113.7", /address\/prefix/],
    ["203.0.113.7/33", /at most 32/],
    ["203.0.113.256/32", /not an IPv4/],
    ["203.0.113/24", /not an IPv4/],
    ["203.0.113.07/32", /not an IPv4/],
    ["203.0.113.7/24", /would be 203\.0\.113\.0\/24/],
    ["203.0.113.0/ 24", /one number/],
    ["203.0.113.0/024", /one number/],
    ["203.0.113.0/-1", /one number/],
    ["203.0.113.0/24/24", /one number/],
    ["hospital.example/32", /not an IPv4/],
    ["", /address\/prefix/],
    ["2001:db8::1/64", /would be 2001:db8::\/64/],
    ["2001:db8::/129", /at most 128/],
    ["2001:db8:::/64", /not an IPv6/],
    ["fe80::1%eth0/128", /not an IPv6/],
    ["::ffff:203.0.113.7/128", /IPv4-mapped/],
    ["127.0.0.1/32", /nobody/],
    ["0.0.0.0/32", /nobody/],
    ["169.254.169.254/32", /nobody/],
    ["224.0.0.1/32", /nobody/],
    ["255.255.255.255/32", /nobody/],
    ["::1/128", /nobody/],
    ["::/128", /nobody/],
    ["fe80::/64", /nobody/],
    ["ff02::1/128", /nobody/],
    ["203.0.113.7/32\n0.0.0.0/0", /one number/],
    ["203.0.113.7/32\u0000", /one number/],
  ];
  refuses(bad.map(([entry, message]) => ({
    why: JSON.stringify(entry),
    fields: ofHolder({ allowedCidrs: ["198.51.100.0/24", entry] }),
    path: `${path}[1]`,
    message,
  })));
  const wide: [string, string[]][] = [
    ["the whole of IPv4", ["0.0.0.0/0"]],
    ["the whole of IPv6", ["::/0"]],
    ["IPv4 in halves", ["0.0.0.0/1", "128.0.0.0/1"]],
    ["half of IPv4", ["128.0.0.0/1"]],
    ["IPv6's unicast", ["2000::/3"]],
    ["more than two /8 in pieces", ["11.0.0.0/8", "12.0.0.0/9", "13.0.0.0/9", "14.0.0.0/30"]],
    ["more than two /32 of IPv6", ["2001:db8::/31", "2001:dba::/64"]],
  ];
  refuses(
    wide.map(([why, allowedCidrs]) => ({
      why,
      fields: ofHolder({ allowedCidrs }),
      path,
      message: /more addresses/,
    })),
  );
  const many = Array.from({ length: CIDRS_MAX + 1 }, (_, index) => `203.0.113.${index}/32`);
  refuses([{
    why: "too many",
    fields: ofHolder({ allowedCidrs: many }),
    path,
    message: /65 entries; at most 64/,
  }]);
});

Deno.test("parseUpdate: addresses come out canonical and once", () => {
  const allowedCidrs = ["10.0.0.0/8", "2001:DB8:0::/48", "203.0.113.7/32", "203.0.113.7/32", "2001:db8::/48"];
  const parsed = parseUpdate(ofHolder({ allowedCidrs }));
  assert.ok("update" in parsed);
  assert.deepEqual(parsed.update.dataHolders?.[0]?.allowedCidrs, [
    "10.0.0.0/8",
    "2001:db8::/48",
    "203.0.113.7/32",
  ]);
  const none = parseUpdate({ dataHolders: [{ id: "a", username: "a" }] });
  assert.ok("update" in none);
  assert.deepEqual(none.update.dataHolders, [{
    id: "a",
    username: "a",
    allowedCidrs: [],
    sshPublicKeys: [],
  }]);
});

Deno.test("parseUpdate: what is not an SSH public key is refused", () => {
  const key = ed25519Key();
  const [, blob = ""] = key.split(" ");
  const keys: [string, string, RegExp][] = [
    ["prose", "my key", /key type/],
    ["empty", "", /empty/],
    ["a certificate", "-----BEGIN CERTIFICATE-----", /key type/],
    ["an option", `command="sh" ${key}`, /key type/],
    ["an option without a command", `no-pty ${key}`, /key type/],
    ["the blob alone", blob, /key type/],
    ["two keys on two lines", `${key}\n${key}`, /control/],
    ["a carriage return", `${key}\r`, /control/],
    ["a tab", key.replace(" ", "\t"), /control/],
    ["DSA", sshKey("ssh-dss", [new Uint8Array(128)]), /key type/],
    ["a certificate", sshKey("ssh-ed25519-cert-v01@openssh.com", [new Uint8Array(32)]), /key type/],
    ["no blob", "ssh-ed25519", /base64/],
    ["a blob that is no base64", "ssh-ed25519 AAAA*", /base64/],
    ["a cut blob", `ssh-ed25519 ${blob.slice(0, -8)}`, /32 bytes/],
    ["a blob of four bytes", "ssh-ed25519 AAAAIA==", /another type/],
    ["another type inside", sshKey("ssh-ed25519", [new Uint8Array(32)], "ssh-rsa"), /another type/],
    ["31 bytes", sshKey("ssh-ed25519", [new Uint8Array(31)]), /32 bytes/],
    [
      "something after the key",
      sshKey("ssh-ed25519", [new Uint8Array(32), new Uint8Array(1)]),
      /after its end/,
    ],
    [
      "RSA with 1024 bits",
      sshKey("ssh-rsa", [new Uint8Array([1, 0, 1]), new Uint8Array(128).fill(255)]),
      /1024 bits/,
    ],
    ["RSA of zeros", sshKey("ssh-rsa", [new Uint8Array([1, 0, 1]), new Uint8Array(256)]), /0 bits/],
    ["RSA without a modulus", sshKey("ssh-rsa", [new Uint8Array([1, 0, 1])]), /malformed/],
    [
      "an unknown curve",
      sshKey("ecdsa-sha2-nistp256", [new TextEncoder().encode("nistp384"), new Uint8Array(97).fill(4)]),
      /curve/,
    ],
    [
      "a compressed point",
      sshKey("ecdsa-sha2-nistp256", [new TextEncoder().encode("nistp256"), new Uint8Array(33).fill(2)]),
      /point/,
    ],
    [
      "a hardware key without its application",
      sshKey("sk-ssh-ed25519@openssh.com", [new Uint8Array(32)]),
      /application/,
    ],
    ["too long", `${key} ${"x".repeat(4096)}`, /longer than 4096/],
  ];
  refuses(keys.map(([why, value, message]) => ({
    why,
    fields: ofHolder({ sshPublicKeys: [key, value] }),
    path: "data.dataHolders[0].sshPublicKeys[1]",
    message,
  })));
  const many = Array.from({ length: KEYS_MAX + 1 }, (_, fill) => ed25519Key(fill));
  refuses([{
    why: "too many",
    fields: ofHolder({ sshPublicKeys: many }),
    path: "data.dataHolders[0].sshPublicKeys",
    message: /at most 32/,
  }]);
});

Deno.test("parseUpdate: keys as ssh-keygen makes them are taken, spaces made single", () => {
  // Made by ssh-keygen -t ed25519, -t ecdsa -b 256/384/521, -t rsa -b 2048; the private halves are gone.
  const keys = Deno.readTextFileSync(new URL("keys.pub", import.meta.url)).trim().split("\n");
  assert.ok(keys.length >= 5);
  const point = new Uint8Array(65).fill(4), application = new TextEncoder().encode("ssh:");
  keys.push(
    sshKey("sk-ssh-ed25519@openssh.com", [new Uint8Array(32), application]),
    sshKey("sk-ecdsa-sha2-nistp256@openssh.com", [new TextEncoder().encode("nistp256"), point, application]),
  );
  const parsed = parseUpdate(ofHolder({ sshPublicKeys: [...keys, `${ed25519Key(9)}   a  person `] }));
  assert.ok("update" in parsed, JSON.stringify(parsed));
  assert.deepEqual(parsed.update.dataHolders?.[0]?.sshPublicKeys, [...keys, `${ed25519Key(9)} a person`]);
});

Deno.test("parseUpdate: dates that are no dates are refused", () => {
  const dates = [
    "2027-02-30T00:00:00Z",
    "2027-13-01T00:00:00Z",
    "2027-06-31T00:00:00Z",
    "2025-02-29T00:00:00Z",
    "2027-06-30",
    "2027-06-30T24:00:00Z",
    "2027-06-30T00:00:60Z",
    "2027-06-30T00:00:00",
    "2027-06-30 00:00:00Z",
    "30.6.2027",
    "tomorrow",
    "",
    "2027-06-30T00:00:00+25:00",
    "0000-01-01T00:00:00Z",
    "1969-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:00",
    "+012027-06-30T00:00:00Z",
    1814313600,
    true,
    {},
    "2027-06-30T00:00:00Z\u0000",
  ];
  for (const expiresAt of dates) {
    const [first = ""] = errorsOf({ expiresAt });
    assert.match(first, /^data\.expiresAt: /, JSON.stringify(expiresAt));
  }
  const taken: [string, string][] = [
    ["2027-06-30T00:00:00Z", "2027-06-30T00:00:00.000Z"],
    ["2028-02-29T02:00:00+02:00", "2028-02-29T00:00:00.000Z"],
    ["2027-06-30T00:00:00.5-01:00", "2027-06-30T01:00:00.500Z"],
    ["2027-06-30T00:00:00.123456789Z", "2027-06-30T00:00:00.123456789Z"],
    ["2027-06-30T00:00:00.1234560000001Z", "2027-06-30T00:00:00.123456Z"],
  ];
  for (const [expiresAt, expected] of taken) {
    assert.deepEqual(parseUpdate({ expiresAt }), { update: { expiresAt: expected } });
  }
});

Deno.test("parseUpdate: lists are bounded before they are walked, reasons too", () => {
  const people = (count: number): Fields[] =>
    Array.from({ length: count }, (_, index) => ({ username: `u${index}`, uid: 1 }));
  assert.deepEqual(errorsOf({ researchers: people(10_000), status: 5 }), [
    "data.researchers: has 10000 entries; at most 200 are accepted",
  ]);
  const holders = Array.from({ length: HOLDERS_MAX + 1 }, (_, index) => holder(`h${index}`));
  assert.deepEqual(errorsOf({ dataHolders: holders }), [
    "data.dataHolders: has 51 entries; at most 50 are accepted",
  ]);
  const errors = errorsOf({ researchers: people(RESEARCHERS_MAX) });
  assert.equal(errors.length, REASONS_MAX + 1);
  assert.equal(errors.at(-1), `data: ${RESEARCHERS_MAX - REASONS_MAX} more fields are wrong`);
});

Deno.test("parseUpdate: a date or time that the calendar lacks is named as that", () => {
  const cases: Array<[string, RegExp]> = [
    ["2027-02-30T00:00:00Z", /no such day$/],
    ["2027-02-29T12:00:00.5+02:00", /no such day$/],
    ["2027-13-01T00:00:00Z", /no such day$/],
    ["2027-04-31T00:00:00Z", /no such day$/],
    ["2027-01-01T24:00:00Z", /no such time of day$/],
    ["2027-01-01T10:60:00Z", /no such time of day$/],
    ["2027-01-01 10:00:00Z", /expected a date and time with zone/],
    ["2027-01-01T10:00:00", /expected a date and time with zone/],
  ];
  for (const [expiresAt, expected] of cases) {
    const [line = ""] = errorsOf({ expiresAt });
    assert.match(line, expected, expiresAt);
    assert.ok(line.includes(expiresAt), line);
  }
  assert.ok("update" in parseUpdate({ expiresAt: "2028-02-29T00:00:00Z" }), "a leap day");
});

Deno.test("parseUpdate: a private key in the place of a public one is named as what it is", () => {
  const keys = [
    "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n",
    "-----BEGIN RSA PRIVATE KEY-----",
    "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none",
  ];
  for (const key of keys) {
    assert.deepEqual(errorsOf({ dataHolders: [{ ...holder("h"), sshPublicKeys: [key] }] }), [
      "data.dataHolders[0].sshPublicKeys[0]: is a private key: consider it leaked, make a new pair, " +
      "and send the line of its .pub file",
    ]);
  }
  const [line = ""] = errorsOf(researcher({ username: keys[0] }));
  assert.doesNotMatch(line, /c2VjcmV0/, "in another place it is not repeated either");
});

Deno.test("parseUpdate: a reason never repeats control characters or long values", () => {
  const [line = ""] = errorsOf(researcher({ username: `\u001b[2J\u009b\u202e${"x".repeat(5000)}\nroot` }));
  assert.ok(line.length < 300, line);
  assert.doesNotMatch(line, /[\p{Cc}\u202e]/u);
});
