/** One connection to the server, for one exchange, open only if the server is the one that is trusted. */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type Pin, whyDistrusted } from "./pin.ts";
import { isLoopback } from "./settings.ts";

/** The server has shown that it is not the one that is configured; nothing was sent to it. */
export class Distrust extends Error {
  override readonly name = "Distrust";
}

/**
 * Connects, and judges the server before the first byte of a request. A connection of its own for each: over one that had
 * been used before, Deno's `fetch` and its `node:http` alike send a request a second time when the server closes it,
 * whatever the method (measured with 2.9.6).
 *
 * Rejects with Distrust, with the system's error, or with the signal's reason. The socket is the caller's to destroy.
 */
export async function openConnection(url: string, pin: Pin | null, signal: AbortSignal): Promise<Socket> {
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  if (pin === null) {
    const socket = connectTcp({ host, port: Number(port || 80) });
    await opened(socket, "connect", signal);
    return protocol === "http:" && isHere(socket) ? socket : refuse(socket, "plain HTTP leaves this machine");
  }
  const socket = connectTls({
    host,
    port: Number(port || 443),
    // A name for the server to choose its certificate by; an address is none (RFC 6066, 3).
    ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
    ALPNProtocols: ["http/1.1"],
    minVersion: "TLSv1.2",
    // A fingerprint names one certificate, whatever it says of itself; who has no key for it is still refused.
    ...(pin.by === "authority" ? { ca: pin.pem, rejectUnauthorized: true } : { rejectUnauthorized: false }),
  });
  await opened(socket, "secureConnect", signal);
  const why = await whyDistrusted(pin, peerOf(socket)).catch(() => "its certificate cannot be judged");
  return why === null ? socket : refuse(socket, why);
}

/** Waits for an event of a socket that is being connected; on anything else the socket is destroyed. */
async function opened(
  socket: Socket,
  event: "connect" | "secureConnect",
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = (): void => reject(signal.reason);
  socket.once(event, () => resolve());
  // Stays for as long as the socket lives: an error that nobody listens to ends the process.
  socket.on("error", (error) => reject(isOfCertificate(error) ? new Distrust(error.message) : error));
  socket.once("close", () => reject(new Error("the connection was closed while it was made")));
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    await promise;
  } catch (thrown) {
    socket.destroy();
    throw thrown;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function peerOf(socket: TLSSocket): { isAuthorized: boolean; certificate: Uint8Array<ArrayBuffer> } {
  return {
    isAuthorized: socket.authorized,
    certificate: new Uint8Array(socket.getPeerCertificate().raw ?? []),
  };
}

/** OpenSSL's and Node's codes for a certificate that does not verify, or not for this name. */
function isOfCertificate(error: Error & { code?: string }): boolean {
  return /CERT|SIGNATURE|ERR_TLS/.test(error.code ?? "");
}

/** A name such as "localhost" may lead elsewhere. */
function isHere({ remoteAddress = "", remoteFamily }: Socket): boolean {
  return isLoopback(remoteFamily === "IPv6" ? `[${remoteAddress}]` : remoteAddress);
}

function refuse(socket: Socket, why: string): never {
  socket.destroy();
  throw new Distrust(why);
}
