/** One request and its answer over a connection of its own. */
import { Buffer } from "node:buffer";
import { type ClientRequest, type IncomingMessage, request as sendRequest } from "node:http";
import type { Socket } from "node:net";

/** A list of 10 000 guests has some 5 MB; more than this is not an answer to what WPS asks. */
export const RESPONSE_MAX_BYTES = 16 * 1024 * 1024;

/** A request as it goes over the wire. Without a body no header speaks of one. */
export interface WireRequest {
  method: string;
  /** With the query, encoded. */
  path: string;
  /** The server's name and port, for the Host header. */
  host: string;
  headers: Readonly<Record<string, string>>;
  body: Uint8Array | null;
}

/** An answer as it came. */
export interface WireAnswer {
  status: number;
  /** The reason phrase, where Proxmox VE puts the message of errors that have no body; fetch would lose it. */
  reason: string;
  /** "" where there was no body. */
  text: string;
}

/**
 * Sends, and reads the whole answer; the socket is destroyed at the end, whatever that is. Never sends twice. Rejects with
 * the signal's reason, the system's error, or an Error that says what is wrong with the answer; then the request may have
 * been carried out. Redirections are answers as any other.
 */
export async function exchange(socket: Socket, wire: WireRequest, signal: AbortSignal): Promise<WireAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<WireAnswer>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    const request = sendRequest({
      createConnection: () => socket,
      method: wire.method,
      path: wire.path,
      // pveproxy takes no chunked body (501), so its length is said.
      headers: {
        ...wire.headers,
        host: wire.host,
        connection: "close",
        ...(wire.body === null ? {} : { "content-length": `${wire.body.byteLength}` }),
      },
    });
    request.on("error", reject);
    request.on("response", (response) => read(response, resolve, reject));
    finish(request, wire.body);
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
    socket.destroy();
  }
}

function finish(request: ClientRequest, body: Uint8Array | null): void {
  if (body === null) request.end();
  else request.end(Buffer.from(body));
}

function read(
  response: IncomingMessage,
  resolve: (answer: WireAnswer) => void,
  reject: (reason: Error) => void,
): void {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > RESPONSE_MAX_BYTES) reject(new Error(`the answer has more than ${RESPONSE_MAX_BYTES} bytes`));
    else chunks.push(chunk);
  });
  response.on("error", () => reject(new Error("the connection broke in the middle of the answer")));
  response.on("end", () => {
    const text = new TextDecoder().decode(Buffer.concat(chunks));
    resolve({ status: response.statusCode ?? 0, reason: asUtf8(response.statusMessage ?? ""), text });
  });
}

/** A status line is read byte by byte as Latin-1; Proxmox VE writes UTF-8. */
function asUtf8(latin1: string): string {
  return new TextDecoder().decode(Uint8Array.from(latin1, (character) => character.charCodeAt(0)));
}
