/**
 * Who the server must be. Proxmox VE signs its certificates itself, so public authorities say nothing about it, and must
 * not: a certificate that any of them gives out for the same name would do. So exactly what the site names is trusted.
 *
 * Deno's fetch cannot do that: `caCerts` are trusted beside all public authorities, a self-signed certificate that is
 * also an authority is refused, and one certificate of a chain cannot be named. `node:tls` shows the certificate
 * before anything is sent, so that it is judged here. All of this was measured with Deno 2.9.6 and is tested.
 */
import { X509Certificate } from "node:crypto";
import { readFailure } from "../../config/disk.ts";
import { Fault } from "../../core/fault.ts";
import type { CredentialSurroundings } from "./token.ts";
import type { ProxmoxConnection } from "./settings.ts";

/** What a server is judged by. */
export type Pin =
  | { by: "authority"; file: string; pem: string; authorities: readonly X509Certificate[] }
  | { by: "fingerprint"; sha256: string };

/** A server as its connection shows it, before anything was sent. */
export interface Peer {
  /** Whether TLS found name, dates and chain in order; a fingerprint asks for none of them. */
  isAuthorized: boolean;
  /** Its certificate in DER. */
  certificate: Uint8Array<ArrayBuffer>;
}

const BEGIN = "-----BEGIN CERTIFICATE-----";
const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
/** Version 3 in DER: [0] { INTEGER 2 } (RFC 5280, 4.1). */
const VERSION_3 = [0xa0, 0x03, 0x02, 0x01, 0x02];

/** What the settings trust; null: plain HTTP on loopback. Throws a Fault that says what is wrong with the file. */
export async function readPin(
  { url, caFile, fingerprint }: Pick<ProxmoxConnection, "url" | "caFile" | "fingerprint">,
  { readText }: Pick<CredentialSurroundings, "readText">,
): Promise<Pin | null> {
  if (url.startsWith("http:")) return null;
  if (fingerprint !== null) return { by: "fingerprint", sha256: fingerprint };
  if (caFile === null) {
    throw refusal("drivers.proxmox", "neither caFile nor fingerprint says who the server is");
  }
  const pem = await readText(caFile).catch((thrown) => {
    throw refusal(caFile, readFailure(thrown), thrown);
  });
  const found = pem.match(PEM) ?? [];
  if (found.length === 0 || found.length !== pem.split(BEGIN).length - 1) {
    throw refusal(caFile, "it holds no certificate in PEM, or a damaged one");
  }
  return { by: "authority", file: caFile, pem, authorities: found.map((one) => parse(caFile, one)) };
}

/** Why the peer is not the one that is trusted, as the end of a sentence; null: it is. */
export async function whyDistrusted(pin: Pin, { isAuthorized, certificate }: Peer): Promise<string | null> {
  if (!isProven(certificate)) {
    return "its certificate is not well-formed, or not of X.509 version 3, so nothing proves that it is the server's own";
  }
  if (pin.by === "fingerprint") {
    const shown = await sha256Of(certificate);
    return shown === pin.sha256
      ? null
      : `its certificate has the SHA-256 fingerprint ${spelt(shown)}, not the configured one`;
  }
  if (!isAuthorized) return `its certificate is not valid under ${pin.file}`;
  const leaf = new X509Certificate(certificate);
  if (pin.authorities.some((authority) => isSame(authority, leaf) || isSignedBy(leaf, authority))) {
    return null;
  }
  return `no authority of ${pin.file} has signed its certificate`;
}

/** A digest as openssl and Proxmox VE show it: "9F:86:…". */
export function spelt(sha256: string): string {
  return sha256.toUpperCase().replaceAll(/(..)(?=.)/g, "$1:");
}

/**
 * Whether the server has proved that it has the certificate's key. Deno's `node:tls` asks for no proof where its TLS library
 * cannot read the certificate, as those of version 1 (measured): anybody could show it. Asked directly, the library says
 * what it cannot read.
 */
function isProven(certificate: Uint8Array<ArrayBuffer>): boolean {
  if (!isVersion3(certificate)) return false;
  try {
    const read = new X509Certificate(certificate);
    Deno.createHttpClient({ caCerts: [read.toString()] }).close();
    return read.publicKey.type === "public";
  } catch {
    return false;
  }
}

/** Certificate { TBSCertificate { [0] version, … } }: the version is the first element within two headers. */
function isVersion3(certificate: Uint8Array): boolean {
  const outer = contentAt(certificate, 0), inner = contentAt(certificate, outer);
  return outer > 0 && inner > 0 && VERSION_3.every((byte, index) => certificate[inner + index] === byte);
}

/** Where the content of the DER sequence at an offset begins; 0: there is no sequence. */
function contentAt(der: Uint8Array, offset: number): number {
  const [tag, length = 0] = der.subarray(offset, offset + 2);
  if (tag !== 0x30) return 0;
  return offset + 2 + (length > 0x80 ? length - 0x80 : 0);
}

async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

function isSame(one: X509Certificate, other: X509Certificate): boolean {
  return one.fingerprint256 === other.fingerprint256;
}

function isSignedBy(leaf: X509Certificate, authority: X509Certificate): boolean {
  try {
    return leaf.verify(authority.publicKey);
  } catch {
    return false; // a key of another kind than the signature
  }
}

function parse(file: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (thrown) {
    throw refusal(file, "it holds no certificate in PEM, or a damaged one", thrown);
  }
}

function refusal(target: string, what: string, cause?: unknown): Fault {
  return new Fault("stalled", "invalid", `Cannot know the Proxmox VE server by ${target}: ${what}`, {
    target,
    advice: "Copy /etc/pve/pve-root-ca.pem of a node there, or name the certificate's fingerprint instead",
    cause,
  });
}
