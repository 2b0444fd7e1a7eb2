/** The REST API as the commands use it: over the service's socket, or in this process when the service is down. */
import type { Problem } from "../api/schemas/problem.ts";
import { Fault } from "../core/fault.ts";
import { CliError, EXIT, type ExitCode } from "./exit.ts";
import { callService, isServiceDown, type ServiceRequest } from "./service.ts";

/** Everything lies there (DESIGN 10). */
const BASE = "/api/v1";
/** A little more than the service itself takes for its slowest answer, a plan (25 s). */
const ANSWER_MS = 30_000;
/** Whom the audit names; the API's `OPERATOR_HEADER`. */
const OPERATOR_HEADER = "X-WPS-Operator";

/** The API without a service: `fetch` as the service would answer it from the database's file. */
export interface OfflineApi {
  fetch(request: Request): Promise<Response>;
  close(): Promise<void>;
  /** What the person should know of these answers; null: nothing. */
  readonly note: string | null;
}

/** What a client is made of. */
export interface ClientOptions {
  /** Called once, before the first request. */
  socket(): Promise<string>;
  /** Opens the database's file; CliError, which also says `down`, when that is impossible. Called once at most. */
  offline(down: string): Promise<OfflineApi>;
  /** Tells the person that the answer comes from the file. */
  warn(line: string): void;
  /** The operating-system user; undefined: not known. */
  operator: string | undefined;
  /** 128 random bits as text. */
  newKey(): string;
}

/** Asks the service. Paths begin below /api/v1. Errors leave as CliError or Fault. */
export class ServiceClient {
  readonly #options: ClientOptions;
  #socket: string | null = null;
  #offline: OfflineApi | null = null;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /**
   * Reads. The View is taken as the API's schemas describe it: program and service are of one release, and checking
   * it again would load the schemas' library, which takes longer than the whole command.
   */
  async get<View>(path: string): Promise<View> {
    return await (await this.#read(path)).json() as View; // see above
  }

  /** As {@link get}, for what only the running service knows. */
  async getLive<View>(path: string): Promise<View> {
    return await (await this.#send({ path }, ANSWER_MS)).json() as View; // as get
  }

  /** Writes; needs the running service. A connection that broke is tried once more under the same Idempotency-Key. */
  async post<View>(path: string, body?: Uint8Array<ArrayBuffer>, contentType?: string): Promise<View> {
    const headers: Record<string, string> = { "Idempotency-Key": this.#options.newKey() };
    if (contentType !== undefined) headers["Content-Type"] = contentType;
    const request: ServiceRequest = { method: "POST", path, headers, body };
    try {
      return await (await this.#send(request, ANSWER_MS)).json() as View; // as get
    } catch (thrown) {
      const isBroken = thrown instanceof Fault && thrown.reason === "unavailable" && !isServiceDown(thrown);
      if (!isBroken) throw thrown;
      return await (await this.#send(request, ANSWER_MS)).json() as View; // as get
    }
  }

  /**
   * A stream of server-sent events; needs the running service. Its body must be read or cancelled. `lastId`: of the last
   * event of a stream that broke; null: from the beginning.
   */
  async stream(
    path: string,
    signal: AbortSignal,
    lastId: string | null = null,
  ): Promise<ReadableStream<Uint8Array>> {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (lastId !== null) headers["Last-Event-ID"] = lastId;
    const response = await this.#send({ path, headers, signal }, null);
    if (response.body === null) throw new CliError(EXIT.failed, `Cannot follow ${path}: no stream came`);
    return response.body;
  }

  /** Closes the database, where it was opened. */
  async close(): Promise<void> {
    await this.#offline?.close();
    this.#offline = null;
  }

  async #read(path: string): Promise<Response> {
    if (this.#offline === null) {
      try {
        return await this.#send({ path }, ANSWER_MS);
      } catch (thrown) {
        if (!(thrown instanceof Fault) || !isServiceDown(thrown)) throw thrown;
        this.#offline = await this.#options.offline(thrown.message);
        this.#options.warn("the service is not running; read from the database");
        if (this.#offline.note !== null) this.#options.warn(this.#offline.note);
      }
    }
    return await checked(await this.#offline.fetch(new Request(`http://wps${BASE}${path}`)));
  }

  async #send(request: ServiceRequest, answerMs: number | null): Promise<Response> {
    this.#socket ??= await this.#options.socket();
    const { operator } = this.#options;
    const headers: Record<string, string> = operator === undefined ? {} : { [OPERATOR_HEADER]: operator };
    const response = await callService(this.#socket, {
      ...request,
      path: `${BASE}${request.path}`,
      headers: { ...headers, ...request.headers },
      signal: request.signal ?? (answerMs === null ? undefined : AbortSignal.timeout(answerMs)),
    });
    return await checked(response);
  }
}

/** The query string of those filters that are given, with its "?". */
export function query(filters: Record<string, string | number | boolean | undefined>): string {
  const given = Object.entries(filters).filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, String(value)]);
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

/** One segment of a path. */
export function segment(text: string | number): string {
  return encodeURIComponent(text);
}

async function checked(response: Response): Promise<Response> {
  if (response.ok) return response;
  throw problemError(response.status, await response.text());
}

/** A problem (RFC 9457) as the failure of the command. */
function problemError(status: number, body: string): CliError {
  const problem = parseProblem(body);
  if (problem === null) {
    return new CliError(EXIT.failed, `Cannot understand the answer: HTTP ${status}`, {
      advice: ["Is it WPS that listens on this socket, and of the same version? See wps version"],
    });
  }
  const details = (problem.errors ?? []).map(({ path, message }) =>
    `${path.replace(/^query\./, "--")}: ${message}`
  );
  const advice = adviceOf(problem);
  if (problem.choices !== undefined) {
    details.push(...problem.choices.map(({ kind, username }) => `${kind} of ${username}`));
  }
  if (problem.seq !== undefined) details.push(`recorded: wps events show ${problem.seq}`);
  const isInternal = status === 500;
  if (isInternal) details.push(`request id ${problem.requestId}`);
  return new CliError(codeOf(status, problem.type), problem.detail, { advice, details });
}

/** The API's advice; where it speaks of its own query, the option that stands for it. */
function adviceOf({ advice, usernames, choices }: Problem): string[] {
  if (choices !== undefined) {
    return [(usernames ?? []).length > 1 ? "Say whose with --username NAME" : "Say which with --kind KIND"];
  }
  return advice === undefined ? [] : [advice];
}

function parseProblem(body: string): Problem | null {
  try {
    const value: unknown = JSON.parse(body);
    const isProblem = typeof value === "object" && value !== null && "detail" in value &&
      typeof value.detail === "string";
    return isProblem ? value as Problem : null; // the API's only error shape
  } catch {
    return null;
  }
}

function codeOf(status: number, type: string): ExitCode {
  if (status === 401 || status === 403) return EXIT.denied;
  if (status === 404) return EXIT.notFound;
  if (status === 400) return EXIT.usage;
  return type.endsWith(":service-down") ? EXIT.unreachable : EXIT.failed;
}
