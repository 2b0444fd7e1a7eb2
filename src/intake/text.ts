/** Text from outside: what may be in it, and how it is quoted in a reason. */

import { withoutPrivateKeys } from "../core/private_key.ts";

/** Quoted values in reasons are cut here: enough to recognise, too short to flood a log. */
const QUOTE_MAX = 60;

/**
 * Control characters (Cc), line and paragraph separators, and the bidirectional controls, which make a terminal
 * show something else than what is there (Unicode TR 36).
 */
const FORBIDDEN = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

/** What is wrong with a text of at most `max` UTF-16 units, or null. Lone surrogates have no UTF-8 form. */
export function textFault(text: string, max: number): string | null {
  if (text.trim() === "") return "is empty";
  if (text.length > max) return `is ${text.length} characters long; at most ${max} are allowed`;
  if (!text.isWellFormed()) return "is not valid Unicode (lone surrogate)";
  if (FORBIDDEN.test(text)) return "contains control characters";
  return null;
}

/** A name in a path is cut here: JSON's may be as long as the whole body. */
const NAME_MAX = 40;

/** The name of a JSON member as a part of a path. */
export function shortName(name: string): string {
  const safe = name.slice(0, NAME_MAX + 1).replace(new RegExp(FORBIDDEN, "gu"), "\ufffd").toWellFormed();
  return safe.length > NAME_MAX ? `${safe.slice(0, NAME_MAX).toWellFormed()}…` : safe;
}

/** A value as a reason shows it: JSON, control characters escaped, cut. */
export function quoted(value: unknown): string {
  const plain = (_key: string, inner: unknown): unknown => typeof inner === "bigint" ? String(inner) : inner;
  const json = withoutPrivateKeys(JSON.stringify(value, plain) ?? String(value));
  const safe = json.replace(new RegExp(FORBIDDEN, "gu"), "\ufffd").toWellFormed();
  return safe.length > QUOTE_MAX ? `${safe.slice(0, QUOTE_MAX).toWellFormed()}…` : safe;
}
