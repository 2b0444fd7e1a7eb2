/** A double of the API server for what a real one cannot be made to do on demand: break, stall, shed load. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Clock } from "../../../src/core/clock.ts";
import { Client } from "../../../src/drivers/kubernetes/client.ts";
import { kubernetesSettings } from "../../../src/drivers/kubernetes/settings.ts";
import { Transport } from "../../../src/drivers/kubernetes/transport.ts";

/** A server on loopback that answers as `answer` says. */
export interface Double extends AsyncDisposable {
  url: string;
  client: Client;
  transport: Transport;
  /** What was asked, in order; copied, because a Request dies with its connection. */
  requests: Asked[];
}

/** One request as the double saw it. */
export interface Asked {
  method: string;
  url: string;
  headers: Headers;
}

/** What the client finds as kubeconfig; further files by path. */
export interface DoubleOptions {
  /** The kubeconfig's user; a function is asked whenever it is read. */
  user?: string | (() => string);
  files?: Record<string, () => string>;
  timeoutMs?: number;
  parallelRequests?: number;
  clock?: Clock;
}

const KUBECONFIG = "/kubeconfig";

/** Starts a double and a client of it. */
export function startDouble(
  answer: (request: Request) => Response | Promise<Response>,
  options: DoubleOptions = {},
): Double {
  const requests: Asked[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    requests.push({ method: request.method, url: request.url, headers: new Headers(request.headers) });
    return answer(request);
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const { client, transport } = clientOf(url, options);
  return {
    url,
    client,
    transport,
    requests,
    async [Symbol.asyncDispose](): Promise<void> {
      await transport.close();
      await server.shutdown();
    },
  };
}

/** A client of any address. */
export function clientOf(url: string, options: DoubleOptions = {}): { client: Client; transport: Transport } {
  const {
    user = "{ token: t }",
    files = {},
    timeoutMs = 2_000,
    parallelRequests = 32,
    clock = { now: () => 0, sleep: () => Promise.resolve() },
  } = options;
  const kubeconfig = (): string => `
clusters: [{ name: c, cluster: { server: "${url}" } }]
users: [{ name: u, user: ${typeof user === "string" ? user : user()} }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
current-context: x
`;
  const settings = {
    ...kubernetesSettings.parse({ kubeconfig: KUBECONFIG, connections: 2 }),
    requestTimeoutMs: timeoutMs,
    parallelRequests,
  };
  const readText = (path: string): Promise<string> => {
    if (path === KUBECONFIG) return Promise.resolve(kubeconfig());
    const file = files[path];
    return file === undefined ? Promise.reject(new Deno.errors.NotFound(path)) : Promise.resolve(file());
  };
  const transport = new Transport({ settings, surroundings: { readText, env: () => undefined, clock } });
  return { client: new Client(transport), transport };
}

/** A Status answer, as the API server words failures. */
export function status(code: number, reason: string, message: string, more: object = {}): Response {
  const body = { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message, ...more };
  return Response.json(body, { status: code });
}

/** An object's JSON with the identity that every stored one has. */
export function stored(
  kind: string,
  name: string,
  more: { metadata?: object; [field: string]: unknown } = {},
): object {
  const { metadata, ...rest } = more;
  return { kind, metadata: { name, uid: `uid-${name}`, resourceVersion: "10", ...metadata }, ...rest };
}

/** Collects garbage until nothing more is found: what only garbage holds must not be needed any more. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  for (let round = 0; round < 5; round++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5)); // weak references live until the end of a turn
  }
}
