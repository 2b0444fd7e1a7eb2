/** A server on loopback that takes whole HTTP/1.1 requests apart and answers, or breaks, exactly as a test says. */

/** One request as it came over the wire. */
export interface Got {
  method: string;
  /** With the query. */
  path: string;
  headers: Headers;
  body: string;
  /** The body as it is. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Everything, for what no parser shows. */
  raw: string;
}

/** An answer; without a body there is no Content-Length either, as with Proxmox VE. */
export interface Said {
  status?: number;
  reason?: string;
  /** JSON, or text as it is. */
  body?: unknown;
  headers?: Record<string, string>;
}

/** An answer, or instead: "close" the connection; "hang" until the server ends; bytes as they are, and then close. */
export type Reply = Said | "close" | "hang" | Uint8Array;

/** The server and what it got, in order. */
export interface LoopbackServer extends AsyncDisposable {
  port: number;
  requests: Got[];
  /** Connections that were opened, whatever became of them. */
  connections: number;
  /** Connections that are open now. */
  readonly open: number;
}

/** PEM texts. */
export interface Keys {
  cert: string;
  key: string;
}

/** Starts one; with keys it speaks TLS. */
export function startServer(
  answer: (request: Got, count: number) => Reply | Promise<Reply>,
  keys?: Keys,
): LoopbackServer {
  const at = { hostname: "127.0.0.1", port: 0 };
  const listener: Deno.Listener = keys === undefined ? Deno.listen(at) : Deno.listenTls({ ...at, ...keys });
  const open = new Set<Deno.Conn>();
  const served: Promise<void>[] = [];
  const address = listener.addr;
  const server: LoopbackServer = {
    port: address.transport === "tcp" ? address.port : 0,
    requests: [],
    connections: 0,
    get open() {
      return open.size;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      listener.close();
      for (const connection of open) closeQuietly(connection);
      await accepting;
      await Promise.all(served);
    },
  };

  const accepting = (async () => {
    for await (const connection of listener) {
      server.connections++;
      open.add(connection);
      served.push(
        serve(connection).catch(() => {}).finally(() => {
          open.delete(connection);
          closeQuietly(connection);
        }),
      );
    }
  })();

  /** Requests one after the other over the same connection, as a server that keeps it open. */
  async function serve(connection: Deno.Conn): Promise<void> {
    for (let request = await read(connection); request !== null; request = await read(connection)) {
      server.requests.push(request);
      const reply = await answer(request, server.requests.length);
      if (reply === "close") return;
      if (reply === "hang") continue; // until the client leaves
      const pieces = reply instanceof Uint8Array ? [reply] : encode(reply);
      for (const piece of pieces) await write(connection, piece);
      if (reply instanceof Uint8Array || reply.body === undefined) return;
    }
  }

  return server;
}

async function read(connection: Deno.Conn): Promise<Got | null> {
  const buffer = new Uint8Array(65_536);
  let bytes = new Uint8Array(0);
  for (;;) {
    const raw = new TextDecoder().decode(bytes);
    const end = raw.indexOf("\r\n\r\n");
    if (end >= 0) {
      const [first = "", ...lines] = raw.slice(0, end).split("\r\n");
      const headers = new Headers(lines.map((line): [string, string] => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 1).trim()];
      }));
      const content = bytes.slice(end + 4); // a head is ASCII: as many bytes as characters
      if (content.byteLength >= Number(headers.get("content-length") ?? 0)) {
        const [method = "", path = ""] = first.split(" ");
        return { method, path, headers, body: new TextDecoder().decode(content), bytes: content, raw };
      }
    }
    const count = await connection.read(buffer);
    if (count === null) return null;
    const longer = new Uint8Array(bytes.byteLength + count);
    longer.set(bytes);
    longer.set(buffer.subarray(0, count), bytes.byteLength);
    bytes = longer;
  }
}

function encode({ status = 200, reason = "OK", body, headers = {} }: Said): Uint8Array[] {
  const content = new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body) ?? "");
  const lines = [
    `HTTP/1.1 ${status} ${reason}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(body === undefined ? ["Connection: close"] : [`Content-Length: ${content.byteLength}`]),
    "",
    "",
  ];
  return [new TextEncoder().encode(lines.join("\r\n")), content];
}

async function write(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength;) at += await connection.write(bytes.subarray(at));
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
