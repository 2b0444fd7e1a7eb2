/** What a configuration stands on beside the files that it reads: folders, and secrets that only WPS may read. */
import type { Config } from "./schema.ts";
import type { Problem } from "./problem.ts";

/** What lies at a path, as far as this process can tell. */
export interface Place {
  kind: "file" | "folder" | "other";
  /** Permission bits; null where the system has none. */
  mode: number | null;
  /** Whether this process may write to it. */
  isWritable: boolean;
}

/** Null: nothing is there, or nobody can look. */
export type Inspect = (path: string) => Promise<Place | null>;

/** `problems` keep the service from starting; `warnings` do not, or may be another's business by then. */
export interface PlacesVerdict {
  problems: Problem[];
  warnings: Problem[];
}

/** Where this site keeps what nobody else may read. */
export interface SecretPlaces {
  /** Keys of the configuration file whose secret stands in the file itself. */
  inlineSecrets: readonly string[];
  /** Files of secrets by key, e.g. "api.keyFile". */
  secretFiles: ReadonlyMap<string, string>;
  /** What WPS logs in to the cluster with; `what` is for a message, e.g. "the token file". */
  credentialFiles: readonly { what: string; path: string }[];
}

/** The keys' names in `keys.directory`: that which opens passwords, and that which signs. */
const KEYS = ["seal.key", "site-ed25519.key"];
/** Group and others. */
const NOT_OWNER = 0o077;
const OTHERS = 0o007;
const GROUP_OR_OTHERS_WRITE = 0o022;

/**
 * Looks at `state.directory`, `keys.directory`, the socket's folder and everything of `secrets`. Each message says what
 * to do; none repeats a secret. `file` is the configuration, null where there is none. Changes nothing.
 *
 * What everybody can read keeps the service from starting where the site itself wrote it. Single secrets in files of
 * their own are often given their mode by whoever runs containers (Docker's are 0444), so there it is a warning.
 */
export async function inspectPlaces(
  config: Pick<Config, "state" | "keys" | "listen">,
  secrets: SecretPlaces,
  file: string | null,
  inspect: Inspect,
): Promise<PlacesVerdict> {
  const found: PlacesVerdict = { problems: [], warnings: [] };
  const say = (list: Problem[], key: string, message: string): void => {
    const place = { file: file ?? "configuration", line: null, column: null };
    list.push({ ...place, key, message, invariant: null });
  };
  const stateProblem = await folderMadeByUs(config.state.directory, inspect);
  if (stateProblem !== null) say(found.problems, "state.directory", stateProblem);
  for (const message of await keysProblems(config.keys.directory, inspect)) {
    say(found.problems, "keys.directory", message);
  }
  const socketFolder = parentOf(config.listen.socket);
  const folder = await inspect(socketFolder);
  if (folder === null) {
    const advice = `make it, or let the supervisor make it (systemd: RuntimeDirectory=)`;
    say(found.warnings, "listen.socket", `the folder ${socketFolder} does not exist: ${advice}`);
  } else if (folder.kind !== "folder") {
    say(found.problems, "listen.socket", `${socketFolder} is not a folder`);
  } else if (!folder.isWritable) {
    say(
      found.problems,
      "listen.socket",
      `this user cannot write to the folder ${socketFolder}: ${OWNER_ADVICE}`,
    );
  }
  for (const [key, path] of ownFiles(config, secrets)) {
    const mode = await openMode(path, inspect);
    if (mode === null) continue;
    say(found.warnings, key, `everybody on this machine can read ${path} (mode ${mode}): ${closeIt(path)}`);
  }
  for (const { key, message } of await openToAll(secrets, file, inspect)) say(found.problems, key, message);
  return found;
}

/** Files that hold one secret each, by the key that names them. */
function* ownFiles(
  { listen }: Pick<Config, "listen">,
  { secretFiles }: SecretPlaces,
): Iterable<[key: string, path: string]> {
  yield* secretFiles;
  if (listen.tls !== null) yield ["listen.tls.keyFile", listen.tls.keyFile];
}

