/** The fields of `data`, checked one by one: every bad one gets its own reason (DESIGN 3). */
import { z } from "zod";
import { addressCount, type Cidr, contains, parseCidr } from "../core/cidr.ts";
import type { FieldError, PermitUpdate, SiteWords } from "../core/event.ts";
import { MEMBERS_MAX } from "../core/member.ts";
import { holdsPrivateKey } from "../core/private_key.ts";
import { PRIVATE_KEY_FAULT } from "./kept_body.ts";
import { holderIdFault, usernameFault } from "./names.ts";
import { parseSshKey } from "./ssh_key.ts";
import { quoted, textFault } from "./text.ts";

/** With everybody else of the permit, see {@link MEMBERS_MAX}. */
export const RESEARCHERS_MAX = MEMBERS_MAX;
/** Each holder is an airlock with a volume and an outside address of its own. */
export const HOLDERS_MAX = 50;
/** Of one holder; each becomes a rule in the packet filter. */
export const CIDRS_MAX = 64;
/** Of one holder. */
export const KEYS_MAX = 32;
/** More reasons help nobody; the rest is counted. */
export const REASONS_MAX = 50;
/** A status or tier is a word of the site's own files. */
const WORD_MAX = 64;
/** Below are system accounts (Debian: first regular uid 1000). */
const UID_MIN = 1000;
/** Kubernetes refuses a larger runAsUser (int32). */
const UID_MAX = 2 ** 31 - 1;
/** nobody and its 16-bit neighbour, to which foreign ids are mapped (user namespaces, NFS). */
const UID_OVERFLOW = [65534, 65535];
/**
 * How many addresses a holder may come from in sum: two IPv4 /8 (10.0.0.0/8 and more beside) or two IPv6 /32 (what
 * a provider gets), so that the whole Internet cannot be allowed in halves either.
 */
const ADDRESSES_MAX = { 4: 2n ** 25n, 6: 2n ** 97n } as const;
/** Nobody connects from these: this-host, loopback, link-local, multicast and reserved (RFC 6890). */
const UNREACHABLE = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "224.0.0.0/3",
  "::/127",
  "fe80::/10",
  "ff00::/8",
]
  .map(parseCidr).filter((block) => "base" in block);

/** A year outside is a mistake in somebody's arithmetic; within, text order is time order in every zone. */
const YEARS = { min: 1970, max: 9998 };

/** Text that the rule `fault` finds nothing wrong with. */
function text(fault: (value: string) => string | null): z.ZodString {
  return z.string().check(({ value, issues }) => {
    const message = fault(value);
    if (message !== null) {
      issues.push({ code: "custom", message: `${quoted(value)} ${message}`, input: value });
    }
  });
}

/** A list of at most `max` items; zod's own bound would also measure the length of a text. */
function list<Item extends z.ZodType>(item: Item, max: number): z.ZodArray<Item> {
  return z.array(item).check(({ value, issues }) => {
    if (value.length > max) issues.push({ code: "too_big", origin: "array", maximum: max, input: value });
  });
}

const word = text((value) => textFault(value, WORD_MAX));
const username = text(usernameFault);

const accountNumber = z.int().min(UID_MIN).max(UID_MAX).refine((value) => !UID_OVERFLOW.includes(value), {
  error: ({ input }) => `${input} is the overflow id (nobody)`,
});

const person = z.object({ username, uid: accountNumber.optional(), gid: accountNumber.optional() });

const cidr = z.string().transform((value, context): Cidr => {
  const block = parseCidr(value);
  const problem = "error" in block
    ? block.error
    : UNREACHABLE.some((range) => contains(range, block))
    ? "nobody connects from there"
    : null;
  if ("base" in block && problem === null) return block;
  context.issues.push({ code: "custom", message: `${quoted(value)}: ${problem}`, input: value });
  return z.NEVER;
});

const sshKey = z.string().transform((value, context): string => {
  const isPrivate = holdsPrivateKey(value);
  const fault = isPrivate ? PRIVATE_KEY_FAULT : textFault(value, Number.MAX_SAFE_INTEGER);
  const parsed = fault === null ? parseSshKey(value) : { error: fault };
  if ("key" in parsed) return parsed.key;
  const message = isPrivate ? parsed.error : `not an SSH public key: ${parsed.error}`;
  context.issues.push({ code: "custom", message, input: value });
  return z.NEVER;
});

const allowList = list(cidr, CIDRS_MAX).transform((blocks, context): string[] => {
  const distinct = new Map(blocks.map((block) => [block.text, block]));
  for (const family of [4, 6] as const) {
    const sum = [...distinct.values()].filter((block) => block.family === family).map(addressCount)
      .reduce((total, count) => total + count, 0n);
    if (sum <= ADDRESSES_MAX[family]) continue;
    const bound = family === 4 ? "two IPv4 /8" : "two IPv6 /32";
    context.issues.push({
      code: "custom",
      message: `allows more addresses than ${bound} have`,
      input: blocks,
    });
  }
  return [...distinct.keys()];
});

const dataHolder = person.extend({
  id: text(holderIdFault),
  allowedCidrs: allowList.default([]),
  sshPublicKeys: list(sshKey, KEYS_MAX).transform((keys) => [...new Set(keys)]).default([]),
});

/** An RFC 3339 date and time with zone, as {@link toUtc} writes it. */
export const instant: z.ZodType<string, string> = z.iso.datetime({ offset: true })
  .transform((value, context): string => {
    const utc = toUtc(value);
    if (utc !== null) return utc;
    context.issues.push({
      code: "custom",
      message: `${quoted(value)} is not between 1970 and 9998`,
      input: value,
    });
    return z.NEVER;
  });

