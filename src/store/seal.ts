/**
 * Sealing of secrets at rest: AES-256-GCM (NIST SP 800-38D) by WebCrypto. The key is a file outside the database;
 * the associated data says whose secret it is, so that a sealed value moved to another row does not open.
 */
import type { Random } from "../core/clock.ts";
import { Fault } from "../core/fault.ts";
import type { Db } from "./db.ts";
import { getMeta, setMeta } from "./meta.ts";

/** An opaque key; its bytes cannot be read back. */
export interface SealKey {
  readonly key: CryptoKey;
}

/** The key file's name in the keys directory. */
export const SEAL_KEY_FILE = "seal.key";

const KEY_BYTES = 32;
/** 96 bits, drawn anew for each value: SP 800-38D allows 2^32 random ones per key. */
const NONCE_BYTES = 12;
/** First byte of a sealed value, so that another scheme can follow. */
const VERSION = 1;

/**
 * Reads the key, which is made when absent (mode 0600). Fault `denied` when others could read it, `invalid` when it
 * is no key, `unavailable` when it cannot be read or made.
 */
export async function loadSealKey(keysDirectory: string, random: Random): Promise<SealKey> {
  const path = `${keysDirectory}/${SEAL_KEY_FILE}`;
  const bytes = await attempt(
    path,
    async () => await readKey(path) ?? await makeKey(path, keysDirectory, random),
  );
  const key = await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
  bytes.fill(0);
  return { key };
}

/** Seals and opens with one key; `binding` says whose secret it is, and must be the same for both. */
export interface Sealer {
  seal(plaintext: string, binding: string): Promise<Uint8Array>;
  open(sealed: Uint8Array, binding: string): Promise<string>;
}

/** A sealer over a key. */
export function createSealer(key: SealKey, random: Random): Sealer {
  return {
    seal: (plaintext, binding) => seal(key, plaintext, binding, random),
    open: (sealed, binding) => open(key, sealed, binding),
  };
}

/**
 * Fault `denied` when this database's secrets were sealed with another key: found at the start, not when a workspace
 * waits for its password. The first key that comes is remembered by a sealed constant.
 */
export async function checkSealKey(db: Db, sealer: Sealer): Promise<void> {
  const known = await getMeta(db, CHECK_NAME);
  if (known === null) {
    const sealed = await sealer.seal(CHECK_TEXT, CHECK_NAME);
    await db.write((tx) => setMeta(tx, CHECK_NAME, encodeBase64(sealed)));
  } else {
    await sealer.open(decodeBase64(known), CHECK_NAME);
  }
}

const CHECK_NAME = "seal.check";
const CHECK_TEXT = "the key of this database";

function encodeBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function decodeBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** Seals text; `binding` must be given again to open it. */
export async function seal(
  key: SealKey,
  plaintext: string,
  binding: string,
  random: Random,
): Promise<Uint8Array> {
  const nonce = new Uint8Array(random.bytes(NONCE_BYTES));
  const text = new TextEncoder().encode(plaintext);
  const additionalData = new TextEncoder().encode(binding);
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce, additionalData }, key.key, text);
  const value = new Uint8Array(1 + NONCE_BYTES + sealed.byteLength);
  value[0] = VERSION;
  value.set(nonce, 1);
  value.set(new Uint8Array(sealed), 1 + NONCE_BYTES);
  return value;
}

/** Opens a sealed value. Fault `denied` when the key or binding is another, or the value was altered. */
export async function open(key: SealKey, sealed: Uint8Array, binding: string): Promise<string> {
  try {
    if (sealed[0] !== VERSION) throw new Error(`version ${sealed[0]}`);
    const iv = sealed.slice(1, 1 + NONCE_BYTES);
    const additionalData = new TextEncoder().encode(binding);
    const body = sealed.slice(1 + NONCE_BYTES);
    const text = await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, key.key, body);
    return new TextDecoder().decode(text);
  } catch (cause) {
    throw new Fault("stalled", "denied", `Cannot open the sealed secret ${binding}: other key, or altered`, {
      advice:
        `Restore the ${SEAL_KEY_FILE} that belongs to this database, or restart the workspace for a new secret`,
      cause,
    });
  }
}

async function readKey(path: string): Promise<Uint8Array<ArrayBuffer> | null> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { read: true });
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return null;
    throw thrown;
  }
  using opened = file;
  const { mode, size, isFile } = await opened.stat();
  if (!isFile || size !== KEY_BYTES) {
    throw new Fault(
      "stalled",
      "invalid",
      `Cannot use key ${path}: it has ${size} bytes, ${KEY_BYTES} were expected`,
      {
        advice: "Restore it from its backup; removing it makes a new one, and secrets sealed before are lost",
        target: path,
      },
    );
  }
  if (mode !== null && (mode & 0o077) !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(4, "0");
    throw new Fault("stalled", "denied", `Cannot use key ${path}: its mode ${shown} lets others read it`, {
      advice: `Run chmod 600 ${path}, and consider the key known to whoever could read it`,
      target: path,
    });
  }
  const bytes = new Uint8Array(KEY_BYTES);
  for (let at = 0; at < KEY_BYTES;) {
    const count = await opened.read(bytes.subarray(at));
    if (count === null) throw new Error("the file became shorter while it was read");
    at += count;
  }
  return bytes;
}

async function makeKey(path: string, directory: string, random: Random): Promise<Uint8Array<ArrayBuffer>> {
  // Made with mode 0600.
  const partial = await Deno.makeTempFile({
    dir: directory,
    prefix: `${SEAL_KEY_FILE}.`,
    suffix: ".partial",
  });
  const file = await Deno.open(partial, { write: true });
  try {
    await file.write(random.bytes(KEY_BYTES));
    await file.sync();
  } finally {
    file.close();
  }
  try {
    // A link fails where a rival was first, and never shows a key half written.
    await Deno.link(partial, path);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.AlreadyExists)) throw thrown;
  } finally {
    await Deno.remove(partial);
  }
  using folder = await Deno.open(directory, { read: true });
  await folder.sync();
  const made = await readKey(path);
  if (made === null) throw new Error("it vanished after it was made");
  return made;
}

async function attempt<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
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
