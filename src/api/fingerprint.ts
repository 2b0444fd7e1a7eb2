/** The fingerprint that a data holder compares before the first upload. */
import { createHash } from "node:crypto";

/** The file's magic, with its terminator (OpenSSH PROTOCOL.key). */
const MAGIC = "openssh-key-v1\0";

/**
 * "SHA256:…" of an OpenSSH private key in PEM, as `ssh-keygen -l` shows it; null for what is no such key. Only the
 * public part is read: cipher, derivation and options come first, then the number of keys, then the public key.
 */
export function fingerprintOf(privatePem: string): string | null {
  const bytes = decode(privatePem);
  if (bytes === null || String.fromCharCode(...bytes.subarray(0, MAGIC.length)) !== MAGIC) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = MAGIC.length;
  try {
    for (let field = 0; field < 3; field++) at += 4 + view.getUint32(at);
    at += 4;
    const blob = bytes.subarray(at + 4, at + 4 + view.getUint32(at));
    return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
  } catch {
    return null;
  }
}

function decode(pem: string): Uint8Array | null {
  try {
    return Uint8Array.from(
      atob(pem.replace(/-----[A-Z ]+-----/g, "")),
      (character) => character.charCodeAt(0),
    );
  } catch {
    return null;
  }
}
