/** Reads the configuration: one file, the environment over it, secrets from their files, all checked at once. */
import { type Complaint, complaints, parseYaml, type YamlDocument } from "./document.ts";
import { type FileReader, readFailure } from "./disk.ts";
import { overlay } from "./environment.ts";
import { byPlace, keyText, type Problem } from "./problem.ts";
import { type Config, configJsonSchema, configSchema, type JsonSchema } from "./schema.ts";

/** Where the configuration is looked for when nobody says. */
const DEFAULT_PATH = "/etc/wps/wps.yaml";
/** A key or URL; a larger file is the wrong one. */
const SECRET_MAX = 64 * 1024;

/** Where the configuration comes from. */
export interface ConfigSource {
  /** `--config`; null: WPS_CONFIG, else /etc/wps/wps.yaml, which may be absent. */
  path: string | null;
  environment: Readonly<Record<string, string | undefined>>;
  files: FileReader;
}

/** A configuration without problems, and what it was made of. */
export interface LoadedConfig {
  /** Frozen. */
  config: Config;
  /** Null when only defaults and environment were used. */
  file: string | null;
  /** File and environment as they were given, secrets in their files. */
  given: unknown;
  /** Variables by key. */
  overridden: ReadonlyMap<string, string>;
  /** Files of secrets by key, e.g. "api.keyFile". */
  secretFiles: ReadonlyMap<string, string>;
  /** Keys whose secret stands in `file` itself, also where the environment overrides it. */
  inlineSecrets: readonly string[];
  problems: [];
}

/** Either a configuration, frozen, or every problem found. */
export type ConfigResult =
  | LoadedConfig
  | { config: null; file: string | null; problems: Problem[] };

/** The whole configuration of a site. Never throws for what file or environment say, never repeats a value. */
export async function loadConfig(source: ConfigSource): Promise<ConfigResult> {
  const named = source.path ?? (source.environment["WPS_CONFIG"] || null);
  const path = named ?? DEFAULT_PATH;
  const read = await readDocument(path, named === null, source.files);
  if (read.document === null) return { config: null, file: path, problems: read.problems };
  const { document } = read;
  const file = read.isAbsent ? null : path;
  if (document.value !== undefined && !isMapping(document.value)) {
    const message = "expected a mapping of sections, such as state:, listen: and drivers:";
    return {
      config: null,
      file,
      problems: [{ file: path, line: 1, column: 1, key: "", message, invariant: null }],
    };
  }

  const schema = configJsonSchema();
  const inlineSecrets = inlineIn(document.value, schema);
  const { value, origins, problems } = overlay(document.value, source.environment, schema);
  const given = structuredClone(value);
  const secrets = await readSecrets(value, schema, source.files);
  const found = [...secrets.found, ...await tryFiles(value, schema, source.files)];
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) {
    // A secret whose file could not be read is missing too; saying so twice helps nobody.
    found.push(...complaints(parsed.error, value).filter(({ path }) => !secrets.unread.has(keyText(path))));
  }
  problems.push(...found.map((complaint) => toProblem(document, origins, secrets.readFrom, complaint)));
  if (!parsed.success || problems.length > 0) return { config: null, file, problems: problems.sort(byPlace) };
  const secretFiles = new Map([...secrets.readFrom].map(([key, name]) => [`${key}File`, name]));
  const config = freeze(parsed.data);
  return { config, file, given, overridden: origins, secretFiles, inlineSecrets, problems: [] };
}

/** Keys of the file that hold a secret in so many words: a key, or a URL with a password or a query. */
function inlineIn(value: unknown, schema: JsonSchema, path: string[] = []): string[] {
  if (schema.secret === true) return [keyText(path)];
  if (schema.secretUrl === true) {
    const address = URL.parse(String(value));
    return address !== null && (address.password !== "" || address.search !== "") ? [keyText(path)] : [];
  }
  if (!isMapping(value)) return [];
  return Object.entries(schema.properties ?? {}).flatMap(([key, next]) =>
    Object.hasOwn(value, key) ? inlineIn(value[key], next, [...path, key]) : []
  );
}

