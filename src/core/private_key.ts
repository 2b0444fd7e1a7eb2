/** Private keys in what others send: somebody took the wrong file. Nobody keeps or shows them. */

/** Stands where a private key was. */
export const REMOVED = "[private key removed]";

/**
 * PEM (OpenSSH, PKCS #1, PKCS #8, SEC 1) and PuTTY's own form, to the end of the key; where none is said, to the end of the
 * text: rather too much than a key. It may lie in several JSON strings.
 */
const PRIVATE_KEY =
  /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)|PuTTY-User-Key-File-\d[^]*?(?:Private-MAC: *[0-9a-fA-F]+|$)/g;
/** The same by its beginning. */
const BEGINNING = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|PuTTY-User-Key-File-\d/;

/** Whether a text holds a private key or its beginning. */
export function holdsPrivateKey(text: string): boolean {
  return BEGINNING.test(text);
}

/** The text with {@link REMOVED} in the place of each private key. */
export function withoutPrivateKeys(text: string): string {
  return text.replace(PRIVATE_KEY, REMOVED);
}
