/** What every request gets before its route: an id, a deadline, bounds, and headers that keep answers out of caches. */
import type { Context, MiddlewareHandler } from "hono";
import type { z } from "zod";
import type { Clock, Random } from "../core/clock.ts";
import type { Caller, Door } from "./caller.ts";
import type { ApiEnv } from "./env.ts";
import type { Log } from "../log.ts";
import { ProblemError } from "./problem.ts";

/** A permit id of 512 characters of 4 bytes, percent-encoded, and a query beside it. */
const URL_MAX = 8192;
/** What a plan may take: one observation of the platform with its own 10 s timeouts, once repeated. */
export const DEADLINE_MS = 25_000;
/** A request id that may be written to logs and audit as it is. */
const REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;
/** 96 random bits: no two requests of a site share them. */
const REQUEST_ID_BYTES = 12;

/** `{}` with some white space. */
const EMPTY_BODY_MAX = 64;

/** Which of the surroundings the request context needs. */
export interface RequestContext {
  clock: Clock;
  random: Random;
  log: Log;
  door: Door;
}

/** The caller's X-Request-Id where it is short and plain, else a new one of hexadecimal digits. */
export function requestIdOf(given: string | undefined, random: Random): string {
  if (given !== undefined && REQUEST_ID.test(given)) return given;
  return Array.from(random.bytes(REQUEST_ID_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Sets id, door and signal, bounds the URL, marks each answer, and logs it: at `info` what may change something. */
export function requestContext({ clock, random, log, door }: RequestContext): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const requestId = requestIdOf(c.req.header("X-Request-Id"), random);
    c.set("requestId", requestId);
    c.set("door", door);
    c.header("X-Request-Id", requestId);
    c.header("Cache-Control", "no-store");
    c.header("X-Content-Type-Options", "nosniff");
    if (c.req.url.length > URL_MAX) {
      throw new ProblemError("uri-too-long", `Cannot read the URI: it has more than ${URL_MAX} characters`);
    }
    const ended = new AbortController();
    const late = new AbortController();
    void clock.sleep(DEADLINE_MS, ended.signal).then(() => {
      if (!ended.signal.aborted) {
        late.abort(new DOMException("The request's deadline passed", "TimeoutError"));
      }
    });
    // Not the request's own signal: Deno aborts that one after every answer, and says so on stderr.
    c.set("signal", late.signal);
    const startedAtMs = clock.now();
    try {
      await next();
    } finally {
      ended.abort();
      const { method, path } = c.req;
      const caller = c.get("caller")?.actor.id ?? null;
      const tookMs = clock.now() - startedAtMs;
      const fields = { requestId, method, path, status: c.res.status, tookMs, caller };
      if (method === "GET" || method === "HEAD") log.debug("request", fields);
      else log.info("request", fields);
    }
  };
}

/** Who is let in; a route that asked nobody fails closed. */
export function callerOf(c: Context<ApiEnv>): Caller {
  const caller = c.get("caller");
  if (caller !== undefined) return caller;
  throw new ProblemError("internal", "Cannot answer: the route asked nobody who they are");
}

/** What only a running service has; the problem `service-down` where this process is none. */
export function requireService<Part>(part: Part | null): Part {
  if (part !== null) return part;
  throw new ProblemError("service-down", "Cannot do this: the service is not running", {
    reason: "unavailable",
    advice: "Start it with wps serve, or systemctl start wps",
  });
}

/** A body as far as it was read. */
export interface Body {
  /** At most one byte more than the bound that was given. */
  bytes: Uint8Array;
  /** The bound was exceeded, the rest is not read. */
  isCut: boolean;
}

/**
 * Reads a body up to one byte past `max`, whatever Content-Length says, and lets go of the rest. ProblemError
 * `timeout` when the request's signal aborts first.
 */
export async function readBody(request: Request, max: number, signal: AbortSignal): Promise<Body> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body?.getReader();
  const leave = (): void => void reader?.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", leave, { once: true });
  try {
    while (reader !== undefined && length <= max) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(value.subarray(0, max + 1 - length));
      length += value.byteLength;
    }
    if (length > max) await reader?.cancel().catch(() => {});
  } finally {
    signal.removeEventListener("abort", leave);
  }
  if (signal.aborted) throw new ProblemError("timeout", "Cannot read the body: it did not arrive in time");
  return { bytes: concat(chunks), isCut: length > max };
}

/** The body of a request that takes none: nothing, or an empty JSON object as some clients insist. */
export async function readNothing(c: Context<ApiEnv>): Promise<Uint8Array> {
  const { bytes, isCut } = await readBody(c.req.raw, EMPTY_BODY_MAX, c.get("signal"));
  if (!isCut && /^\s*(\{\s*\})?\s*$/.test(new TextDecoder().decode(bytes))) return new Uint8Array();
  throw new ProblemError("invalid-request", "Cannot read the request: this route takes no body");
}

/** A JSON body of `schema`, none taken for `{}`, with the bytes that it was read from. Problems for anything else. */
export async function readJson<Schema extends z.ZodType>(
  c: Context<ApiEnv>,
  schema: Schema,
  max: number,
): Promise<{ bytes: Uint8Array; body: z.infer<Schema> }> {
  const { bytes, isCut } = await readBody(c.req.raw, max, c.get("signal"));
  if (isCut) {
    throw new ProblemError("body-too-large", `Cannot read the request: it is longer than ${max} bytes`);
  }
  const text = new TextDecoder().decode(bytes).trim();
  const parsed = schema.safeParse(text === "" ? {} : parse(text));
  if (parsed.success) return { bytes, body: parsed.data };
  throw new ProblemError("invalid-request", "Cannot read the request: its body is not as it should be", {
    reason: "invalid",
    errors: parsed.error.issues.map(({ path, message }) => ({
      path: ["body", ...path.map(String)].join("."),
      message,
    })),
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ProblemError("invalid-request", "Cannot read the request: its body is no JSON");
  }
}

function concat(chunks: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
