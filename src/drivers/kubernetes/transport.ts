/** Requests to one API server over native fetch: pooled HTTP/2, bounded in time and size, credentials renewed. */
import type { Fault } from "../../core/fault.ts";
import { type AccessSurroundings, BearerToken, readAccess } from "./access.ts";
import { chunksOf } from "./chunks.ts";
import {
  type Answer,
  type Asked,
  faultOfAbort,
  faultOfAnswer,
  faultOfConnection,
  faultOfTimeout,
  readAnswer,
} from "./faults.ts";
import type { ClusterAccess } from "./kubeconfig.ts";
import type { KubernetesSettings } from "./settings.ts";

/** etcd refuses larger requests (its --max-request-bytes default, 1.5 MiB). */
const REQUEST_MAX_BYTES = 1_500_000;
/** A page of 500 objects has some 5 MB; more than this is not an answer to what WPS asks. */
const RESPONSE_MAX_BYTES = 64 * 1024 * 1024;

/** One request. `path` begins with "/"; `query` values are encoded here. */
export interface ApiRequest {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  query?: Record<string, string>;
  accept?: string;
  contentType?: string;
  body?: unknown;
  asked: Asked;
}

/** What {@link Transport} is made from. */
export interface TransportOptions {
  settings: Pick<
    KubernetesSettings,
    "kubeconfig" | "inCluster" | "context" | "requestTimeoutMs" | "connections"
  >;
  surroundings: AccessSurroundings;
}

interface Pool {
  access: ClusterAccess;
  token: BearerToken;
  clients: Deno.HttpClient[];
  /** Watches never queue behind a burst of requests, nor requests behind watches. */
  watchClient: Deno.HttpClient;
}

/** The way to one API server. */
export class Transport {
  #pool: Promise<Pool> | null = null;
  #turn = 0;

  constructor(private readonly options: TransportOptions) {}

