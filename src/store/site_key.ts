/**
 * The site's Ed25519 key (RFC 8032): it signs what must be believed outside of this machine. The private key is a file
 * outside the database, PKCS#8 in PEM, mode 0600; the public one lies beside it, to be handed out and trusted. Signing is
 * synchronous, because certificates are signed within the transaction of what they tell of.
 */
import { Buffer } from "node:buffer";
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import type { Random } from "../core/clock.ts";
import { Fault } from "../core/fault.ts";

/** The private key's file in the keys directory. */
export const SITE_KEY_FILE = "site-ed25519.key";
/** The public key's file beside it. */
export const SITE_PUBLIC_FILE = "site-ed25519.pub";

/** Signs text. */
export interface SiteSigner {
  readonly key: SitePublicKey;
  /** Base64 of the signature over the text's UTF-8 bytes. */
  sign(text: string): string;
}

/** A public key that somebody trusts. */
export interface SitePublicKey {
  /** "ed25519:" and the first 32 hex digits of the SHA-256 of the key's 32 bytes. */
  readonly id: string;
  /** SubjectPublicKeyInfo in PEM. */
  readonly pem: string;
  verify(text: string, signature: string): boolean;
}

const SEED_BYTES = 32;
/** RFC 8410 section 7: what stands before the 32 bytes of a private key in PKCS#8. */
const PKCS8_PREFIX = "302e020100300506032b657004220420";
/** A PEM file of an Ed25519 key has below 200. */
const FILE_BYTES_MAX = 4_096;
const ID_DIGITS = 32;
const SIGNATURE_BYTES = 64;

/**
 * Reads the key, which is made when absent (mode 0600), and writes the public one beside it. Fault `denied` when others
 * could read it, `invalid` when it is no Ed25519 key, `unavailable` when it cannot be read or made.
 */
export async function loadSiteSigner(keysDirectory: string, random: Random): Promise<SiteSigner> {
  const path = `${keysDirectory}/${SITE_KEY_FILE}`;
  try {
    const pem = await readPrivate(path) ?? await makePrivate(path, keysDirectory, random);
    const signer = signerOf(pem, path);
    await publish(`${keysDirectory}/${SITE_PUBLIC_FILE}`, signer.key.pem);
    return signer;
  } catch (thrown) {
    if (thrown instanceof Fault) throw thrown;
    const what = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Fault("stalled", "unavailable", `Cannot use key ${path}: ${what}`, {
      advice: "Create keys.directory with mode 0700 and give it to the service's user",
      target: path,
      cause: thrown,
    });
  }
}

/** A signer from 32 random bytes. */
export function signerFromSeed(seed: Uint8Array): SiteSigner {
  return signerOf(pemOf(seed), "the seed");
}

/** A public key from its PEM text. Fault `invalid` when it is none; `where` names its place. */
export function publicKeyOf(pem: string, where: string): SitePublicKey {
  // Of a private key the public one can be had, too; who hands that out has made a mistake.
  if (pem.includes("PRIVATE")) throw notAKey(where, "it is a private key, and the public one was expected");
  return wrap(parse(() => createPublicKey(pem), where));
}

function signerOf(pem: string, where: string): SiteSigner {
  const secret = parse(() => createPrivateKey(pem), where);
  return {
    key: wrap(createPublicKey(secret)),
    sign: (text) => sign(null, Buffer.from(text, "utf8"), secret).toString("base64"),
  };
}

function wrap(key: KeyObject): SitePublicKey {
  const raw = Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
  return {
    id: `ed25519:${createHash("sha256").update(raw).digest("hex").slice(0, ID_DIGITS)}`,
    pem: key.export({ type: "spki", format: "pem" }).toString(),
    verify(text, signature): boolean {
      const bytes = Buffer.from(signature, "base64");
      // One text for one signature: base64 is read leniently, and a second spelling would be an altered file.
      if (bytes.byteLength !== SIGNATURE_BYTES || bytes.toString("base64") !== signature) return false;
      return verify(null, Buffer.from(text, "utf8"), key, bytes);
    },
  };
}

function parse(read: () => KeyObject, where: string): KeyObject {
  let key: KeyObject;
  try {
    key = read();
  } catch {
    throw notAKey(where, "it is no key in PEM");
  }
  if (key.asymmetricKeyType !== "ed25519") {
    throw notAKey(where, `it is a key of type ${key.asymmetricKeyType}`);
  }
  return key;
}

function notAKey(where: string, why: string): Fault {
  return new Fault("stalled", "invalid", `Cannot use key ${where}: ${why}`, {
    advice: `An Ed25519 key in PEM was expected, such as ${SITE_PUBLIC_FILE} in the site's keys.directory`,
    target: where,
  });
}

function pemOf(seed: Uint8Array): string {
  const der = Buffer.concat([Buffer.from(PKCS8_PREFIX, "hex"), seed]);
  return `-----BEGIN PRIVATE KEY-----\n${der.toString("base64")}\n-----END PRIVATE KEY-----\n`;
}

async function readPrivate(path: string): Promise<string | null> {
  let found: Deno.FileInfo;
  try {
    found = await Deno.stat(path);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return null;
    throw thrown;
  }
  if (!found.isFile || found.size > FILE_BYTES_MAX) throw notAKey(path, "it is no key in PEM");
  if (found.mode !== null && (found.mode & 0o077) !== 0) {
    const shown = (found.mode & 0o777).toString(8).padStart(4, "0");
    throw new Fault("stalled", "denied", `Cannot use key ${path}: its mode ${shown} lets others read it`, {
      advice: `Run chmod 600 ${path}, and consider the key known to whoever could read it`,
      target: path,
    });
  }
  return await Deno.readTextFile(path);
}

async function makePrivate(path: string, directory: string, random: Random): Promise<string> {
  await place(path, pemOf(random.bytes(SEED_BYTES)), directory, 0o600, "keep");
  const made = await readPrivate(path);
  if (made === null) throw new Error("it vanished after it was made");
  return made;
}

async function publish(path: string, pem: string): Promise<void> {
  try {
    if (await Deno.readTextFile(path) === pem) return;
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
  await place(path, pem, path.slice(0, path.lastIndexOf("/")), 0o644, "replace");
}

/** Whole or not at all, and on disk. `keep`: where a rival was first, its file stays. */
async function place(
  path: string,
  text: string,
  directory: string,
  mode: number,
  existing: "keep" | "replace",
): Promise<void> {
  // Made with mode 0600.
  const partial = await Deno.makeTempFile({
    dir: directory,
    prefix: `${SITE_KEY_FILE}.`,
    suffix: ".partial",
  });
  try {
    const file = await Deno.open(partial, { write: true });
    try {
      await file.write(new TextEncoder().encode(text));
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.chmod(partial, mode);
    if (existing === "replace") return await Deno.rename(partial, path);
    await Deno.link(partial, path);
  } catch (thrown) {
    if (existing === "replace" || !(thrown instanceof Deno.errors.AlreadyExists)) throw thrown;
  } finally {
    await Deno.remove(partial).catch((thrown) => {
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    });
    using folder = await Deno.open(directory, { read: true });
    await folder.sync();
  }
}
