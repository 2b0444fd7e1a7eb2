import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { canonicalJson, fingerprint, sha256Hex } from "../../src/core/sha256.ts";

/** FIPS 180-4's own examples and the lengths around the padding's edges. */
const VECTORS: [text: string, digest: string][] = [
  ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  [
    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
  ],
  ["a".repeat(1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"],
];

Deno.test("sha256Hex: agrees with the standard's examples", () => {
  for (const [text, digest] of VECTORS) assert.equal(sha256Hex(text), digest, text.slice(0, 20));
});

Deno.test("sha256Hex: agrees with an independent implementation for every length and any text", () => {
  const expected = (text: string): string => createHash("sha256").update(text, "utf8").digest("hex");
  for (let length = 0; length < 200; length++) {
    const text = "x".repeat(length);
    assert.equal(sha256Hex(text), expected(text), `${length} bytes`);
  }
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
    assert.equal(sha256Hex(text), expected(text));
  }));
});

Deno.test("canonicalJson: the order of keys does not count, that of lists does", () => {
  assert.equal(canonicalJson({ b: [2, 1], a: { d: null, c: "x" } }), '{"a":{"c":"x","d":null},"b":[2,1]}');
  assert.notEqual(canonicalJson([1, 2]), canonicalJson([2, 1]));
  assert.equal(canonicalJson({ a: undefined, b: 1 }), '{"b":1}', "what is undefined is absent");
});

Deno.test("canonicalJson: is JSON of the same value, whatever that is", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    assert.deepEqual(JSON.parse(canonicalJson(value)), JSON.parse(JSON.stringify(value)));
  }));
});

Deno.test("fingerprint: equal for equal values, in whatever order they were put together", () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
    const reversed = Object.fromEntries(Object.entries(value).reverse());
    assert.equal(fingerprint(reversed), fingerprint(value));
    assert.match(fingerprint(value), /^[0-9a-f]{16}$/);
  }));
  assert.notEqual(fingerprint({ a: 1 }), fingerprint({ a: 2 }));
});