  /** Sends and reads the whole answer, parsed as JSON. Every failure leaves as a Fault. */
  async send(request: ApiRequest, signal: AbortSignal): Promise<unknown> {
    const { requestTimeoutMs } = this.options.settings;
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), requestTimeoutMs);
    try {
      const both = AbortSignal.any([signal, timeout.signal]);
      const { response, text } = await this.#exchange(request, both);
      if (response.ok) return parseBody(request.asked, text);
      throw faultOfAnswer(request.asked, this.#answer(response, text));
    } catch (thrown) {
      if (signal.aborted) throw faultOfAbort(request.asked);
      if (timeout.signal.aborted) throw faultOfTimeout(request.asked, requestTimeoutMs);
      throw thrown;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Opens a stream (a watch). The caller reads or cancels the body, and aborts the signal when done. */
  async open(request: ApiRequest, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    try {
      const response = await this.#fetch(request, signal, true);
      if (response.ok && response.body !== null) return response.body;
      const text = await readBounded(response, signal);
      throw faultOfAnswer(request.asked, this.#answer(response, text));
    } catch (thrown) {
      if (signal.aborted) throw faultOfAbort(request.asked);
      throw isFault(thrown) ? thrown : faultOfConnection(request.asked, thrown);
    }
  }

  /** Closes every connection; requests in flight fail. */
  async close(): Promise<void> {
    const pool = await this.#pool?.catch(() => null);
    this.#pool = null;
    if (pool) closePool(pool);
  }

  #answer(response: Response, text: string): Answer {
    return readAnswer(response.status, text, response.headers.get("retry-after"));
  }

  /**
   * One exchange. A connection that broke while nobody used it is found out by the next request, once per client of the
   * pool; every request of ours may be repeated (a creation then meets itself as a conflict), so it is, at once.
   */
  async #exchange(request: ApiRequest, signal: AbortSignal): Promise<{ response: Response; text: string }> {
    for (let left = this.options.settings.connections;; left--) {
      try {
        const response = await this.#fetch(request, signal, false);
        return { response, text: await readBounded(response, signal) };
      } catch (thrown) {
        if (isFault(thrown)) throw thrown;
        if (left === 0 || signal.aborted) throw faultOfConnection(request.asked, thrown);
      }
    }
  }

  /** One fetch; after a 401 the credentials are read again and it is sent once more. */
  async #fetch(request: ApiRequest, signal: AbortSignal, stream: boolean): Promise<Response> {
    const pool = await this.#connected();
    const response = await this.#once(pool, request, signal, stream);
    if (response.status !== 401) return response;
    await response.body?.cancel();
    const renewed = await this.#renew(pool);
    return await this.#once(renewed, request, signal, stream);
  }

  async #once(pool: Pool, request: ApiRequest, signal: AbortSignal, stream: boolean): Promise<Response> {
    const url = new URL(pool.access.server + request.path);
    for (const [key, value] of Object.entries(request.query ?? {})) url.searchParams.set(key, value);
    const headers = new Headers({ accept: request.accept ?? "application/json", "user-agent": "wps" });
    const token = await pool.token.read();
    if (token !== null) headers.set("authorization", `Bearer ${token}`);
    const client = stream ? pool.watchClient : pool.clients[this.#turn++ % pool.clients.length];
    const init: RequestInit & { client?: Deno.HttpClient } = {
      method: request.method,
      headers,
      signal,
      client,
    };
    if (request.body !== undefined) {
      headers.set("content-type", request.contentType ?? "application/json");
      init.body = encodeBody(request);
    }
    return await fetch(url, init);
  }

  #connected(): Promise<Pool> {
    this.#pool ??= this.#connect().catch((thrown) => {
      this.#pool = null;
      throw thrown;
    });
    return this.#pool;
  }

  async #connect(): Promise<Pool> {
    const { settings, surroundings } = this.options;
    const access = await readAccess(settings, surroundings);
    const makeClient = (): Deno.HttpClient => {
      const caCerts = access.caPem === null ? [] : [access.caPem];
      return access.certPem !== null && access.keyPem !== null
        ? Deno.createHttpClient({ caCerts, cert: access.certPem, key: access.keyPem })
        : Deno.createHttpClient({ caCerts });
    };
    return {
      access,
      token: new BearerToken(access, surroundings),
      clients: Array.from({ length: settings.connections }, makeClient),
      watchClient: makeClient(),
    };
  }

  /** After a refusal: the token's file again, and the kubeconfig itself, whose certificates may be new. */
  async #renew(pool: Pool): Promise<Pool> {
    pool.token.forget();
    const { settings, surroundings } = this.options;
    const access = await readAccess(settings, surroundings);
    if (JSON.stringify(access) === JSON.stringify(pool.access)) return pool;
    const fresh = await this.#connect();
    // Requests under way keep the old clients; they are dropped with the last of them.
    this.#pool = Promise.resolve(fresh);
    return fresh;
  }
}

function closePool(pool: Pool): void {
  for (const client of [...pool.clients, pool.watchClient]) client.close();
}

function isFault(thrown: unknown): thrown is Fault {
  return thrown instanceof Error && thrown.name === "Fault";
}

function encodeBody({ body, asked }: ApiRequest): string {
  const text = JSON.stringify(body);
  if (text.length <= REQUEST_MAX_BYTES) return text;
  throw faultOfAnswer(asked, {
    status: 413,
    reason: "RequestEntityTooLarge",
    message: `the object has ${text.length} bytes; the API server takes ${REQUEST_MAX_BYTES}`,
    causes: [],
    retryAfterMs: null,
  });
}

function parseBody(asked: Asked, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw faultOfConnection(asked, new Error("the answer is not JSON", { cause: thrown }));
  }
}

async function readBounded(response: Response, signal: AbortSignal): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "", bytes = 0;
  for await (const chunk of chunksOf(response.body, signal)) {
    bytes += chunk.byteLength;
    if (bytes > RESPONSE_MAX_BYTES) throw new Error(`the answer has more than ${RESPONSE_MAX_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
