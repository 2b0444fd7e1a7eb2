/** Certificates as a Proxmox cluster has them: one of its own authority, and one that it signed for the node. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** All in PEM. */
export interface Certificates {
  /** The authority's certificate, for clients to trust. */
  authority: string;
  certificate: string;
  key: string;
  /** SHA-256 of the node's certificate: pairs of upper-case hex digits with colons, as Proxmox shows it. */
  fingerprint: string;
}

const OID = {
  ecdsaWithSha256: "06082a8648ce3d040302",
  commonName: "0603550403",
  basicConstraints: "0603551d13",
  keyUsage: "0603551d0f",
  subjectAltName: "0603551d11",
};
/** keyCertSign with cRLSign, and digitalSignature, as the bits of a KeyUsage. */
const KEY_USAGE = { authority: "03020106", node: "03020780" };
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const joined = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

/** X.690: tag, length, content. */
function der(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const content = joined(...parts);
  const length = content.length < 128
    ? [content.length]
    : content.length < 256
    ? [0x81, content.length]
    : [0x82, content.length >> 8, content.length & 255];
  return joined(Uint8Array.from([tag, ...length]), content);
}

const sequence = (...parts: Uint8Array[]): Uint8Array => der(0x30, ...parts);
const name = (commonName: string): Uint8Array =>
  sequence(der(0x31, sequence(hex(OID.commonName), der(0x0c, ascii(commonName)))));
const extension = (oid: string, value: Uint8Array): Uint8Array => sequence(hex(oid), der(0x04, value));

function integer(bytes: Uint8Array): Uint8Array {
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === 0) at++;
  const rest = bytes.subarray(at);
  return der(0x02, (rest[0] ?? 0) > 127 ? joined(Uint8Array.of(0), rest) : rest);
}

function pem(label: string, bytes: Uint8Array): string {
  const lines = Buffer.from(bytes).toString("base64").match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

interface Wish {
  subject: string;
  issuer: string;
  publicKey: CryptoKey;
  signer: CryptoKey;
  extensions: Uint8Array[];
  serial: number;
}

/** RFC 5280, valid for as long as anybody will test. */
async function issue({ subject, issuer, publicKey, signer, extensions, serial }: Wish): Promise<Uint8Array> {
  const algorithm = sequence(hex(OID.ecdsaWithSha256));
  const body = sequence(
    der(0xa0, integer(Uint8Array.of(2))),
    integer(Uint8Array.of(serial)),
    algorithm,
    name(issuer),
    sequence(der(0x18, ascii("20200101000000Z")), der(0x18, ascii("21200101000000Z"))),
    name(subject),
    new Uint8Array(await crypto.subtle.exportKey("spki", publicKey)),
    der(0xa3, sequence(...extensions)),
  );
  const raw = new Uint8Array(
    await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, signer, body.slice().buffer),
  );
  const signature = sequence(integer(raw.subarray(0, 32)), integer(raw.subarray(32)));
  return sequence(body, algorithm, der(0x03, Uint8Array.of(0), signature));
}

/** New certificates for 127.0.0.1 and localhost. Their keys are the machine's randomness, which no answer depends on. */
export async function makeCertificates(): Promise<Certificates> {
  const authority = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const node = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const issuer = "Proxmox Virtual Environment (double)";
  const root = await issue({
    subject: issuer,
    issuer,
    publicKey: authority.publicKey,
    signer: authority.privateKey,
    extensions: [
      extension(OID.basicConstraints, sequence(der(0x01, Uint8Array.of(255)))),
      extension(OID.keyUsage, hex(KEY_USAGE.authority)),
    ],
    serial: 1,
  });
  const names = sequence(der(0x82, ascii("localhost")), der(0x87, Uint8Array.of(127, 0, 0, 1)));
  const leaf = await issue({
    subject: "localhost",
    issuer,
    publicKey: node.publicKey,
    signer: authority.privateKey,
    extensions: [
      extension(OID.basicConstraints, sequence()),
      extension(OID.keyUsage, hex(KEY_USAGE.node)),
      extension(OID.subjectAltName, names),
    ],
    serial: 2,
  });
  const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", node.privateKey));
  const fingerprint = createHash("sha256").update(leaf).digest("hex").toUpperCase().match(/../g)?.join(":") ??
    "";
  return {
    authority: pem("CERTIFICATE", root),
    certificate: pem("CERTIFICATE", leaf),
    key: pem("PRIVATE KEY", key),
    fingerprint,
  };
}
