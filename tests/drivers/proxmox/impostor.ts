/**
 * Somebody who shows a certificate: the first flight of TLS 1.2 (RFC 5246), which is signed in the clear, and then what the
 * client makes of it. With another key than the certificate's the client must refuse it.
 */
import type { Keys } from "./server.ts";

/** What the client said to the first flight. */
export type Verdict = "refused" | "believed";

/** An impostor that waits for one client. */
export interface Impostor extends AsyncDisposable {
  port: number;
  verdict: Promise<Verdict>;
}

const HANDSHAKE = 22, ALERT = 21;
/** Where a ClientHello's random begins: record header, message header, version. */
const RANDOM_AT = 5 + 4 + 2, RANDOM_LENGTH = 32;
const TLS_1_2 = [0x03, 0x03], ECDHE_ECDSA_AES_128_GCM = [0xc0, 0x2b], P_256 = [0x03, 0x00, 0x17];
const ECDSA_P256_SHA256 = [0x04, 0x03], SECURE_RENEGOTIATION = [0x00, 0x05, 0xff, 0x01, 0x00, 0x01, 0x00];
const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** Shows `cert`, and signs with `key`, whether that is its key or not. Both PEM, of the curve P-256. */
export function startImpostor({ cert, key }: Keys): Impostor {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const verdict = answer(listener, cert, key);
  verdict.catch(() => {}); // a test that awaits it sees it
  return {
    port: listener.addr.port,
    verdict,
    async [Symbol.asyncDispose](): Promise<void> {
      listener.close();
      await verdict.catch(() => {});
    },
  };
}

async function answer(listener: Deno.TcpListener, cert: string, key: string): Promise<Verdict> {
  using connection = await listener.accept();
  const hello = await readSome(connection);
  const clientRandom = hello.subarray(RANDOM_AT, RANDOM_AT + RANDOM_LENGTH);
  const serverRandom = crypto.getRandomValues(new Uint8Array(RANDOM_LENGTH));
  const exchange = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, [
    "deriveBits",
  ]);
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", exchange.publicKey));
  const params = [...P_256, point.length, ...point];
  const signed = new Uint8Array([...clientRandom, ...serverRandom, ...params]);
  const signature = await sign(key, signed);
  const der = derOf(cert);
  const messages = [
    ...message(2, [...TLS_1_2, ...serverRandom, 0, ...ECDHE_ECDSA_AES_128_GCM, 0, ...SECURE_RENEGOTIATION]),
    ...message(11, lengthened(3, lengthened(3, [...der]))),
    ...message(12, [...params, ...ECDSA_P256_SHA256, ...lengthened(2, signature)]),
    ...message(14, []),
  ];
  await connection.write(new Uint8Array([HANDSHAKE, ...TLS_1_2, ...lengthened(2, messages)]));
  const [type] = await readSome(connection);
  if (type === ALERT) return "refused";
  if (type === HANDSHAKE) return "believed";
  throw new Error(`the client said ${type}`);
}

async function readSome(connection: Deno.Conn): Promise<Uint8Array> {
  const buffer = new Uint8Array(16_384);
  const count = await connection.read(buffer);
  return buffer.subarray(0, count ?? 0);
}

function message(type: number, content: readonly number[]): number[] {
  return [type, ...lengthened(3, content)];
}

function lengthened(bytes: 2 | 3, content: readonly number[]): number[] {
  const { length } = content;
  return [...[length >> 16, length >> 8, length].map((part) => part & 0xff).slice(3 - bytes), ...content];
}

function derOf(pem: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(pem.replaceAll(/-----[^-]+-----|\s/g, ""));
}

/** An ECDSA signature in DER: SEQUENCE { INTEGER r, INTEGER s } (RFC 3279, 2.2.3). */
async function sign(key: string, content: Uint8Array<ArrayBuffer>): Promise<number[]> {
  const imported = await crypto.subtle.importKey("pkcs8", derOf(key), ECDSA, false, ["sign"]);
  const raw = new Uint8Array(await crypto.subtle.sign(ECDSA, imported, content));
  const integers = [raw.subarray(0, 32), raw.subarray(32)].flatMap((half) => {
    const digits = [...half];
    while (digits.length > 1 && digits[0] === 0) digits.shift();
    const positive = (digits[0] ?? 0) > 0x7f ? [0, ...digits] : digits;
    return [0x02, positive.length, ...positive];
  });
  return [0x30, integers.length, ...integers];
}
