/** Finds the service's socket without loading the whole configuration: a client command must start fast. */
import { CliError, EXIT } from "./exit.ts";
import type { Environment } from "./terminal.ts";

/** Where the configuration is looked for when nobody says (DESIGN 10). */
const CONFIG_DEFAULT = "/etc/wps/wps.yaml";
/** Where the service listens when the configuration does not say (DESIGN 10). */
const SOCKET_DEFAULT = "/run/wps/wps.sock";

/** Where to look. */
export interface SocketSource {
  /** `--socket`. */
  socket: string | undefined;
  /** `--config`. */
  config: string | undefined;
  environment: Environment;
}

/**
 * `--socket`, else WPS_LISTEN_SOCKET, else `listen.socket` of the configuration (`--config`, WPS_CONFIG, or the
 * default one, which may be absent), else the default. CliError when the file that was named cannot be read.
 */
export async function findSocket(source: SocketSource): Promise<string> {
  const given = source.socket ?? (source.environment["WPS_LISTEN_SOCKET"] || undefined);
  if (given !== undefined) return given;
  const named = source.config ?? (source.environment["WPS_CONFIG"] || undefined);
  const path = named ?? CONFIG_DEFAULT;
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (thrown) {
    if (named === undefined && thrown instanceof Deno.errors.NotFound) return SOCKET_DEFAULT;
    const isDenied = thrown instanceof Deno.errors.PermissionDenied;
    const why = isDenied ? "permission denied" : thrown instanceof Error ? thrown.message : String(thrown);
    throw new CliError(isDenied ? EXIT.denied : EXIT.usage, `Cannot read the configuration ${path}: ${why}`, {
      advice: ["Name the socket with --socket PATH, or the configuration with --config FILE"],
    });
  }
  return plainSocket(text) ?? await parsedSocket(text) ?? SOCKET_DEFAULT;
}

/** A line that may set a key named so; within the configuration only `listen.socket` is. */
const KEY = /socket['"]?[ \t]*:/;
/** That key where no YAML parser is needed to understand it. */
const PLAIN = /^(?:[ ]+|listen:[ ]*\{(?:[^#{}'"]*,)?[ ]*)socket:[ ]+(\/[\w./-]+)(?:[ ]*$|[ ]*[,}]|[ ]+#)/;

/**
 * Reads the common spellings (`socket: /path` below `listen:`, or within its braces) itself, because loading the
 * YAML parser takes as long as all the rest of the command. Undefined where it is not sure; then YAML decides.
 */
export function plainSocket(text: string): string | undefined {
  const lines = text.split("\n").filter((line) => KEY.test(line));
  const [line] = lines;
  if (line === undefined) return SOCKET_DEFAULT;
  return lines.length === 1 ? PLAIN.exec(line)?.[1] : undefined;
}

async function parsedSocket(text: string): Promise<string | undefined> {
  const { parse } = await import("yaml");
  let value: unknown;
  try {
    value = parse(text);
  } catch {
    // The service reports what is wrong with it; a client only wants the path.
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const listen: unknown = Reflect.get(value, "listen");
  if (typeof listen !== "object" || listen === null) return undefined;
  const socket: unknown = Reflect.get(listen, "socket");
  return typeof socket === "string" ? socket : undefined;
}
