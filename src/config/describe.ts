/** The configuration as an operator may see it: by the keys of the file, each value with where it comes from. */
import { keyText } from "./problem.ts";
import type { Config, JsonSchema } from "./schema.ts";

/** Stands for a secret. */
const REDACTED = "[secret]";

/** What is shown. */
export interface ShownConfig {
  /** As it could stand in a file. */
  config: Record<string, unknown>;
  /** By key: "file", "default", or the environment variable. */
  origins: Record<string, string>;
}

/** A loaded configuration with what it was made of. */
export interface DescribedConfig {
  config: Config;
  /** File and environment as they were given, secrets in their files. */
  given: unknown;
  /** Environment variable by key. */
  overridden: ReadonlyMap<string, string>;
}

/**
 * The whole configuration in force, without its secrets, safe to print; keys that are absent and have no default are
 * left out. URLs keep the user's name and lose the password.
 */
export function describeConfig(
  { config, given, overridden }: DescribedConfig,
  schema: JsonSchema,
): ShownConfig {
  const origins: Record<string, string> = {};
  const shown = sectionOf(schema, given, [], (path, isGiven) => {
    const variable = path.map((_, index) => overridden.get(keyText(path.slice(0, index + 1))))
      .find((name) => name !== undefined);
    origins[keyText(path)] = variable ?? (isGiven ? "file" : "default");
  });
  return { config: withComputed(shown, config, origins), origins };
}

type Note = (path: string[], isGiven: boolean) => void;

function sectionOf(schema: JsonSchema, given: unknown, path: string[], note: Note): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    const isGiven = isMapping(given) && given[key] !== undefined;
    if (!isGiven && inner.default === undefined) continue;
    const value = isGiven ? given[key] : inner.default;
    const place = [...path, key];
    if (inner.properties !== undefined && isMapping(value)) {
      shown[key] = sectionOf(inner, value, place, note);
    } else {
      shown[key] = withoutSecret(inner, value);
      note(place, isGiven);
    }
  }
  return shown;
}

/** What has no default in the schema because the program computes it: images, tiers, the default tier. */
function withComputed(
  shown: Record<string, unknown>,
  { images, tiers, defaultTier }: Config,
  origins: Record<string, string>,
): Record<string, unknown> {
  const own = isMapping(shown["images"]) ? shown["images"] : {};
  const rest = Object.entries(images).filter(([kind]) => !Object.hasOwn(own, kind));
  for (const [kind] of rest) origins[`images.${kind}`] = "default";
  for (const kind of Object.keys(own)) origins[`images.${kind}`] = origins["images"] ?? "file";
  delete origins["images"];
  const computed: Record<string, unknown> = {
    images: { ...own, ...Object.fromEntries(rest.map(([kind, { reference }]) => [kind, reference])) },
  };
  if (shown["tiers"] === undefined) {
    origins["tiers"] = "default";
    computed["tiers"] = Object.fromEntries(
      Object.entries(tiers).map(([name, { cpu, memory, sizes }]) => [name, { cpu, memory, ...sizes }]),
    );
  }
  if (shown["defaultTier"] === undefined) {
    origins["defaultTier"] = "default";
    computed["defaultTier"] = defaultTier;
  }
  return { ...shown, ...computed };
}

function withoutSecret({ secret, secretUrl }: JsonSchema, value: unknown): unknown {
  if (secret === true) return REDACTED;
  return secretUrl === true ? withoutPassword(String(value)) : value;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** "amqps://wps:[secret]@broker/spe": a URL whose password, and query (which may hold one), are replaced. */
export function withoutPassword(address: string): string {
  const parsed = URL.parse(address);
  if (parsed === null) return REDACTED;
  const user = parsed.username === "" ? "" : parsed.username;
  const password = parsed.password === "" ? "" : `:${REDACTED}`;
  const login = user === "" && password === "" ? "" : `${user}${password}@`;
  return `${parsed.protocol}//${login}${parsed.host}${parsed.pathname}${
    parsed.search === "" ? "" : `?${REDACTED}`
  }`;
}