async function readDocument(
  path: string,
  mayBeAbsent: boolean,
  files: FileReader,
): Promise<{ document: YamlDocument; isAbsent: boolean } | { document: null; problems: Problem[] }> {
  try {
    const parsed = parseYaml(path, await files.read(path));
    return parsed.document === null ? parsed : { document: parsed.document, isAbsent: false };
  } catch (thrown) {
    if (mayBeAbsent && thrown instanceof Deno.errors.NotFound) {
      const empty = parseYaml(`${path} (absent)`, "");
      return empty.document === null ? empty : { document: empty.document, isAbsent: true };
    }
    const message = `cannot read the configuration: ${readFailure(thrown)}`;
    return {
      document: null,
      problems: [{ file: path, line: null, column: null, key: "", message, invariant: null }],
    };
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A key of the file whose schema carries a mark, with the mapping that holds it. */
interface Marked {
  path: string[];
  holder: Record<string, unknown>;
  key: string;
  schema: JsonSchema;
}

function marked(value: unknown, schema: JsonSchema, path: string[] = []): Marked[] {
  if (!isMapping(value)) return [];
  return Object.entries(schema.properties ?? {}).flatMap(([key, next]): Marked[] => {
    if (!Object.hasOwn(value, key)) return [];
    if (next.readable) return [{ path: [...path, key], holder: value, key, schema: next }];
    return marked(value[key], next, [...path, key]);
  });
}

interface Secrets {
  /** File by the key whose value it holds. */
  readFrom: Map<string, string>;
  /** Keys whose file could not be read. */
  unread: Set<string>;
  found: Complaint[];
}

/** Puts the content of each `…File` in its sibling's place. */
async function readSecrets(value: unknown, schema: JsonSchema, files: FileReader): Promise<Secrets> {
  const secrets: Secrets = { readFrom: new Map(), unread: new Set(), found: [] };
  for (const { path, holder, key, schema: { secretFile } } of marked(value, schema)) {
    const name = holder[key];
    if (secretFile !== true || typeof name !== "string") continue;
    const target = key.slice(0, -"File".length);
    const targetKey = keyText([...path.slice(0, -1), target]);
    if (Object.hasOwn(holder, target)) {
      secrets.found.push({ path, message: `${target} is given too; keep one of them` });
      continue;
    }
    delete holder[key];
    try {
      const content = (await files.read(name)).replace(/[\r\n]+$/, "");
      if (content === "" || content.length > SECRET_MAX) {
        throw new SecretSize(content.length === 0 ? "it is empty" : `it has ${content.length} characters`);
      }
      holder[target] = content;
      secrets.readFrom.set(targetKey, name);
    } catch (thrown) {
      const why = thrown instanceof SecretSize ? thrown.message : readFailure(thrown);
      secrets.unread.add(targetKey);
      secrets.found.push({ path, message: `cannot read the secret from ${name}: ${why}` });
    }
  }
  return secrets;
}

/** A file that cannot be one secret; the message says why. */
class SecretSize extends Error {}

/** Tries to read every other file that the configuration names, so that a wrong path shows at start. */
async function tryFiles(value: unknown, schema: JsonSchema, files: FileReader): Promise<Complaint[]> {
  const found: Complaint[] = [];
  for (const { path, holder, key, schema: { secretFile } } of marked(value, schema)) {
    const name = holder[key];
    if (secretFile === true || typeof name !== "string" || !name.startsWith("/")) continue;
    try {
      await files.read(name);
    } catch (thrown) {
      found.push({ path, message: `cannot read ${name}: ${readFailure(thrown)}` });
    }
  }
  return found;
}

/** Names the place: the variable that set the key, or the secret's file beside the key, or the line. */
function toProblem(
  document: YamlDocument,
  origins: ReadonlyMap<string, string>,
  inSecretFile: ReadonlyMap<string, string>,
  complaint: Complaint,
): Problem {
  const { path, key } = complaint;
  const full = key === undefined ? path : [...path, key];
  const secretFrom = inSecretFile.get(keyText(full));
  const shownPath = secretFrom === undefined ? full : [...full.slice(0, -1), `${String(full.at(-1))}File`];
  const message = secretFrom === undefined ? complaint.message : `in ${secretFrom}: ${complaint.message}`;
  const variable = shownPath.map((_, index) => origins.get(keyText(shownPath.slice(0, index + 1))))
    .find((name) => name !== undefined);
  const place = variable === undefined
    ? {
      file: document.file,
      ...(secretFrom === undefined ? document.locate(path, key) : document.locate(shownPath)),
    }
    : { file: `environment variable ${variable}`, line: null, column: null };
  return { ...place, key: keyText(shownPath), message, invariant: null };
}

function freeze<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(freeze);
  }
  return value;
}
