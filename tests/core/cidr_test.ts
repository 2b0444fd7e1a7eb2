import assert from "node:assert/strict";
import fc from "fast-check";
import { addressCount, type Cidr, contains, overlaps, parseCidr } from "../../src/core/cidr.ts";

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok("base" in parsed, `${text}: ${"error" in parsed ? parsed.error : ""}`);
  return parsed;
}

Deno.test("parseCidr: canonical text of what is valid", () => {
  const cases: [string, string][] = [
    ["203.0.113.7/32", "203.0.113.7/32"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["::/0", "::/0"],
    ["2001:DB8:0:0:0:0:0:1/128", "2001:db8::1/128"],
    ["2001:db8:0:1:0:0:0:1/128", "2001:db8:0:1::1/128"],
    ["2001:db8:0:1:1:1:1:1/128", "2001:db8:0:1:1:1:1:1/128"],
    ["0:0:1:0:0:0:1:1/128", "0:0:1::1:1/128"],
    ["1::/16", "1::/16"],
    ["64:ff9b::192.0.2.33/128", "64:ff9b::c000:221/128"],
    ["fd00::/8", "fd00::/8"],
  ];
  for (const [text, expected] of cases) assert.equal(cidr(text).text, expected);
});

Deno.test("parseCidr: reads back what it wrote, for any block", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(4 as const, 6 as const),
      fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }),
      fc.nat(128),
      (family, bits, length) => {
        const width = family === 4 ? 32 : 128;
        const prefix = length % (width + 1);
        const shift = BigInt(width - prefix);
        const base = ((bits % 2n ** BigInt(width)) >> shift) << shift;
        const octets = Array.from({ length: 4 }, (_, i) => (base >> BigInt(24 - 8 * i)) & 255n).join(".");
        const groups = Array.from(
          { length: 8 },
          (_, i) => ((base >> BigInt(112 - 16 * i)) & 0xffffn).toString(16),
        ).join(":");
        if (family === 6 && base >> 32n === 0xffffn) return;
        const parsed = cidr(`${family === 4 ? octets : groups}/${prefix}`);
        assert.deepEqual([parsed.family, parsed.base, parsed.prefix], [family, base, prefix]);
        assert.deepEqual(cidr(parsed.text), parsed);
      },
    ),
  );
});

Deno.test("parseCidr: what tools disagree about is an error", () => {
  const cases = [
    "010.0.0.0/8",
    "10.0.0/8",
    "10.0.0.0.0/8",
    "1.2.3.4/24",
    "::1/64",
    "10.0.0.0/8/8",
    "10.0.0.0",
    "/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/+8",
    "0x0a.0.0.0/8",
    "1:2:3:4:5:6:7:8:9/128",
    "1:2:3:4:5:6:7/112",
    "1::2::3/128",
    "::1.2.3/128",
    "1.2.3.4::/128",
    "::12345/128",
    "::g/128",
    "::ffff:10.0.0.0/104",
    "fe80::%lo/64",
    ":::/0",
    ":/0",
    "1:/16",
    " ::/0",
    "１.2.3.4/32",
  ];
  for (const text of cases) assert.ok("error" in parseCidr(text), text);
});

Deno.test("contains, overlaps, addressCount: blocks as sets of addresses", () => {
  const cases: [string, string, boolean, boolean][] = [
    ["10.0.0.0/8", "10.1.0.0/16", true, true],
    ["10.1.0.0/16", "10.0.0.0/8", false, true],
    ["10.0.0.0/9", "10.128.0.0/9", false, false],
    ["0.0.0.0/0", "255.255.255.255/32", true, true],
    ["::/0", "10.0.0.0/8", false, false],
    ["2001:db8::/32", "2001:db8:ffff::/48", true, true],
  ];
  for (const [a, b, holds, meets] of cases) {
    assert.deepEqual([contains(cidr(a), cidr(b)), overlaps(cidr(a), cidr(b))], [holds, meets], `${a} ${b}`);
  }
  assert.equal(addressCount(cidr("10.0.0.0/8")), 2n ** 24n);
  assert.equal(addressCount(cidr("::/0")), 2n ** 128n);
});
