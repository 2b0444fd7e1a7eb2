import assert from "node:assert/strict";
import {
  type Certificate,
  certificateFaults,
  certificateOf,
  type CertificateParts,
  isSignedCertificate,
  type SignedCertificate,
} from "../../src/core/certificate.ts";
import { canonicalJson, sha256Hex } from "../../src/core/sha256.ts";
import { signerFromSeed } from "../../src/store/site_key.ts";

const SITE = signerFromSeed(new Uint8Array(32).fill(1));
const OTHER = signerFromSeed(new Uint8Array(32).fill(2));
const AT_MS = Date.UTC(2026, 10, 22);

const PARTS: CertificateParts = {
  permitId: "permit-001",
  serial: 1,
  issuedAtMs: AT_MS + 5_000,
  keyId: SITE.key.id,
  issuer: "wps boot-1",
  previous: null,
  request: { seq: 4, source: "permit-manager", id: "evt-4", type: "permit.deleted", receivedAtMs: AT_MS },
  jobId: 7,
  objects: [{
    kind: "PersistentVolumeClaim",
    name: "vol-prepared",
    uid: "uid-1",
    of: { kind: "volume", key: "prepared@2" },
    foundBy: "list of persistentvolumeclaims",
    isWithin: true,
    seenAtMs: AT_MS - 1_000,
    ordered: {
      atMs: AT_MS + 1_000,
      step: "destroy-volume prepared@2",
      why: "the permit is deleted",
      jobId: 7,
    },
    absent: { atMs: AT_MS + 2_000, by: "list of persistentvolumeclaims did not show it" },
  }, {
    kind: "Pod",
    name: "research-0",
    uid: "uid-2",
    of: { kind: "workspace", key: "research/j.virtanen" },
    foundBy: "list of pods",
    isWithin: true,
    seenAtMs: AT_MS - 1_000,
    ordered: null,
    absent: { atMs: AT_MS, by: "list of pods did not show it" },
  }],
  volumes: [{ key: "prepared@2", tainted: true, bound: true, destroyed: true }],
};

function signed(parts: CertificateParts = PARTS, by = SITE): SignedCertificate {
  const certificate = certificateOf(parts);
  return { algorithm: "Ed25519", certificate, signature: by.sign(canonicalJson(certificate)) };
}

/** A copy with one leaf changed, for each leaf, key and list entry of a value. */
function* mutations(value: unknown, path = ""): Generator<[path: string, mutated: unknown]> {
  if (value === null || typeof value !== "object") {
    yield [
      path,
      typeof value === "number"
        ? value + 1
        : value === null
        ? "x"
        : typeof value === "boolean"
        ? !value
        : `${value}x`,
    ];
    if (value !== null) yield [`${path} as null`, null];
    return;
  }
  if (Array.isArray(value)) {
    yield [`${path} with one more`, [...value, "x"]];
    for (const [index, item] of value.entries()) {
      yield [`${path}[${index}] left out`, value.toSpliced(index, 1)];
      for (const [at, mutated] of mutations(item, `${path}[${index}]`)) {
        yield [at, value.with(index, mutated)];
      }
    }
    return;
  }
  yield [`${path} with a further key`, { ...value, further: 1 }];
  for (const [key, item] of Object.entries(value)) {
    yield [
      `${path}.${key} left out`,
      Object.fromEntries(Object.entries(value).filter(([name]) => name !== key)),
    ];
    for (const [at, mutated] of mutations(item, `${path}.${key}`)) yield [at, { ...value, [key]: mutated }];
  }
}

Deno.test("certificateFaults: what the site signed verifies, also after a way through a file", () => {
  const read: unknown = JSON.parse(JSON.stringify(signed(), null, 2));
  assert.ok(isSignedCertificate(read));
  assert.deepEqual(certificateFaults([read], SITE.key), []);
});

Deno.test("certificateFaults: any change of any field is found", () => {
  let count = 0;
  for (const [path, mutated] of mutations(signed())) {
    count++;
    const isFound = !isSignedCertificate(mutated) || certificateFaults([mutated], SITE.key).length > 0;
    assert.ok(isFound, `${path} was changed and nobody noticed`);
  }
  assert.ok(count > 100, `${count} mutations`);
});

Deno.test("certificateFaults: another key, another chain, or nothing at all verifies nothing", () => {
  const first = signed();
  const second = signed({ ...PARTS, serial: 2, previous: sha256Hex(canonicalJson(first.certificate)) });
  const stranger = signed({
    ...PARTS,
    permitId: "permit-002",
    serial: 2,
    previous: second.certificate.previous,
  });
  const cases: [why: string, items: SignedCertificate[], expected: RegExp | null][] = [
    ["both in their order", [first, second], null],
    ["the second alone", [second], null],
    ["the other way round", [second, first], /does not follow/],
    ["one twice", [first, first], /does not follow/],
    ["a second of another permit", [first, stranger], /does not follow/],
    ["none", [], /there is no certificate/],
    [
      "signed by another key, which it names",
      [signed({ ...PARTS, keyId: OTHER.key.id }, OTHER)],
      /the trusted key is/,
    ],
    ["signed by another key, naming the site's", [signed(PARTS, OTHER)], /was altered/],
  ];
  for (const [why, items, expected] of cases) {
    const faults = certificateFaults(items, SITE.key);
    if (expected === null) assert.deepEqual(faults, [], why);
    else assert.match(faults.join("; "), expected, why);
  }
});

Deno.test("certificateOf: says in one sentence what it shows, and never more", () => {
  const [claim, pod] = PARTS.objects;
  assert.ok(claim !== undefined && pod !== undefined);
  const cases: [objects: CertificateParts["objects"], complete: boolean, statement: RegExp][] = [
    [[], true, /^No object of permit-001 was ever observed on the platform$/],
    [[claim], true, /^Of 1 object of permit-001 none is left: the absence of each was observed$/],
    [
      [claim, { ...pod, absent: null }],
      false,
      /^Of 2 objects of permit-001 1 was still there when last looked for$/,
    ],
  ];
  for (const [objects, complete, statement] of cases) {
    const made: Certificate = certificateOf({ ...PARTS, objects });
    assert.equal(made.complete, complete);
    assert.match(made.statement, statement);
  }
  assert.deepEqual(certificateOf(PARTS).volumes, [{
    key: "prepared@2",
    volume: "prepared",
    owner: null,
    generation: 2,
    tainted: true,
    bound: true,
    destroyedByWps: true,
    uids: ["uid-1"],
  }]);
});