/** What the site itself wrote with secrets in it, and everybody can read. */
async function openToAll(
  { inlineSecrets, credentialFiles }: SecretPlaces,
  file: string | null,
  inspect: Inspect,
): Promise<{ key: string; message: string }[]> {
  const found: { key: string; message: string }[] = [];
  const [first] = inlineSecrets;
  const mode = file === null || first === undefined ? null : await openMode(file, inspect);
  if (file !== null && mode !== null) {
    const files = inlineSecrets.map((key) => `${key}File`).join(", ");
    found.push({
      key: inlineSecrets.join(", "),
      message: `everybody on this machine can read this secret (mode ${mode}): use ${files} instead, ` +
        `or ${closeIt(file)}; consider it known`,
    });
  }
  for (const { what, path } of credentialFiles) {
    const mode = await openMode(path, inspect);
    if (mode === null) continue;
    found.push({
      key: "drivers.kubernetes.kubeconfig",
      message: `everybody on this machine can read ${what} ${path} (mode ${mode}): ${closeIt(path)}; ` +
        "consider the cluster's credentials known",
    });
  }
  return found;
}

/** The mode of a file that everybody can read or change, as text; null: it is not so, or nobody can tell. */
async function openMode(path: string, inspect: Inspect): Promise<string | null> {
  const { mode = null } = await inspect(path) ?? {};
  return mode === null || (mode & OTHERS) === 0 ? null : modeText(mode);
}

function closeIt(path: string): string {
  return `run chmod 640 ${path} and give it to the service's user`;
}

const OWNER_ADVICE = "give it to the service's user, or check as that user";

/** WPS makes the state folder itself, where it may write to the nearest folder that exists. */
async function folderMadeByUs(path: string, inspect: Inspect): Promise<string | null> {
  for (let at = path, isOwn = true;; at = parentOf(at), isOwn = false) {
    const place = await inspect(at);
    if (place === null && at !== "/") continue;
    if (place === null || place.kind !== "folder") return `${at} is not a folder`;
    if (place.isWritable) return null;
    return isOwn
      ? `this user cannot write to the folder ${path}: ${OWNER_ADVICE}`
      : `the folder ${path} does not exist, and this user cannot make it: run install -d -m 0700 -o USER ${path}`;
  }
}

/** WPS makes the keys, never their folder: who owns it is a decision of the site. */
async function keysProblems(path: string, inspect: Inspect): Promise<string[]> {
  const folder = await inspect(path);
  if (folder === null) {
    return [
      `the folder ${path} does not exist: run install -d -m 0700 -o USER ${path} with the service's user`,
    ];
  }
  if (folder.kind !== "folder") return [`${path} is not a folder`];
  const found: string[] = [];
  if (folder.mode !== null && (folder.mode & GROUP_OR_OTHERS_WRITE) !== 0) {
    found.push(`others can write to ${path} (mode ${modeText(folder.mode)}): run chmod 700 ${path}`);
  }
  for (const name of KEYS) {
    const key = await inspect(`${path}/${name}`);
    if (key === null && !folder.isWritable) {
      found.push(`this user cannot make ${name} in ${path}: ${OWNER_ADVICE}`);
    }
    if (key !== null && key.mode !== null && (key.mode & NOT_OWNER) !== 0) {
      const advice = `run chmod 600 ${path}/${name}, and consider the key known to whoever could read it`;
      found.push(`others can read ${path}/${name} (mode ${modeText(key.mode)}): ${advice}`);
    }
  }
  return found;
}

function parentOf(path: string): string {
  const trimmed = path.replace(/\/+$/, "");
  return trimmed.slice(0, trimmed.lastIndexOf("/")) || "/";
}

function modeText(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, "0");
}
