/**
 * Hashes of the core, as pure synchronous functions. WebCrypto is asynchronous and node:crypto is I/O to the import
 * rules; @noble/hashes is arithmetic alone, and the one package that the core may use.
 */
import { sha256 } from "@noble/hashes/sha2.js";

/** The SHA-256 (FIPS 180-4) of a text's UTF-8 bytes, as 64 lower-case hex digits. */
export function sha256Hex(text: string): string {
  return sha256(new TextEncoder().encode(text)).toHex();
}

/** A value as JSON with object keys sorted at every depth: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (inner === null || typeof inner !== "object" || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0));
  });
}

/** The first 16 hex digits of the SHA-256 of a value's canonical JSON: equal values, equal fingerprint. */
export function fingerprint(value: unknown): string {
  return sha256Hex(canonicalJson(value)).slice(0, 16);
}
