/** Requests to one Proxmox VE server: one connection each, bounded in time, size and number, and none ever sent twice. */
import type { Clock } from "../../core/clock.ts";
import { Fault } from "../../core/fault.ts";
import { createSlots, type Slots, takeSlot } from "../../core/slots.ts";
import type { Log } from "../../log.ts";
import { type Asked, readAnswer } from "./answers.ts";
import { openConnection } from "./connection.ts";
import { exchange, type WireAnswer } from "./exchange.ts";
import { faultOfAbort, faultOfAnswer, faultOfConnection, faultOfTimeout, type Sent } from "./faults.ts";
import { hiding, shownParams, type Value } from "./hidden.ts";
import { readPin } from "./pin.ts";
import type { ProxmoxConnection } from "./settings.ts";
import { authorizationOf, type CredentialSurroundings, readToken } from "./token.ts";

/** Requests under way at once, beside the others, for what only takes access away: pvedaemon does three calls at a time. */
const URGENT_REQUESTS = 4;

/** One request, encoded. */
export interface ApiRequest {
  method: string;
  /** With the query. */
  path: string;
  /** Without the query, for the log. */
  bare: string;
  contentType: string;
  body: Uint8Array | null;
  /** What it carries, for the log; what is secret of it is shown nowhere. */
  params: Readonly<Record<string, Value>>;
  /** What else of it is secret. */
  secrets?: () => readonly string[];
  asked: Asked;
  /** Another time limit than the configured one, in milliseconds. */
  timeoutMs?: number;
}

/** What a transport needs of the process around it. */
export interface TransportSurroundings extends CredentialSurroundings {
  clock: Clock;
  log: Log;
}

/** The way to one server. Where requests queue, those of more urgent jobs (lower `priority`) go ahead. */
export class Transport {
  readonly #slots: Slots;

  constructor(
    private readonly settings: ProxmoxConnection,
    private readonly surroundings: TransportSurroundings,
  ) {
    this.#slots = createSlots(settings.parallelRequests, URGENT_REQUESTS);
  }

  /**
   * Sends once, and reads the whole answer, parsed as JSON. The time counts from here, also while the request queues
   * behind others. Every failure leaves as a Fault; where a write's answer was lost, it says that the write may have been
   * carried out, and nobody sends it again from here.
   */
  async send(request: ApiRequest, priority: number, signal: AbortSignal): Promise<unknown> {
    const { clock, log } = this.surroundings;
    const timeoutMs = request.timeoutMs ?? this.settings.requestTimeoutMs;
    const stop = new AbortController(), end = (): void => stop.abort();
    const timer = setTimeout(end, timeoutMs);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    const sent: Sent = { isWrite: request.method !== "GET", isSent: false };
    const line = { request: `${request.method} ${request.bare}`, params: shownParams(request.params) };
    const beganMs = clock.now();
    const told = (fields: Record<string, unknown>): void =>
      log.debug("proxmox request", { ...line, ...fields, ms: clock.now() - beganMs });
    try {
      const { status, body } = await this.#inTurn(request, priority, stop.signal, sent);
      told({ status });
      return body;
    } catch (thrown) {
      const { asked } = request;
      const fault = signal.aborted
        ? faultOfAbort(asked, sent)
        : stop.signal.aborted
        ? faultOfTimeout(asked, timeoutMs, sent)
        : thrown instanceof Fault
        ? thrown
        : faultOfConnection(asked, thrown, sent);
      told({ error: fault });
      throw fault;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
    }
  }

  async #inTurn(
    request: ApiRequest,
    priority: number,
    signal: AbortSignal,
    sent: Sent,
  ): Promise<{ status: number; body: unknown }> {
    const slot = await takeSlot(this.#slots, priority, signal);
    try {
      // Read anew each time, so that a renewed token or certificate needs no restart, and no second request.
      const token = await readToken(this.settings.tokenFile, this.surroundings);
      const answer = await this.#exchange(request, authorizationOf(token), signal, sent);
      const { status } = answer;
      if (status >= 200 && status <= 299) return { status, body: parseBody(answer.text) };
      const hide = hiding(request.params, [token.secret, ...request.secrets?.() ?? []]);
      throw faultOfAnswer(request.asked, readAnswer(answer, hide), sent);
    } finally {
      slot.release();
    }
  }

  async #exchange(
    { method, path, contentType, body }: ApiRequest,
    authorization: string,
    signal: AbortSignal,
    sent: Sent,
  ): Promise<WireAnswer> {
    const { url } = this.settings;
    const pin = await readPin(this.settings, this.surroundings);
    const socket = await openConnection(url, pin, signal);
    sent.isSent = true; // from here on, whatever becomes of it
    const headers = {
      accept: "application/json",
      "user-agent": "wps",
      authorization,
      ...(body === null ? {} : { "content-type": contentType }),
    };
    return await exchange(socket, { method, path, host: new URL(url).host, headers, body }, signal);
  }
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new Error("the answer is not JSON", { cause: thrown });
  }
}
