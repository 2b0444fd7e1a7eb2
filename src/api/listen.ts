/** Where the API listens: a unix socket for this machine, TCP (with TLS) for others. */
import type { Clock } from "../core/clock.ts";
import { Fault } from "../core/fault.ts";
import type { Transport } from "./caller.ts";
import type { ApiEnv } from "./env.ts";

/** Answers one request that came over `transport`; `OpenAPIHono.fetch` is one. */
export type Answer = (request: Request, env: ApiEnv["Bindings"]) => Response | Promise<Response>;

/** A listening end of the API. */
export interface Listener {
  /** "unix:/run/wps/wps.sock", "https://127.0.0.1:8080": for logs and health. */
  readonly address: string;
  /** The TCP port; null for a socket. */
  readonly port: number | null;
  /** Takes no new connection, lets answers finish for at most `graceMs`. End streams first. Safe to repeat. */
  stop(graceMs: number): Promise<void>;
}

/** What both kinds of listener need. */
export interface ListenOptions {
  answer: Answer;
  clock: Clock;
  /** Told of what went wrong outside any route, e.g. a connection that broke. */
  failed: (thrown: unknown) => void;
}

/** Owner and group may connect; who is in the group is the site's choice. */
const SOCKET_MODE = 0o660;
/** Linux: sun_path has 108 bytes with its terminator (unix(7)). */
const SOCKET_PATH_MAX = 107;

/**
 * Listens on a unix socket of mode 0660. It is made beside `path` and renamed onto it, so that nobody can connect
 * before the mode is set and a stale file is replaced in one step. Faults: `conflict` when a service answers there,
 * `invalid` when something else than a socket or its folder is in the way, `unavailable` when the socket cannot be made.
 */
export async function listenUnix(path: string, options: ListenOptions): Promise<Listener> {
  if (new TextEncoder().encode(path).length > SOCKET_PATH_MAX) {
    throw new Fault(
      "stalled",
      "invalid",
      `Cannot listen on ${path}: a socket's path has at most ${SOCKET_PATH_MAX} bytes`,
      {
        advice: "Set listen.socket to a shorter path",
      },
    );
  }
  await requireFolder(path);
  await refuseLiveSocket(path);
  const fresh = siblingOf(path);
  try {
    await Deno.remove(fresh).catch(ignoreAbsent);
    const server = Deno.serve(
      { path: fresh, onListen: () => {}, onError: onError(options) },
      answering(options, "unix"),
    );
    await Deno.chmod(fresh, SOCKET_MODE);
    await Deno.rename(fresh, path);
    const { ino } = await Deno.lstat(path);
    return listener(`unix:${path}`, null, server, options, () => removeOwn(path, ino));
  } catch (thrown) {
    throw new Fault("stalled", "unavailable", `Cannot listen on ${path}: ${textOf(thrown)}`, {
      advice: "Give the service's user write access to the socket's directory",
      target: path,
      cause: thrown,
    });
  }
}

/** Certificate chain and key in PEM. */
export interface Tls {
  cert: string;
  key: string;
}

/** Listens on TCP; port 0 takes any free one. Fault `unavailable` when the address cannot be had or the TLS files are wrong. */
export function listenTcp(
  at: { hostname: string; port: number; tls: Tls | null },
  options: ListenOptions,
): Listener {
  const host = at.hostname.includes(":") ? `[${at.hostname}]` : at.hostname;
  try {
    const server = Deno.serve(
      { hostname: at.hostname, port: at.port, onListen: () => {}, onError: onError(options), ...at.tls },
      answering(options, "tcp"),
    );
    const port = server.addr.transport === "tcp" ? server.addr.port : at.port;
    return listener(
      `${at.tls === null ? "http" : "https"}://${host}:${port}`,
      port,
      server,
      options,
      () => Promise.resolve(),
    );
  } catch (thrown) {
    throw new Fault("stalled", "unavailable", `Cannot listen on ${host}:${at.port}: ${textOf(thrown)}`, {
      advice: "Look at listen.http and listen.tls, and whether another program has the port",
      cause: thrown,
    });
  }
}

function answering(
  { answer }: ListenOptions,
  transport: Transport,
): (request: Request) => Response | Promise<Response> {
  return (request) => answer(request, { transport });
}

function onError({ failed }: ListenOptions): (thrown: unknown) => Response {
  return (thrown) => {
    failed(thrown);
    return new Response(null, { status: 500 });
  };
}

function listener(
  address: string,
  port: number | null,
  server: Deno.HttpServer,
  { clock }: ListenOptions,
  release: () => Promise<void>,
): Listener {
  let stopping: Promise<void> | null = null;
  const stop = async (graceMs: number): Promise<void> => {
    await release();
    const finished = new AbortController();
    await Promise.race([server.shutdown(), clock.sleep(graceMs, finished.signal)]);
    finished.abort();
  };
  return { address, port, stop: (graceMs) => stopping ??= stop(graceMs) };
}

/** Another name in the same folder, no longer than `path`, so that it fits where `path` does. */
function siblingOf(path: string): string {
  return `${path.slice(0, -1)}${path.endsWith("~") ? "-" : "~"}`;
}

/** Throws where the socket's folder is absent or none. What cannot be looked at fails later, with the system's words. */
async function requireFolder(path: string): Promise<void> {
  const folder = path.slice(0, Math.max(path.lastIndexOf("/"), 0)) || (path.startsWith("/") ? "/" : ".");
  try {
    if ((await Deno.stat(folder)).isDirectory) return;
    throw new Fault("stalled", "invalid", `Cannot listen on ${path}: ${folder} is not a folder`, {
      advice: "Set listen.socket to a path in a folder",
      target: path,
    });
  } catch (thrown) {
    if (thrown instanceof Fault) throw thrown;
    if (!(thrown instanceof Deno.errors.NotFound)) return;
    throw new Fault(
      "stalled",
      "unavailable",
      `Cannot listen on ${path}: the folder ${folder} does not exist`,
      {
        advice:
          `Make it for the service's user: install -d -m 0750 ${folder}; or let the supervisor make it (systemd: RuntimeDirectory=)`,
        target: path,
        cause: thrown,
      },
    );
  }
}

/** Throws unless `path` is absent or a socket that nobody answers on. */
async function refuseLiveSocket(path: string): Promise<void> {
  const found = await Deno.lstat(path).catch(ignoreAbsent);
  if (found === undefined) return;
  if (!found.isSocket) {
    throw new Fault("stalled", "invalid", `Cannot listen on ${path}: something that is no socket is there`, {
      advice: "Remove it, or set listen.socket to another path",
      target: path,
    });
  }
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (thrown) {
    if (thrown instanceof Deno.errors.ConnectionRefused || thrown instanceof Deno.errors.NotFound) return;
    throw new Fault("stalled", "unavailable", `Cannot listen on ${path}: ${textOf(thrown)}`, {
      target: path,
    });
  }
  throw new Fault("stalled", "conflict", `Cannot listen on ${path}: another service answers there`, {
    advice: "Stop it first, or set listen.socket to another path",
    target: path,
  });
}

/** Removes the socket unless somebody has put another one there meanwhile. */
async function removeOwn(path: string, ino: number | null): Promise<void> {
  const found = await Deno.lstat(path).catch(ignoreAbsent);
  if (found?.ino === ino) await Deno.remove(path).catch(ignoreAbsent);
}

function ignoreAbsent(thrown: unknown): undefined {
  if (thrown instanceof Deno.errors.NotFound) return undefined;
  throw thrown;
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