const updateFields = z.object({
  status: word.optional(),
  expiresAt: instant.nullable().optional(),
  tier: word.optional(),
  dataHolders: list(dataHolder, HOLDERS_MAX).optional(),
  preprocessor: person.optional(),
  reviewer: person.optional(),
  setupReviewer: person.optional(),
  researchers: list(person, RESEARCHERS_MAX).optional(),
});

/** The names of the fields that an update may have; any other member is passed over, because the Permit Manager evolves. */
export const UPDATE_FIELDS: readonly string[] = Object.keys(updateFields.shape);
/** The same of a person. */
export const PERSON_FIELDS: readonly string[] = Object.keys(person.shape);
/** The same of a data holder. */
export const HOLDER_FIELDS: readonly string[] = Object.keys(dataHolder.shape);

/**
 * Checks the fields of an update. Reasons carry the canonical path, e.g. "data.researchers[0].uid"; beside them come the
 * words that could be read, for whoever knows the site's.
 */
export function parseUpdate(
  fields: Record<string, unknown>,
): { update: PermitUpdate } | { errors: FieldError[]; words: SiteWords } {
  // A list far beyond its bound is not walked: one reason says it all.
  for (const [name, max] of [["researchers", RESEARCHERS_MAX], ["dataHolders", HOLDERS_MAX]] as const) {
    const list = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (!Array.isArray(list) || list.length <= max) continue;
    return {
      errors: [{ path: `data.${name}`, message: `has ${list.length} entries; at most ${max} are accepted` }],
      words: readableWords(fields),
    };
  }
  const parsed = updateFields.safeParse(fields, { error: sentence });
  if (parsed.success) return { update: parsed.data };
  return { errors: toFieldErrors(parsed.error, ["data"]), words: readableWords(fields) };
}

function readableWords(fields: Record<string, unknown>): SiteWords {
  const read = (name: keyof SiteWords): string | undefined => {
    const parsed = word.safeParse(Object.hasOwn(fields, name) ? fields[name] : undefined);
    return parsed.success ? parsed.data : undefined;
  };
  return { status: read("status"), tier: read("tier") };
}

/** zod's issues as reasons, at most {@link REASONS_MAX}; `prefix` is where the value lay. */
export function toFieldErrors(error: z.ZodError, prefix: string[]): FieldError[] {
  const errors = error.issues.slice(0, REASONS_MAX).map(({ path, message }) => ({
    path: pathText([...prefix, ...path]),
    message,
  }));
  const more = error.issues.length - errors.length;
  return more > 0
    ? [...errors, { path: pathText(prefix), message: `${more} more fields are wrong` }]
    : errors;
}

function pathText(path: PropertyKey[]): string {
  return path.map((part, index) =>
    typeof part === "number" ? `[${part}]` : index === 0 ? part : `.${String(part)}`
  )
    .map(String).join("");
}

/** What an issue means to the sender. */
export function sentence(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "custom") return issue.message;
  if (issue.input === undefined) return "is missing";
  const given = quoted(issue.input);
  if (issue.code === "invalid_type") return `expected ${expected(issue.expected)}, got ${given}`;
  if (issue.code === "too_small") return `${given} is below ${issue.minimum}`;
  if (issue.code === "too_big") {
    return Array.isArray(issue.input)
      ? `has ${issue.input.length} entries; at most ${issue.maximum} are accepted`
      : `${given} is above ${issue.maximum}`;
  }
  if (issue.code === "invalid_format") {
    return calendarFault(String(issue.input)) ??
      `expected a date and time with zone (RFC 3339), got ${given}`;
  }
  return undefined;
}

function expected(type: string): string {
  return { string: "text", int: "a whole number", number: "a whole number", array: "a list" }[type] ??
    `an ${type}`;
}

/** RFC 3339 by its shape alone; seconds may be absent. */
const INSTANT_SHAPE = /^(\d{4}-\d\d)-(\d\d)T(\d\d:\d\d)(?::(\d\d)(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/;

/** What is wrong with a text that has the shape of an instant; null: it has not, or nothing is. */
function calendarFault(text: string): string | null {
  const [, month, day, time, seconds = "00"] = INSTANT_SHAPE.exec(text) ?? [];
  if (month === undefined) return null;
  // Date moves a day that its month lacks into the next, and takes no month, hour or second that there is not.
  const date = new Date(`${month}-${day}T00:00:00Z`);
  const isDay = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(`${month}-${day}`);
  if (!isDay) return `${quoted(text)}: there is no such day`;
  const isTime = !time?.startsWith("24") && !Number.isNaN(Date.parse(`2000-01-01T${time}:${seconds}Z`));
  return isTime ? null : `${quoted(text)}: there is no such time of day`;
}

/** An instant in UTC, "YYYY-MM-DDThh:mm:ss.fff[ffffff]Z": three digits of fraction, more only where they count. */
function toUtc(text: string): string | null {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "";
  const below = fraction.slice(3, 9).replace(/0+$/, "");
  const date = new Date(text.replace(/\.\d+/, fraction === "" ? "" : `.${fraction.slice(0, 3)}`));
  const year = date.getUTCFullYear();
  return year < YEARS.min || year > YEARS.max ? null : `${date.toISOString().slice(0, -1)}${below}Z`;
}
