/** What the service itself needs: where it keeps things, where it listens, who may call, how it logs. */
import { isIP } from "node:net";
import { z } from "zod";
import { contains, parseCidr } from "../../core/cidr.ts";
import {
  absolutePath,
  flag,
  type HostPort,
  parseHostPort,
  readableFile,
  secret,
  secretFile,
  section,
  word,
} from "../fields.ts";

/** Linux: sun_path holds 108 bytes with its final zero (unix(7)). */
const SOCKET_PATH_MAX = 107;
/** 24 random bytes in base64 have 32 characters: what a bearer key must at least be worth. */
const API_KEY_MIN = 32;

/** `state:`: the database and its backups. */
export interface StateSettings {
  directory: string;
}

/** `keys:`: the keys that seal passwords; never inside the state folder. */
export interface KeysSettings {
  directory: string;
}

/** `log:`. */
export interface LogSettings {
  level: "debug" | "info" | "warn" | "error";
  format: "json" | "text";
}

/** `listen:`. The unix socket always; TCP only where `http` is given. */
export interface ListenSettings {
  socket: string;
  http: HostPort | null;
  tls: { certFile: string; keyFile: string } | null;
  /** Plain HTTP on an address that others reach: only behind a proxy that speaks TLS. */
  insecure: boolean;
}

/** `api:`: the first bearer key; null: only the unix socket is served. */
export interface ApiSettings {
  key: string | null;
}

/** `phases:`: null: the built-in ones alone. */
export interface PhasesSettings {
  directory: string | null;
}

/** `state:`. */
export const stateSection: z.ZodType<StateSettings> = section({
  directory: absolutePath().default("/var/lib/wps"),
}).prefault({});

/** `keys:`. */
export const keysSection: z.ZodType<KeysSettings> = section({
  directory: absolutePath().default("/etc/wps/keys"),
}).prefault({});

/** `log:`. */
export const logSection: z.ZodType<LogSettings> = section({
  level: word("debug", "info", "warn", "error").default("info"),
  format: word("json", "text").default("json"),
}).prefault({});

/** `phases:`. */
export const phasesSection: z.ZodType<PhasesSettings> = section({
  directory: absolutePath().optional(),
}).prefault({}).transform(({ directory }) => ({ directory: directory ?? null }));

/** `api:`. `keyFile` is resolved by the loader. */
export const apiSection: z.ZodType<ApiSettings> = section({
  key: secret(/^[!-~]+$/, "a key of printable characters without spaces").min(API_KEY_MIN, {
    error: `expected a key of at least ${API_KEY_MIN} characters, e.g. from: openssl rand -base64 24`,
  }).optional(),
  keyFile: secretFile().optional(),
}).prefault({}).transform(({ key }) => ({ key: key ?? null }));

const http = z.string({ error: "expected an address and port such as 127.0.0.1:8080" }).transform(
  (given, context) => {
    const parsed = parseHostPort(given, true);
    if (parsed !== null) return parsed;
    context.addIssue({
      code: "custom",
      message: "expected an address and port such as 127.0.0.1:8080 or [::1]:8080",
    });
    return z.NEVER;
  },
);

/** `listen:`. */
export const listenSection: z.ZodType<ListenSettings> = section({
  socket: absolutePath().refine((path) => new TextEncoder().encode(path).length <= SOCKET_PATH_MAX, {
    error: `expected a path of at most ${SOCKET_PATH_MAX} bytes, the limit of a unix socket`,
  }).default("/run/wps/wps.sock"),
  http: http.optional(),
  tls: section({ certFile: readableFile(), keyFile: readableFile() }).optional(),
  insecure: flag().default(false),
}).prefault({}).transform((given, context): ListenSettings => {
  const listen = { ...given, http: given.http ?? null, tls: given.tls ?? null };
  const refuse = (key: string, message: string): void => {
    context.addIssue({ code: "custom", path: [key], message });
  };
  if (listen.http === null && listen.tls !== null) refuse("tls", "TLS is for TCP; give listen.http too");
  if (listen.http !== null && listen.tls === null && !listen.insecure && !isLoopback(listen.http.host)) {
    const advice =
      "give listen.tls, listen on 127.0.0.1, or set listen.insecure: true behind a proxy that speaks TLS";
    refuse(
      "http",
      `this address is reached by others, and keys would cross the network unencrypted; ${advice}`,
    );
  }
  return listen;
});

/** Whether only this machine reaches the address (RFC 5735, RFC 4291). */
function isLoopback(host: string): boolean {
  if (host === "localhost") return true;
  if (isIP(host) === 0) return false;
  const family = isIP(host) === 4
    ? { loopback: "127.0.0.0/8", bits: 32 }
    : { loopback: "::1/128", bits: 128 };
  const [outer, inner] = [parseCidr(family.loopback), parseCidr(`${host}/${family.bits}`)];
  return !("error" in outer) && !("error" in inner) && contains(outer, inner);
}
