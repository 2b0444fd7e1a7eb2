/** A call as Proxmox VE wants it on the wire. */
import { Fault } from "../../core/fault.ts";
import type { Asked } from "./answers.ts";
import { type Endpoint, SEEN_ENDPOINTS } from "./endpoints.ts";
import type { Value } from "./hidden.ts";

/**
 * pveproxy and pvedaemon each refuse a body of more than 512 KiB (501, recorded). The first gets JSON, but hands it on as a
 * form, which may be three times as long (pve-http-server, proxy_request): so both must be below.
 */
export const BODY_MAX_BYTES = 512 * 1024;
/** pveproxy refuses a request line or a header beyond 8 KiB (pve-http-server, limit_max_header_size). */
const PATH_MAX = 7_500;

/** A call, encoded. */
export interface Encoded {
  method: string;
  /** With the query. */
  path: string;
  /** Without the query, for a log. */
  bare: string;
  /** JSON; null where there is none: a DELETE or GET with a body is refused (501). */
  body: Uint8Array | null;
}

/**
 * Fills the path's braces, turns booleans into 1 and 0, encodes public keys, and puts the parameters into a JSON body
 * (POST, PUT) or the query. Throws a stalled Fault where a write lacks the digest of what it changes (invariant 9), or for
 * what Proxmox VE would refuse or read as another call.
 */
export function encodeCall(
  endpoint: Endpoint,
  at: Readonly<Record<string, string | number>>,
  params: Readonly<Record<string, Value>>,
  asked: Asked,
): Encoded {
  const [method = "", template = ""] = endpoint.split(" ");
  requireDigests(endpoint, params, asked);
  const bare = `/api2/json${template.replaceAll(/\{(\w+)\}/g, (_, name) => segment(name, at[name], asked))}`;
  const given = Object.entries(params).flatMap(([name, value]): [string, Sent][] =>
    value === undefined ? [] : [[name, sentAs(name, value)]]
  );
  const form = new URLSearchParams(
    given.flatMap(([name, value]) =>
      Array.isArray(value) ? value.map((one) => [name, one]) : [[name, String(value)]]
    ),
  ).toString();
  if (method === "POST" || method === "PUT") {
    const body = new TextEncoder().encode(JSON.stringify(Object.fromEntries(given)));
    const bytes = Math.max(body.byteLength, form.length);
    if (bytes <= BODY_MAX_BYTES) return { method, path: bare, bare, body };
    throw unsendable(asked, `the request has ${bytes} bytes; Proxmox VE takes ${BODY_MAX_BYTES}`);
  }
  const path = form === "" ? bare : `${bare}?${form}`;
  if (path.length <= PATH_MAX) return { method, path, bare, body: null };
  throw unsendable(asked, `its address has ${path.length} characters; Proxmox VE takes some ${PATH_MAX}`);
}

type Sent = string | number | readonly string[];

/**
 * Booleans: form values true, on and yes are refused (recorded), 1 and 0 are taken everywhere. `sshkeys` is percent-encoded
 * once more than any other value, with %20 for spaces: "+" is refused (recorded).
 */
function sentAs(name: string, value: NonNullable<Value>): Sent {
  if (typeof value === "boolean") return value ? 1 : 0;
  return name === "sshkeys" && typeof value === "string" ? encodeURIComponent(value) : value;
}

function requireDigests(endpoint: Endpoint, params: Readonly<Record<string, Value>>, asked: Asked): void {
  const seen: readonly string[] = SEEN_ENDPOINTS;
  if (!seen.includes(endpoint)) return;
  const needed = params["target-vmid"] === undefined ? ["digest"] : ["digest", "target-digest"];
  const missing = needed.find((name) => typeof params[name] !== "string" || params[name] === "");
  if (missing === undefined) return;
  throw new Fault("stalled", "invariant", `Cannot ${asked.what}: no ${missing} says what was seen before`, {
    target: asked.target,
    advice: "Report it as a fault of WPS",
  });
}

/**
 * A part of the path. pveproxy decodes the path before it takes it apart, so an encoded slash would make another call of
 * it: only a volume, which comes last, may have one.
 */
function segment(name: string, value: string | number | undefined, asked: Asked): string {
  const text = String(value ?? "");
  const isWhole = name === "volume" || !text.includes("/");
  // deno-lint-ignore no-control-regex -- control characters are what is refused
  if (text !== "" && isWhole && !/(^|\/)\.{1,2}(\/|$)|[\u0000-\u001f\u007f]/.test(text)) {
    return encodeURIComponent(text);
  }
  throw unsendable(asked, `${JSON.stringify(text)} cannot be ${name} in an address`);
}

function unsendable(asked: Asked, why: string): Fault {
  return new Fault("stalled", "invalid", `Cannot ${asked.what}: ${why}`, {
    target: asked.target,
    advice: "Correct the setting that it comes from, then run wps jobs retry",
  });
}
