/** SSH public keys as a data holder's account may have them (RFC 4253 section 6.6, RFC 5656, RFC 8709, OpenSSH PROTOCOL.u2f). */
import { withChoices } from "../core/event.ts";

/** Longest line: a 16384-bit RSA key takes 2,800 characters, its comment the rest. */
const LINE_MAX = 4096;
/** NIST SP 800-57: below 2048 bits RSA is not acceptable. OpenSSH refuses more than 16384. */
const RSA_BITS = { min: 2048, max: 16384 };

/** Reads the length-prefixed fields of a key blob (RFC 4251 section 5); null past its end. */
class Blob {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  field(): Uint8Array | null {
    if (this.#at + 4 > this.#bytes.length) return null;
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#at, 4);
    const from = this.#at + 4, to = from + view.getUint32(0);
    if (to > this.#bytes.length) return null;
    this.#at = to;
    return this.#bytes.subarray(from, to);
  }

  text(): string | null {
    const bytes = this.field();
    return bytes === null ? null : String.fromCharCode(...bytes.subarray(0, 64));
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }
}

type Check = (blob: Blob) => string | null;

const ed25519: Check = (blob) => blob.field()?.length === 32 ? null : "an Ed25519 key has 32 bytes";

const ecdsa = (curve: string, bytes: number): Check => (blob) => {
  if (blob.text() !== curve) return `its curve is not ${curve}`;
  const point = blob.field();
  // SEC 1: an uncompressed point is 4, x, y.
  return point?.length === 1 + 2 * bytes && point[0] === 4 ? null : "its point is malformed";
};

const rsa: Check = (blob) => {
  const exponent = blob.field(), modulus = blob.field();
  if (!exponent?.length || !modulus?.length) return "its numbers are malformed";
  const first = modulus.findIndex((byte) => byte !== 0);
  const bits = first < 0 ? 0 : (modulus.length - first) * 8 - Math.clz32(modulus[first] ?? 0) + 24;
  if (bits < RSA_BITS.min || bits > RSA_BITS.max) {
    return `it has ${bits} bits; from ${RSA_BITS.min} to ${RSA_BITS.max} are accepted`;
  }
  return null;
};

/** Hardware keys end with the application, e.g. "ssh:". */
const hardware = (check: Check): Check => (blob) =>
  check(blob) ?? (blob.field()?.length ? null : "its application is missing");

const TYPES: ReadonlyMap<string, Check> = new Map([
  ["ssh-ed25519", ed25519],
  ["ecdsa-sha2-nistp256", ecdsa("nistp256", 32)],
  ["ecdsa-sha2-nistp384", ecdsa("nistp384", 48)],
  ["ecdsa-sha2-nistp521", ecdsa("nistp521", 66)],
  ["ssh-rsa", rsa],
  ["sk-ssh-ed25519@openssh.com", hardware(ed25519)],
  ["sk-ecdsa-sha2-nistp256@openssh.com", hardware(ecdsa("nistp256", 32))],
]);

/**
 * Reads one line of an authorized_keys file without options (they could run commands), certificates or DSA. The
 * type in front must be the one inside. Returns the line with single spaces, or why it is no key; control
 * characters were refused before.
 */
export function parseSshKey(line: string): { key: string } | { error: string } {
  if (line.length > LINE_MAX) return { error: `is longer than ${LINE_MAX} characters` };
  const [type = "", base64 = "", ...comment] = line.trim().split(/ +/);
  const check = TYPES.get(type);
  if (check === undefined) {
    return { error: withChoices("does not begin with a key type", TYPES.keys()) };
  }
  const bytes = decodeBase64(base64);
  if (bytes === null) return { error: "its second word is not base64" };
  const blob = new Blob(bytes);
  if (blob.text() !== type) return { error: `says ${type}, but the key inside is of another type` };
  const fault = check(blob);
  if (fault !== null) return { error: fault };
  if (!blob.ended) return { error: "has bytes after its end" };
  return { key: [type, base64, ...comment].join(" ") };
}

function decodeBase64(text: string): Uint8Array | null {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) return null;
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
