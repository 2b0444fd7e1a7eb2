/** Public SSH keys, as the `sshkeys` option takes them. */

const TYPES =
  /^(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)$/;

/** Whether a percent-encoded value holds nothing but public keys, one a line. */
export function isSshKeys(encoded: string): boolean {
  const lines = decodeURIComponent(encoded).split("\n").filter((line) => line.trim() !== "");
  return lines.every(isSshKey);
}

/** RFC 4253: the key's blob begins with its type, every field of it with its own length. */
function isSshKey(line: string): boolean {
  const [type = "", base64 = ""] = line.trim().split(/\s+/);
  if (!TYPES.test(type)) return false;
  let blob: Uint8Array;
  try {
    blob = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return false;
  }
  const fields: Uint8Array[] = [];
  for (let at = 0; at < blob.length;) {
    if (at + 4 > blob.length) return false;
    const length = new DataView(blob.buffer).getUint32(at);
    const end = at + 4 + length;
    if (end > blob.length) return false;
    fields.push(blob.subarray(at + 4, end));
    at = end;
  }
  return fields.length >= 2 && new TextDecoder().decode(fields[0]) === type;
}
