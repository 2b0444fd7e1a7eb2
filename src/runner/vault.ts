/** Connection passwords and host keys: made here, kept sealed, handed to the driver (DESIGN 7). */
import type { Clock, Random } from "../core/clock.ts";
import type { Db } from "../store/db.ts";
import { readSealedHostKey, readSealedPassword, saveHostKeyOnce, savePassword } from "../store/secrets.ts";
import { makeHostKey } from "./host_key.ts";

/** Seals and opens; `context` binds a secret to what it is for, so that rows cannot be swapped. */
export interface Sealer {
  seal(plain: string, context: string): Promise<Uint8Array>;
  open(sealed: Uint8Array, context: string): Promise<string>;
}

/** The secrets of workspaces. */
export interface Vault {
  /** The password of a workspace; `rotate` makes a new one, kept before it is returned. */
  password(permitId: string, workspaceKey: string, rotate: boolean): Promise<string>;
  /** A holder's SSH host key as PEM; made once per permit and holder. */
  hostKey(permitId: string, holder: string): Promise<string>;
}

/** 20 of 57 characters: 116 bits. No look-alikes, because people do type them. */
const PASSWORD_LENGTH = 20;
const ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
/** Seed and check number, see host_key.ts. */
const HOST_KEY_BYTES = 36;

/** What a sealed password is bound to. */
export function passwordContext(permitId: string, workspaceKey: string): string {
  return JSON.stringify(["password", permitId, workspaceKey]);
}

/** What a sealed host key is bound to. */
export function hostKeyContext(permitId: string, holder: string): string {
  return JSON.stringify(["host-key", permitId, holder]);
}

/** A password from random bytes; biased bytes are thrown away, so every character is equally likely. */
export function makePassword(random: Random): string {
  const limit = 256 - 256 % ALPHABET.length;
  let password = "";
  while (password.length < PASSWORD_LENGTH) {
    for (const byte of random.bytes(PASSWORD_LENGTH)) {
      if (byte < limit && password.length < PASSWORD_LENGTH) password += ALPHABET[byte % ALPHABET.length];
    }
  }
  return password;
}

/** The vault over the store. A secret that cannot be opened leaves as a stalled Fault that names no secret. */
export function createVault(db: Db, sealer: Sealer, random: Random, clock: Clock): Vault {
  return {
    async password(permitId: string, workspaceKey: string, rotate: boolean): Promise<string> {
      const context = passwordContext(permitId, workspaceKey);
      const kept = rotate ? null : await readSealedPassword(db, permitId, workspaceKey);
      if (kept !== null) return await sealer.open(kept, context);
      const password = makePassword(random);
      const sealed = await sealer.seal(password, context);
      await db.write((tx) => savePassword(tx, permitId, workspaceKey, sealed, clock.now()));
      return password;
    },
    async hostKey(permitId: string, holder: string): Promise<string> {
      const context = hostKeyContext(permitId, holder);
      const kept = await readSealedHostKey(db, permitId, holder);
      if (kept !== null) return await sealer.open(kept, context);
      const { privatePem } = await makeHostKey(random.bytes(HOST_KEY_BYTES));
      const sealed = await sealer.seal(privatePem, context);
      const winner = await db.write((tx) => saveHostKeyOnce(tx, permitId, holder, sealed, clock.now()));
      return await sealer.open(winner, context);
    },
  };
}
