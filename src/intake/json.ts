/** Bytes to JSON, with bounds that hold before anything is parsed. */
import { jsonFaultAt, placeText } from "./json_fault.ts";
import { repeatedMembers } from "./repeated.ts";
import { quoted } from "./text.ts";

/** A permit event with the largest lists allowed is below 400 KiB; RabbitMQ would carry 128 MiB. */
export const BODY_BYTES_MAX = 1024 * 1024;
/** Our deepest field is at depth 5; what others add is ignored, but recursion over it must stay shallow. */
export const JSON_DEPTH_MAX = 32;

/** The parsed value with the paths of members that the text gives more than once, or why there is none. */
export type Decoded = { value: unknown; repeated: string[] } | { error: string };

const QUOTE = 0x22, BACKSLASH = 0x5c, COLON = 0x3a, OPEN = [0x5b, 0x7b], CLOSE = [0x5d, 0x7d];

/** Decodes a body: bound, UTF-8, depth, JSON. Never throws. A byte order mark is skipped (RFC 8259 section 8.1). */
export function decodeJson(body: Uint8Array): Decoded {
  if (body.byteLength > BODY_BYTES_MAX) {
    // By how much is not said: who hands it on may have cut the rest.
    return { error: `is longer than ${BODY_BYTES_MAX} bytes, the most that is accepted` };
  }
  if (body.byteLength === 0) return { error: "is empty" };
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    return { error: "is not valid UTF-8" };
  }
  const { depth, members } = measure(body);
  if (depth > JSON_DEPTH_MAX) return { error: `is nested deeper than ${JSON_DEPTH_MAX} levels` };
  try {
    const value: unknown = JSON.parse(text);
    // Only a text that says more members than came out of it is read a second time.
    return { value, repeated: membersIn(value) === members ? [] : repeatedMembers(text) };
  } catch {
    return { error: notJson(text) };
  }
}

function notJson(text: string): string {
  const at = jsonFaultAt(text);
  const place = placeText(text, at);
  if (at >= text.length) return `is not JSON: it ends too early, at ${place}`;
  return `is not JSON: unexpected ${quoted(String.fromCodePoint(text.codePointAt(at) ?? 0))} at ${place}`;
}

/**
 * Counts brackets and colons outside strings, up to the first level too deep. Bytes are enough: in UTF-8 no part of
 * another character looks like ASCII.
 */
function measure(body: Uint8Array): { depth: number; members: number } {
  let depth = 0;
  let deepest = 0;
  let members = 0;
  let inString = false;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at] ?? 0;
    if (inString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === COLON) members++;
    else if (CLOSE.includes(byte)) depth--;
    else if (OPEN.includes(byte)) {
      deepest = Math.max(deepest, ++depth);
      if (deepest > JSON_DEPTH_MAX) break;
    }
  }
  return { depth: deepest, members };
}

function membersIn(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const inner = Object.values(value);
  return inner.reduce<number>((sum, item) => sum + membersIn(item), Array.isArray(value) ? 0 : inner.length);
}

/** Whether a value is a JSON object (no array, no null). */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A member of a JSON object by its own key: `__proto__` and `constructor` are members like any other. */
export function member(object: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
