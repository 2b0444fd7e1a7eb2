/** The smallest client of a double without a socket, for preparing and looking. */
import type { FakeClock } from "../fake_clock.ts";
import type { ProxmoxDouble } from "./double.ts";
import type { ApiReply } from "./wire/reply.ts";
import type { ApiRequest } from "./wire/request.ts";

/** An answer with its body read. */
export interface Answer {
  status: number;
  reason: string;
  data: unknown;
  message: string | undefined;
  errors: Record<string, string> | undefined;
  total: number | undefined;
  /** How long it took. */
  elapsedMs: number;
}

/** How far the clock is moved on at once while something is waited for. */
const STEP_MS = 50;
/** What takes longer than the slowest recorded copy hangs. */
const WAIT_MAX_MS = 600_000;

/** Moves a clock on until a promise is settled. */
export async function settle<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settled = promise.finally(() => void (isSettled = true));
  settled.catch(() => {});
  await clock.advance(0);
  for (let waitedMs = 0; !isSettled; waitedMs += STEP_MS) {
    if (waitedMs > WAIT_MAX_MS) throw new Error(`Nothing came within ${WAIT_MAX_MS} ms`);
    await clock.advance(STEP_MS);
  }
  return await settled;
}

/** A request as a form, or with `json` as a JSON body. */
export function requestOf(
  method: string,
  path: string,
  body: Readonly<Record<string, unknown>> | undefined,
  token: string | undefined,
  encoding: "form" | "json" = "form",
): ApiRequest {
  const headers: Record<string, string> = {};
  if (token !== undefined) headers["authorization"] = `PVEAPIToken=${token}`;
  if (body === undefined) return { method, path, headers };
  headers["content-type"] = encoding === "json" ? "application/json" : "application/x-www-form-urlencoded";
  const entries = Object.entries(body).map(([name, value]): [string, string] => [name, `${value}`]);
  const text = encoding === "json" ? JSON.stringify(body) : new URLSearchParams(entries).toString();
  return { method, path, headers, body: text };
}

/** Sends requests to a double in the name of one token, moving its clock on while it waits. */
export class DoubleClient {
  readonly #double: ProxmoxDouble;
  readonly #clock: FakeClock;
  readonly #token: string;

  constructor(double: ProxmoxDouble, clock: FakeClock, token: string) {
    this.#double = double;
    this.#clock = clock;
    this.#token = token;
  }

  /** One request; rejects only when the connection is lost. */
  async send(method: string, path: string, body?: Readonly<Record<string, unknown>>): Promise<Answer> {
    return await this.raw(requestOf(method, path, body, this.#token));
  }

  /** One request as it is. */
  async raw(request: ApiRequest): Promise<Answer> {
    const begunMs = this.#clock.now();
    const reply = await settle(this.#clock, this.#double.handle(request));
    return { ...readAnswer(reply), elapsedMs: this.#clock.now() - begunMs };
  }

  /** A request that has to succeed; returns its data. */
  async get(path: string): Promise<unknown> {
    return (await this.#needed("GET", path)).data;
  }

  /** A request that has to succeed, and its task, too, when it begins one. */
  async run(method: string, path: string, body?: Readonly<Record<string, unknown>>): Promise<void> {
    const { data } = await this.#needed(method, path, body);
    if (typeof data !== "string" || !data.startsWith("UPID:")) return;
    const exitStatus = await this.exitStatus(data);
    if (exitStatus !== "OK") throw new Error(`${method} ${path}: ${exitStatus}`);
  }

  /** A request that begins a task: how the task ended. */
  async task(method: string, path: string, body?: Readonly<Record<string, unknown>>): Promise<string> {
    const { data } = await this.#needed(method, path, body);
    return await this.exitStatus(`${data}`);
  }

  /** Waits for a task's end. */
  async exitStatus(upid: string): Promise<string> {
    const task = this.#double.world.tasks.find(upid);
    for (let waitedMs = 0; task?.exitStatus === undefined; waitedMs += STEP_MS) {
      if (waitedMs > WAIT_MAX_MS || task === undefined) throw new Error(`${upid} does not end`);
      await this.#clock.advance(STEP_MS);
    }
    return task.exitStatus;
  }

  async #needed(method: string, path: string, body?: Readonly<Record<string, unknown>>): Promise<Answer> {
    const answer = await this.send(method, path, body);
    if (answer.status === 200) return answer;
    throw new Error(
      `${method} ${path}: ${answer.status} ${answer.reason} ${JSON.stringify(answer.errors ?? {})}`,
    );
  }
}

function readAnswer({ status, reason, body }: ApiReply): Omit<Answer, "elapsedMs"> {
  const isJson = body.startsWith("{");
  // The double wrote it, so it has this shape.
  const content = (isJson ? JSON.parse(body) : {}) as Partial<
    Pick<Answer, "data" | "message" | "errors" | "total">
  >;
  const { data, message, errors, total } = content;
  return { status, reason, data, message, errors, total };
}
