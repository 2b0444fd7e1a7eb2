/** The one place that keeps secrets out of what is written for people: logs, and texts of errors. */

/** Stands for what was removed. */
const SCRUBBED = "[redacted]";

/** Fields whose value is a secret whatever it looks like. "passwordFile" is a path, "keys" a list of names. */
const SECRET_FIELD =
  /(password|passwd|passphrase|secret|token|authorization|cookie|private[-_]?key|api[-_]?key)$/i;

/** Deeper, longer and wider values are cut: a log line is for reading. */
const DEPTH_MAX = 6;
const TEXT_MAX = 8192;
const ENTRIES_MAX = 100;

/** Read at most so much of a text; patterns below repeat only within bounds, so that no text is slow. */
const READ_MAX = 4 * TEXT_MAX;

const PATTERNS: [RegExp, string][] = [
  // The password of a URL: scheme://user:password@host. Users show, they help to find the cause.
  [/([a-z][a-z0-9+.-]{0,20}:\/\/[^\s/:@]{0,256}):[^\s/@]{0,1024}@/gi, `$1:${SCRUBBED}@`],
  [/\b(bearer|basic)\s{1,8}[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${SCRUBBED}`],
  // API keys: wps_<id>_<secret> (DESIGN 10).
  [/\bwps_([A-Za-z0-9]{1,64})_[A-Za-z0-9_-]{8,}/g, `wps_$1_${SCRUBBED}`],
  [/-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]{0,32}PRIVATE KEY-----|$)/g, SCRUBBED],
  // JSON Web Tokens.
  [/\beyJ[A-Za-z0-9_-]{10,4096}\.[A-Za-z0-9_-]{1,4096}\.[A-Za-z0-9_-]*/g, SCRUBBED],
];

/** A text without what looks like a secret, at most 8192 characters long. */
export function scrubText(text: string): string {
  const isCut = text.length > READ_MAX;
  // Half a secret at the cut would fit no pattern, so its word goes too.
  const head = isCut ? text.slice(0, text.lastIndexOf(" ", READ_MAX) + 1) || "[one long word]" : text;
  const clean = PATTERNS.reduce((rest, [pattern, instead]) => rest.replaceAll(pattern, instead), head);
  return isCut || clean.length > TEXT_MAX
    ? `${clean.slice(0, TEXT_MAX)}… (${text.length} characters)`
    : clean;
}

/** Plain data without secrets, ready for JSON: cycles, functions and big integers become text. */
export function scrub(fields: Record<string, unknown>): Record<string, unknown> {
  return scrubEntries(fields, 0, new Set());
}

function scrubEntries(
  value: object,
  depth: number,
  above: ReadonlySet<object>,
): Record<string, unknown> {
  const inside = new Set([...above, value]);
  return Object.fromEntries(
    Object.entries(value).slice(0, ENTRIES_MAX).map(([key, item]) => [
      key,
      SECRET_FIELD.test(key) && item !== null && item !== undefined
        ? SCRUBBED
        : scrubValue(item, depth + 1, inside),
    ]),
  );
}

function scrubValue(value: unknown, depth: number, above: ReadonlySet<object>): unknown {
  if (typeof value === "string") return scrubText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "function" || typeof value === "symbol") return `[${typeof value}]`;
  if (typeof value !== "object" || value === null) return value;
  if (above.has(value)) return "[cycle]";
  if (depth > DEPTH_MAX) return "[deep]";
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "[no date]" : value.toISOString();
  if (value instanceof Error) return { name: value.name, message: scrubText(value.message) };
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) {
    const inside = new Set([...above, value]);
    return value.slice(0, ENTRIES_MAX).map((item) => scrubValue(item, depth + 1, inside));
  }
  if (value instanceof Map) return scrubEntries(Object.fromEntries(value), depth, above);
  if (value instanceof Set) return scrubValue([...value], depth, above);
  return scrubEntries(value, depth, above);
}
