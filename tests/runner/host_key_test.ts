import assert from "node:assert/strict";
import { makeHostKey } from "../../src/runner/host_key.ts";

/** RFC 8032 section 7.1, test 1; the rest is what OpenSSH's own ssh-keygen says of that key. */
const SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
const FINGERPRINT = "SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8";
const PRIVATE_PEM = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACDXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGgAAAIgAAAAHAAAA
BwAAAAtzc2gtZWQyNTUxOQAAACDXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg
AAAECdYbGd7/1aYLqESvSS7CzEREnFaXsyaRlwO6wDHK5/YNdamAGCsQq31Uv+08lkBzoO
4XLz2qYjJa8CGmj3B1EaAAAAA3dwcwEC
-----END OPENSSH PRIVATE KEY-----
`;

function bytesOf(hex: string): number[] {
  return (hex.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));
}

Deno.test("makeHostKey: writes a known key as OpenSSH does, with its fingerprint", async () => {
  const key = await makeHostKey(Uint8Array.from([...bytesOf(SEED), 0, 0, 0, 7]));
  assert.deepEqual(key, { privatePem: PRIVATE_PEM, publicLine: PUBLIC_LINE, fingerprint: FINGERPRINT });
});

Deno.test("makeHostKey: takes its bytes from anywhere in a buffer", async () => {
  const wide = Uint8Array.from([1, 2, 3, ...bytesOf(SEED), 0, 0, 0, 7, 9, 9]);
  assert.equal((await makeHostKey(wide.subarray(3, 39))).privatePem, PRIVATE_PEM);
});
