/** Address blocks in CIDR notation, IPv4 and IPv6 (RFC 4632, RFC 4291), parsed strictly. */

/** One block. `base` has every bit below `prefix` at 0. */
export interface Cidr {
  family: 4 | 6;
  base: bigint;
  prefix: number;
  /** Canonical text, e.g. "203.0.113.0/24", "2001:db8::/32". */
  text: string;
}

/** Address length in bits. */
const BITS = { 4: 32, 6: 128 } as const;

/**
 * Reads one block. Strict where tools disagree: no host bits, no leading zeros in octets (some read them as
 * octal), no zone, no IPv4-mapped IPv6 (it would be one address in two families). What is wrong comes back as
 * `error`, a sentence without a full stop.
 */
export function parseCidr(text: string): Cidr | { error: string } {
  const [address = "", length, ...rest] = text.split("/");
  if (length === undefined) return { error: 'expected address/prefix, e.g. "203.0.113.7/32"' };
  if (rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(length)) {
    return { error: "the prefix must be one number" };
  }
  const family = address.includes(":") ? 6 : 4;
  const value = family === 6 ? parseV6(address) : parseV4(address);
  if (value === null) return { error: `not an IPv${family} address` };
  const prefix = Number(length);
  if (prefix > BITS[family]) return { error: `an IPv${family} prefix is at most ${BITS[family]}` };
  if (family === 6 && value >> 32n === 0xffffn) return { error: "IPv4-mapped: write it as IPv4" };
  const hostBits = BigInt(BITS[family] - prefix);
  const base = (value >> hostBits) << hostBits;
  const canonical = `${family === 6 ? formatV6(base) : formatV4(base)}/${prefix}`;
  if (base !== value) return { error: `bits are set below the prefix: the block would be ${canonical}` };
  return { family, base, prefix, text: canonical };
}

/** Whether every address of `inner` is in `outer`. */
export function contains(outer: Cidr, inner: Cidr): boolean {
  if (outer.family !== inner.family || outer.prefix > inner.prefix) return false;
  const shift = BigInt(BITS[outer.family] - outer.prefix);
  return outer.base >> shift === inner.base >> shift;
}

/** Whether two blocks share an address: one of them then holds the other. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return contains(a, b) || contains(b, a);
}

/** How many addresses the block has. */
export function addressCount(cidr: Cidr): bigint {
  return 1n << BigInt(BITS[cidr.family] - cidr.prefix);
}

function parseV4(text: string): bigint | null {
  const octets = text.split(".");
  if (octets.length !== 4) return null;
  let value = 0n;
  for (const octet of octets) {
    if (!/^(0|[1-9]\d{0,2})$/.test(octet) || Number(octet) > 255) return null;
    value = (value << 8n) | BigInt(octet);
  }
  return value;
}

function parseV6(text: string): bigint | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = groups(halves[0] ?? "", halves.length === 1);
  const tail = halves[1] === undefined ? [] : groups(halves[1], true);
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const all = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  return all.reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

/** The 16-bit groups of one side of "::"; the last may be a dotted quad when it ends the address. */
function groups(text: string, endsAddress: boolean): number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  const values: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (endsAddress && index === parts.length - 1 && part.includes(".")) {
      const quad = parseV4(part);
      if (quad === null) return null;
      values.push(Number(quad >> 16n), Number(quad & 0xffffn));
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      values.push(parseInt(part, 16));
    } else return null;
  }
  return values;
}

function formatV4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join(".");
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as "::". */
function formatV6(value: bigint): string {
  const parts = Array.from({ length: 8 }, (_, index) => (value >> BigInt(112 - 16 * index)) & 0xffffn);
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (parts[start + length] === 0n) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = parts.map((part) => part.toString(16));
  if (best.length < 2) return hex.join(":");
  return `${hex.slice(0, best.start).join(":")}::${hex.slice(best.start + best.length).join(":")}`;
}
