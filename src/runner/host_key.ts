/** An airlock's SSH host key, made by WPS so that its fingerprint can be told before anybody connects (DESIGN 4). */

/** OpenSSH writes private keys in lines of this length. */
const PEM_LINE = 70;
/** The private section is padded to the block size of its cipher; 8 for none (PROTOCOL.key). */
const BLOCK_BYTES = 8;

/** A key pair as OpenSSH reads and shows it. */
export interface HostKey {
  /** openssh-key-v1, unencrypted PEM: the content of ssh_host_ed25519_key. */
  privatePem: string;
  /** "ssh-ed25519 AAAA…" */
  publicLine: string;
  /** "SHA256:…", as ssh-keygen -l shows it. */
  fingerprint: string;
}

function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function uint32(value: number): Uint8Array {
  const four = new Uint8Array(4);
  new DataView(four.buffer).setUint32(0, value);
  return four;
}

/** RFC 4251 section 5: a string is its length and its bytes. */
function sshString(content: Uint8Array | string): Uint8Array {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return concat([uint32(bytes.length), bytes]);
}

function base64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** Encodes an Ed25519 key in OpenSSH's own format (PROTOCOL.key); `seed` and `publicKey` are 32 bytes each. */
export async function encodeHostKey(
  seed: Uint8Array,
  publicKey: Uint8Array,
  check: number,
): Promise<HostKey> {
  const blob = concat([sshString("ssh-ed25519"), sshString(publicKey)]);
  const open = concat([
    uint32(check),
    uint32(check),
    blob,
    sshString(concat([seed, publicKey])),
    sshString("wps"),
  ]);
  const padding = Uint8Array.from(
    { length: (BLOCK_BYTES - open.length % BLOCK_BYTES) % BLOCK_BYTES },
    (_, i) => i + 1,
  );
  const key = concat([
    new TextEncoder().encode("openssh-key-v1\0"),
    sshString("none"),
    sshString("none"),
    sshString(""),
    uint32(1),
    sshString(blob),
    sshString(concat([open, padding])),
  ]);
  const lines = base64(key).match(new RegExp(`.{1,${PEM_LINE}}`, "g")) ?? [];
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", blob));
  return {
    privatePem: ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""]
      .join("\n"),
    publicLine: `ssh-ed25519 ${base64(blob)}`,
    fingerprint: `SHA256:${base64(digest).replace(/=+$/, "")}`,
  };
}

/** PKCS#8 (RFC 8410) of an Ed25519 private key: this, then the 32 bytes of the seed. */
const PKCS8_PREFIX = Uint8Array.from([48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32]);

/** A host key from 36 random bytes: the seed and a check number. Equal bytes give an equal key. */
export async function makeHostKey(random: Uint8Array): Promise<HostKey> {
  const seed = random.slice(0, 32);
  const pkcs8 = concat([PKCS8_PREFIX, seed]);
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", privateKey);
  const publicKey = Uint8Array.from(
    atob((x ?? "").replaceAll("-", "+").replaceAll("_", "/")),
    (c) => c.charCodeAt(0),
  );
  const check = new DataView(random.buffer, random.byteOffset + 32, 4).getUint32(0);
  return await encodeHostKey(seed, publicKey, check);
}
