/** Requests to one API server over native fetch: pooled HTTP/2, bounded in time, size and number, credentials renewed. */
import type { Fault } from "../../core/fault.ts";
import type { Lane } from "../../core/slots.ts";
import { type AccessSurroundings, readAccess } from "./access.ts";
import { chunksOf } from "./chunks.ts";
import {
  type Asked,
  faultOfAbort,
  faultOfAnswer,
  faultOfConnection,
  faultOfTimeout,
  isDistrust,
} from "./faults.ts";
import { type Answer, readAnswer } from "./status.ts";
import { Pool } from "./pool.ts";
import type { KubernetesSettings } from "./settings.ts";
import { insist, Turns } from "./turns.ts";

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
    "kubeconfig" | "inCluster" | "context" | "requestTimeoutMs" | "connections" | "parallelRequests"
  >;
  surroundings: AccessSurroundings;
}

/** The way to one API server. Where requests queue, those of more urgent jobs (lower `priority`) go ahead. */
export class Transport {
  readonly #turns: Turns;
  #pool: Promise<Pool> | null = null;
  /** Pools whose credentials were replaced, as long as somebody uses them. */
  readonly #retired = new Set<Pool>();
  /** Whoever is refused meanwhile waits for the same renewal. */
  #renewal: { of: Pool; to: Promise<Pool> } | null = null;

  constructor(private readonly options: TransportOptions) {
    this.#turns = new Turns(options.settings.parallelRequests);
  }

