/** Puts a double behind a port of this machine. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { ProxmoxDouble } from "./double.ts";
import { ConnectionLost } from "./wire/errors.ts";
import type { ApiReply } from "./wire/reply.ts";

/** A double that can be reached. */
export interface Listening {
  /** Without a path, like `https://127.0.0.1:8006`. */
  url: string;
  port: number;
  /** Ends the listener with every connection. The double itself is closed by whoever made it. */
  close(): Promise<void>;
}

/** How to listen; plain HTTP without `tls`. */
export interface ListenOptions {
  /** Any free one by default. */
  port?: number;
  /** PEM. */
  tls?: { certificate: string; key: string };
}

/** More than the largest upload that the double takes, with its multipart frame. */
const BODY_BYTES_MAX = 65 * 1024 * 1024;
const HOST = "127.0.0.1";

/** Headers of every recorded answer. */
const HEADERS = { "Cache-Control": "max-age=0", Pragma: "no-cache", Server: "pve-api-daemon/3.0" };

/** Listens on the loopback address until it is closed. `Deno.serve` would not do: it sends no reason phrase of ours. */
export async function listen(
  double: ProxmoxDouble,
  { port = 0, tls }: ListenOptions = {},
): Promise<Listening> {
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    void serve(double, request, response);
  };
  const server = tls === undefined
    ? createServer(answer)
    : createTlsServer({ cert: tls.certificate, key: tls.key }, answer);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, HOST, () => resolve());
  await promise;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The listener has no port");
  return {
    url: `${tls === undefined ? "http" : "https"}://${HOST}:${address.port}`,
    port: address.port,
    close: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      server.closeAllConnections();
      return promise;
    },
  };
}

async function serve(
  double: ProxmoxDouble,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const body = await readBody(request);
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, `${value}`]),
    );
    const reply = await double.handle({
      method: request.method ?? "",
      path: request.url ?? "",
      headers,
      body,
    });
    send(response, reply);
  } catch (error) {
    // Whoever has gone away, or is to believe so, gets nothing. Anything else is a defect of the double.
    request.socket.destroy();
    if (!(error instanceof ConnectionLost)) console.error("The Proxmox double failed:", error);
  }
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request) {
    const bytes = part instanceof Uint8Array ? part : new TextEncoder().encode(`${part}`);
    length += bytes.length;
    if (length > BODY_BYTES_MAX) {
      throw new ConnectionLost("The body is larger than anything that is modelled");
    }
    parts.push(bytes);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

function send(response: ServerResponse, { status, reason, contentType, body }: ApiReply): void {
  const bytes = new TextEncoder().encode(body);
  // A reason phrase is one line of Latin-1.
  response.writeHead(status, reason.replace(/[^\t\x20-\x7e\xa0-\xff]/g, "?"), {
    ...HEADERS,
    "Content-Length": bytes.length,
    ...contentType !== null && { "Content-Type": contentType },
    ...status === 401 && { Connection: "close" },
  });
  response.end(bytes);
}
