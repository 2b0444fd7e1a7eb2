/** The API token that WPS logs in with, from a file of its own. */
import { readFailure } from "../../config/disk.ts";
import type { Inspect } from "../../config/places.ts";
import { Fault } from "../../core/fault.ts";

/** What reading credentials needs of the machine. */
export interface CredentialSurroundings {
  /** A file as text; rejects when it cannot be read. */
  readText: (path: string) => Promise<string>;
  inspect: Inspect;
}

/** A token, taken apart. */
export interface ApiToken {
  /** user@realm!id: no secret. */
  id: string;
  secret: string;
}

/** Everybody else on the machine: whoever runs the service owns the file, and a group may be let in on purpose. */
const OTHERS = 0o007;
/** A token has some hundred characters; a larger file is the wrong one. */
const TOKEN_FILE_MAX = 4096;
/**
 * A user's name has no white space, colon or slash, realm and id begin with a letter (pve-access-control); the secret is
 * a UUID. All is visible ASCII, so nothing of it can end the header that carries it.
 */
const TOKEN =
  /^(?=[!-~]+$)(?:PVEAPIToken=)?([^\s:/!=]{1,64}@[A-Za-z][A-Za-z0-9._-]{1,63}![A-Za-z][A-Za-z0-9._-]{1,127})=([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$/;

/**
 * Reads the token. Throws a retry Fault while the file cannot be read, and a stalled one when others can read it, too, or
 * it holds no token. Neither says what is in it.
 */
export async function readToken(
  path: string,
  { readText, inspect }: CredentialSurroundings,
): Promise<ApiToken> {
  const place = await inspect(path);
  if (place !== null && place.mode !== null && (place.mode & OTHERS) !== 0) {
    const mode = (place.mode & 0o777).toString(8).padStart(4, "0");
    throw refusal(
      path,
      `everybody on this machine can read it (mode ${mode})`,
      `Run chmod 640 ${path}, give it to the service's user, and make a new token: consider this one known`,
    );
  }
  const found = TOKEN.exec((await readFile(path, readText)).trim());
  const [, id, secret] = found ?? [];
  if (id !== undefined && secret !== undefined) return { id, secret };
  throw refusal(
    path,
    "it holds no token",
    "Write one line into it: user@realm!id=secret, both as pveum user token add has shown them",
  );
}

/** The header that a token logs in with. */
export function authorizationOf({ id, secret }: ApiToken): string {
  return `PVEAPIToken=${id}=${secret}`;
}

async function readFile(path: string, readText: CredentialSurroundings["readText"]): Promise<string> {
  try {
    return (await readText(path)).slice(0, TOKEN_FILE_MAX);
  } catch (thrown) {
    throw new Fault("retry", "unavailable", `Cannot read the token file ${path}: ${readFailure(thrown)}`, {
      target: path,
      advice: "Restore the file, or its rights for the user that WPS runs as",
      cause: thrown,
    });
  }
}

function refusal(path: string, what: string, advice: string): Fault {
  return new Fault("stalled", "invalid", `Cannot use the token file ${path}: ${what}`, {
    target: path,
    advice,
  });
}