  /**
   * Sends and reads the whole answer, parsed as JSON. Every failure leaves as a Fault. The time for an answer counts
   * from here, also while the request queues behind others. What only takes access away is sent again at once where the
   * server did not do its part, a few times.
   */
  async send(request: ApiRequest, priority: number, signal: AbortSignal): Promise<unknown> {
    const { settings: { requestTimeoutMs }, surroundings: { clock } } = this.options;
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), requestTimeoutMs);
    const both = AbortSignal.any([signal, timeout.signal]);
    const once = (): Promise<unknown> =>
      this.#inTurn(request, priority, both).catch((thrown) => {
        throw timeout.signal.aborted ? faultOfTimeout(request.asked, requestTimeoutMs) : thrown;
      });
    try {
      return await insist({ clock, priority, signal: both }, once);
    } catch (thrown) {
      throw signal.aborted ? faultOfAbort(request.asked) : thrown;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Opens a stream (a watch). The caller reads or cancels the body, and aborts the signal when done. */
  async open(request: ApiRequest, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const uses: (() => void)[] = [];
    const release = (): void => uses.forEach((end) => end());
    signal.addEventListener("abort", release, { once: true });
    try {
      const response = await this.#fetch(request, signal, uses, "watch");
      if (signal.aborted) release();
      if (response.ok && response.body !== null) return response.body;
      const text = await readBounded(response, signal);
      throw faultOfAnswer(request.asked, this.#answer(response, text));
    } catch (thrown) {
      release();
      if (signal.aborted) throw faultOfAbort(request.asked);
      throw isFault(thrown) ? thrown : faultOfConnection(request.asked, thrown);
    }
  }

  /** Closes every connection; requests in flight fail. */
  async close(): Promise<void> {
    await this.#renewal?.to.catch(() => null);
    const pool = await this.#pool?.catch(() => null);
    this.#pool = null;
    pool?.close();
    for (const retired of this.#retired) retired.close();
    this.#retired.clear();
  }

  #answer(response: Response, text: string): Answer {
    return readAnswer(response.status, text, response.headers.get("retry-after"));
  }

  async #inTurn(request: ApiRequest, priority: number, signal: AbortSignal): Promise<unknown> {
    const slot = await this.#turns.take(priority, signal);
    try {
      const { response, text } = await this.#exchange(request, slot.lane, signal);
      if (response.ok) return parseBody(request.asked, text);
      throw faultOfAnswer(request.asked, this.#answer(response, text));
    } finally {
      slot.release();
    }
  }

  /**
   * One exchange. A connection that broke while nobody used it is found out by the next request, once per client of the
   * pool; every request of ours may be repeated (a creation then meets itself as a conflict), so it is, at once.
   */
  async #exchange(
    request: ApiRequest,
    lane: Lane,
    signal: AbortSignal,
  ): Promise<{ response: Response; text: string }> {
    for (let left = this.options.settings.connections;; left--) {
      const uses: (() => void)[] = [];
      try {
        const response = await this.#fetch(request, signal, uses, lane);
        return { response, text: await readBounded(response, signal) };
      } catch (thrown) {
        if (isFault(thrown)) throw thrown;
        if (left === 0 || signal.aborted) throw faultOfConnection(request.asked, thrown);
      } finally {
        for (const release of uses) release();
      }
    }
  }

  /**
   * One fetch. After a 401, or where the server's certificate is not trusted, the kubeconfig is read again and it is sent
   * once more: both mean that the request was not carried out. `uses` is to be called at its end.
   */
  async #fetch(
    request: ApiRequest,
    signal: AbortSignal,
    uses: (() => void)[],
    use: Lane | "watch",
  ): Promise<Response> {
    const pool = await this.#connected();
    uses.push(pool.use());
    const [response, distrust] = await this.#tried(pool, request, signal, use);
    if (distrust === null && response.status !== 401) return response;
    await response?.body?.cancel();
    const renewed = await this.#renew(pool);
    if (distrust !== null && renewed === pool) throw faultOfConnection(request.asked, distrust);
    uses.push(renewed.use());
    const [again, distrustAgain] = await this.#tried(renewed, request, signal, use);
    if (distrustAgain !== null) throw faultOfConnection(request.asked, distrustAgain);
    return again;
  }

  /** The response; or why the server is not trusted, which was found before anything was sent. */
  async #tried(
    pool: Pool,
    request: ApiRequest,
    signal: AbortSignal,
    use: Lane | "watch",
  ): Promise<[Response, null] | [null, Error]> {
    try {
      return [await this.#once(pool, request, signal, use), null];
    } catch (thrown) {
      if (!isDistrust(thrown)) throw thrown;
      return [null, thrown];
    }
  }

  async #once(
    pool: Pool,
    request: ApiRequest,
    signal: AbortSignal,
    use: Lane | "watch",
  ): Promise<Response> {
    const url = new URL(pool.access.server + request.path);
    for (const [key, value] of Object.entries(request.query ?? {})) url.searchParams.set(key, value);
    const headers = new Headers({ accept: request.accept ?? "application/json", "user-agent": "wps" });
    const token = await pool.token.read();
    if (token !== null) headers.set("authorization", `Bearer ${token}`);
    const init: RequestInit & { client?: Deno.HttpClient } = {
      method: request.method,
      headers,
      signal,
      client: pool.client(use),
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
    return new Pool(await readAccess(settings, surroundings), settings.connections, surroundings);
  }

  /** After a refusal: the token's file again, and the kubeconfig itself, whose certificates may be new. */
  async #renew(refused: Pool): Promise<Pool> {
    const current = await this.#connected();
    if (current !== refused) return current;
    if (this.#renewal?.of === refused) return await this.#renewal.to;
    const to = this.#renewed(refused).finally(() => this.#renewal = null);
    this.#renewal = { of: refused, to };
    return await to;
  }

  async #renewed(pool: Pool): Promise<Pool> {
    pool.token.forget();
    const { settings, surroundings } = this.options;
    const access = await readAccess(settings, surroundings);
    if (JSON.stringify(access) === JSON.stringify(pool.access)) return pool;
    const fresh = new Pool(access, settings.connections, surroundings);
    this.#pool = Promise.resolve(fresh);
    for (const retired of this.#retired) if (retired.isClosed) this.#retired.delete(retired);
    this.#retired.add(pool);
    pool.retire();
    return fresh;
  }
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
