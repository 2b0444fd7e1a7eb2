/** Environment variables that override single keys: `broker.url` is WPS_BROKER_URL (DESIGN 10). */
import { parseYaml } from "./document.ts";
import { didYouMean } from "./nearest.ts";
import { keyText, type Problem } from "./problem.ts";
import type { JsonSchema } from "./schema.ts";

const PREFIX = "WPS_";

/** Not keys: where the configuration is, and what the tests use. */
const RESERVED = /^WPS_(CONFIG$|DEBUG$|TEST_)/;

/** Kubernetes gives every pod such variables for each Service of its namespace; one may be named wps. */
const SERVICE_LINK =
  /^WPS_(.*_)?(SERVICE_(HOST|PORT)(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;

/** The configuration's values with the environment's laid over them. */
export interface Overlay {
  value: unknown;
  /** Variable by the key that it set. */
  origins: Map<string, string>;
  problems: Problem[];
}

/** "sshPublicKeys" and "staff-home" → "SSH_PUBLIC_KEYS" and "STAFF_HOME". */
function variablePart(key: string): string {
  return key.replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2").replaceAll(/[-.]/g, "_").toUpperCase();
}

/** "WPS_BROKER_URL" for `["broker", "url"]`. */
export function variableOf(path: readonly string[]): string {
  return PREFIX + path.map(variablePart).join("_");
}

/**
 * Lays `environment` over a parsed file. An empty variable counts as absent, because `${X:-}` makes such ones.
 * Lists and mappings are given in YAML, e.g. WPS_NETWORK_CANARIES='["192.0.2.1:443"]'. A WPS_ variable that is no
 * key is a problem: a mistyped one must not be overlooked.
 */
export function overlay(
  value: unknown,
  environment: Readonly<Record<string, string | undefined>>,
  schema: JsonSchema,
): Overlay {
  const result: Overlay = { value: structuredClone(value ?? {}), origins: new Map(), problems: [] };
  for (const [variable, text] of Object.entries(environment).sort(([a], [b]) => a < b ? -1 : 1)) {
    if (!variable.startsWith(PREFIX) || text === undefined || text === "") continue;
    if (RESERVED.test(variable)) continue;
    const complain = (message: string): void => {
      const file = `environment variable ${variable}`;
      result.problems.push({ file, line: null, column: null, key: "", message, invariant: null });
    };
    const [match] = matches(variable.slice(PREFIX.length).split("_"), schema, result.value);
    if (match === undefined) {
      if (SERVICE_LINK.test(variable)) continue;
      complain(`no key of the configuration has this name${didYouMean(variable, variables(schema, []))}`);
      continue;
    }
    const given = valueOf(text, match.schema);
    if ("error" in given) complain(given.error);
    else {
      result.value = withValue(result.value, match.path, given.value);
      result.origins.set(keyText(match.path), variable);
    }
  }
  return result;
}

/** Every variable that has a fixed name. */
function variables(schema: JsonSchema, path: string[]): string[] {
  const inner = Object.entries(schema.properties ?? {}).flatMap(([key, next]) =>
    variables(next, [...path, key])
  );
  return path.length > 0 && inner.length === 0 ? [variableOf(path)] : inner;
}

interface Match {
  path: string[];
  schema: JsonSchema;
}

/**
 * The paths that a variable's words may mean, best first: named keys before free names, free names that the file
 * has before new ones, short before long; a path that ends at a single value before one that ends at a mapping.
 */
function matches(words: string[], schema: JsonSchema, value: unknown): Match[] {
  if (words.length === 0) return [{ path: [], schema }];
  const found = (schema.anyOf ?? []).flatMap((alternative) => matches(words, alternative, value));
  for (const [key, next] of Object.entries(schema.properties ?? {})) {
    const parts = variablePart(key).split("_");
    if (parts.some((part, index) => words[index] !== part)) continue;
    const rest = matches(words.slice(parts.length), next, child(value, key));
    found.push(...rest.map((match) => ({ ...match, path: [key, ...match.path] })));
  }
  if (typeof schema.additionalProperties === "object") {
    const free = schema.additionalProperties;
    const known = typeof value === "object" && value !== null ? Object.keys(value) : [];
    for (let length = 1; length <= words.length; length++) {
      const spelt = words.slice(0, length).join("_");
      const name = known.find((key) => variablePart(key) === spelt) ??
        spelt.toLowerCase().replaceAll("_", "-");
      const rest = matches(words.slice(length), free, child(value, name));
      found.push(...rest.map((match) => ({ ...match, path: [name, ...match.path] })));
    }
  }
  const rank = (match: Match): number =>
    (match.schema.properties === undefined && match.schema.additionalProperties === undefined ? 0 : 2) +
    (exists(value, match.path.slice(0, -1)) ? 0 : 1);
  return found.sort((a, b) => rank(a) - rank(b));
}

function child(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? Reflect.get(value, key)
    : undefined;
}

function exists(value: unknown, path: string[]): boolean {
  return path.reduce<unknown>(child, value) !== undefined;
}

/** Reads a variable's text as what the schema wants; the schema itself judges it later. */
function valueOf(text: string, schema: JsonSchema): { value: unknown } | { error: string } {
  const types = new Set([schema, ...(schema.anyOf ?? [])].map(({ type }) => type));
  const wantsList = types.has("array") && text.startsWith("[");
  const wantsMapping = types.has("object") && text.startsWith("{");
  if (wantsList || wantsMapping) {
    const parsed = parseYaml("", text);
    return parsed.document === null
      ? { error: "expected YAML in one line, such as [a, b] or { key: value }" }
      : { value: parsed.document.value };
  }
  if (!types.has("string")) {
    if ((types.has("integer") || types.has("number")) && /^-?\d{1,15}(\.\d+)?$/.test(text)) {
      return { value: Number(text) };
    }
    if (types.has("boolean") && (text === "true" || text === "false")) return { value: text === "true" };
  }
  return { value: text };
}

/**
 * A copy with one key set. A secret and its `…File` stand for each other, so setting one removes the other that
 * the file may have.
 */
function withValue(base: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const copy: Record<string, unknown> = typeof base === "object" && base !== null ? { ...base } : {};
  if (rest.length === 0) {
    delete copy[key.endsWith("File") ? key.slice(0, -"File".length) : `${key}File`];
  }
  copy[key] = withValue(child(base, key), rest, value);
  return copy;
}
