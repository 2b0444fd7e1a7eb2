/** What of a message's body is recorded: all of it but private keys. */
import type { FieldError } from "../core/event.ts";
import { holdsPrivateKey, REMOVED, withoutPrivateKeys } from "../core/private_key.ts";

/** The reason of a field that holds one. */
export const PRIVATE_KEY_FAULT =
  "is a private key: consider it leaked, make a new pair, and send the line of its .pub file";

/**
 * The body as received; of one with private keys everything else; nothing of one in which `reasons` found a key that its
 * bytes do not show, escaped or in base64.
 */
export function keptBody(body: Uint8Array, reasons: readonly FieldError[]): Uint8Array {
  const text = new TextDecoder().decode(body);
  if (holdsPrivateKey(text)) return new TextEncoder().encode(withoutPrivateKeys(text));
  const isHidden = reasons.some(({ message }) => message.endsWith(PRIVATE_KEY_FAULT));
  return isHidden ? new TextEncoder().encode(REMOVED) : body;
}
