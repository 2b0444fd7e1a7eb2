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

/** The seal key's name in `keys.directory`. */
const SEAL_KEY = "seal.key";
/** Group and others. */
const NOT_OWNER = 0o077;
const OTHERS = 0o007;
const GROUP_OR_OTHERS_WRITE = 0o022;

/**
 * Looks at `state.directory`, `keys.directory`, the socket's folder and `secretFiles` (path by key). Each message says
 * what to do; none repeats a secret. `file` is named in the messages. Changes nothing.
 */
export async function inspectPlaces(
  config: Pick<Config, "state" | "keys" | "listen">,
  secretFiles: ReadonlyMap<string, string>,
  file: string,
  inspect: Inspect,
): Promise<PlacesVerdict> {
  const found: PlacesVerdict = { problems: [], warnings: [] };
  const say = (list: Problem[], key: string, message: string): void => {
    list.push({ file, line: null, column: null, key, message, invariant: null });
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
  for (const [key, path] of secretFiles) {
    const { mode = null } = await inspect(path) ?? {};
    if (mode === null || (mode & OTHERS) === 0) continue;
    const advice = `run chmod 640 ${path} and give it to the service's user`;
    say(
      found.warnings,
      key,
      `everybody on this machine can read ${path} (mode ${modeText(mode)}): ${advice}`,
    );
  }
  return found;
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

/** WPS makes the key, never its folder: who owns that folder is a decision of the site. */
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
  const key = await inspect(`${path}/${SEAL_KEY}`);
  if (key === null && !folder.isWritable) {
    found.push(`this user cannot make the key in ${path}: ${OWNER_ADVICE}`);
  }
  if (key !== null && key.mode !== null && (key.mode & NOT_OWNER) !== 0) {
    const advice = `run chmod 600 ${path}/${SEAL_KEY}, and consider the key known to whoever could read it`;
    found.push(`others can read ${path}/${SEAL_KEY} (mode ${modeText(key.mode)}): ${advice}`);
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
