/** The kinds of value that configuration and phase files are made of, each saying what it expects. */
import { isIP } from "node:net";
import { z } from "zod";
import { parseCidr } from "../core/cidr.ts";
import { didYouMean } from "./nearest.ts";

/** A mapping that refuses unknown keys and names the known ones. Every mapping of a site's file is made by it. */
export function section<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== "unrecognized_keys") return "expected a mapping (key: value)";
      return issue.keys.map((key) => unknownKey(key, known)).join("\n");
    },
  });
}

/** One sentence about a key that nobody knows. */
function unknownKey(key: string, known: readonly string[]): string {
  const hint = didYouMean(key, known);
  return `unknown key; expected ${known.length === 1 ? "" : "one of "}${known.join(", ")}${hint}`;
}

/** Text of a shape; `expected` completes "expected …". */
export function text(pattern: RegExp, expected: string): z.ZodString {
  const error = `expected ${expected}`;
  return z.string({ error }).regex(pattern, { error });
}

/** One of some words, with a suggestion for a mistyped one. */
export function word<const Words extends readonly [string, ...string[]]>(
  ...words: Words
): z.ZodEnum<{ [Word in Words[number]]: Word }> {
  return z.enum(words, {
    error: ({ input }) =>
      `expected one of ${words.join(", ")}${typeof input === "string" ? didYouMean(input, words) : ""}`,
  });
}

/** A whole number within bounds. */
export function count(min: number, max: number): z.ZodNumber {
  const error = `expected a whole number from ${min} to ${max}`;
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
}

/** true or false. */
export function flag(): z.ZodBoolean {
  return z.boolean({ error: "expected true or false" });
}

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A duration in text with its unit, read into milliseconds: "250ms", "30s", "10m", "24h", "30d". */
export function duration(
  minMs: number,
  maxMs: number,
): z.ZodPipe<z.ZodString, z.ZodTransform<number, string>> {
  const error = `expected a duration from ${durationText(minMs)} to ${
    durationText(maxMs)
  }, such as 30s, 10m or 24h`;
  return text(/^\d{1,9}(ms|s|m|h|d)$/, error.slice("expected ".length)).transform((given, context) => {
    const ms = durationMs(given);
    if (ms < minMs || ms > maxMs) context.addIssue({ code: "custom", message: error });
    return ms;
  });
}

function durationMs(given: string): number {
  const unit = given.replace(/^\d+/, "");
  return Number(given.slice(0, given.length - unit.length)) * (UNIT_MS[unit] ?? Number.NaN);
}

/** The shortest text for milliseconds: 600000 → "10m". The inverse of {@link duration}. */
export function durationText(ms: number): string {
  const unit = ["d", "h", "m", "s"].find((name) => ms % (UNIT_MS[name] ?? 1) === 0 && ms > 0) ?? "ms";
  return `${ms / (UNIT_MS[unit] ?? 1)}${unit}`;
}

/** A Kubernetes quantity of storage or memory, e.g. "20Gi". */
export function size(): z.ZodString {
  return text(/^[1-9]\d{0,11}(\.\d{1,3})?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)$/, "a size such as 500Mi, 20Gi or 2Ti");
}

/** A Kubernetes quantity of processor time, e.g. 4, "2.5" or "500m". */
export function cpu(): z.ZodPipe<
  z.ZodUnion<readonly [z.ZodNumber, z.ZodString]>,
  z.ZodTransform<string, string | number>
> {
  const error = "expected a number of processors such as 4, 2.5 or 500m";
  return z.union([
    z.number({ error }).positive({ error }).max(1024, { error }),
    text(/^([1-9]\d{0,4}m|([1-9]\d{0,3}|0)(\.\d{1,3})?)$/, error.slice("expected ".length)),
  ], { error }).transform((given, context) => {
    if (Number.parseFloat(String(given)) <= 0) context.addIssue({ code: "custom", message: error });
    return String(given);
  });
}

/** An absolute path of a file or folder on this machine. */
export function absolutePath(): z.ZodString {
  return text(/^\/[^\0\n]{0,4094}$/, "an absolute path such as /etc/wps/wps.yaml");
}

/** A path of a file that must be readable at start; the loader tries it. */
export function readableFile(): z.ZodString {
  return absolutePath().meta({ readable: true });
}

/** A secret in the configuration itself; {@link secretFile} is the better place. Never printed. */
export function secret(pattern: RegExp, expected: string): z.ZodString {
  return text(pattern, expected).meta({ secret: true });
}

/** The file that holds the secret of the sibling key without "File"; its content takes that key's place. */
export function secretFile(): z.ZodString {
  return readableFile().meta({ readable: true, secretFile: true });
}

/** An address range such as 10.0.0.5/32 in canonical text; one that holds everything is refused. */
export function cidr(): z.ZodPipe<z.ZodString, z.ZodTransform<string, string>> {
  const expected = "expected an address range such as 10.0.0.5/32 or fd00::5/128";
  return z.string({ error: expected }).transform((given, context) => {
    const parsed = parseCidr(given);
    if ("error" in parsed) {
      context.addIssue({ code: "custom", message: `${expected}: ${parsed.error}` });
      return z.NEVER;
    }
    if (parsed.prefix === 0) {
      context.addIssue({ code: "custom", message: `${expected}: this one holds every address there is` });
    }
    return parsed.text;
  });
}

/** A host and a port. */
export interface HostPort {
  host: string;
  port: number;
}

/** "10.0.0.5:443" or "[fd00::5]:443" taken apart; a name such as "localhost:8080" too where `names`. Null: neither. */
export function parseHostPort(given: string, names: boolean): HostPort | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]{1,253})):(\d{1,5})$/.exec(given);
  if (match === null) return null;
  const [, six, four = "", digits = ""] = match;
  const host = six ?? four;
  const port = Number(digits);
  const isHost = six === undefined ? isIP(host) === 4 || (names && isHostName(host)) : isIP(host) === 6;
  return isHost && port <= 65_535 ? { host, port } : null;
}

/** A DNS name (RFC 1123), not something that merely resembles an IPv4 address. */
export function isHostName(host: string): boolean {
  return host.length <= 253 && !/^[\d.]+$/.test(host) &&
    host.split(".").every((label) => /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label));
}

/** A URL with one of some schemes, e.g. `url(["amqp:", "amqps:"], "amqps://wps@broker/spe")`. */
export function url(schemes: readonly string[], example: string): z.ZodString {
  const error = `expected a URL such as ${example}`;
  return z.string({ error }).refine((given) => {
    const parsed = URL.parse(given);
    return parsed !== null && schemes.includes(parsed.protocol) && parsed.hostname !== "" &&
      parsed.hash === "";
  }, { error });
}
