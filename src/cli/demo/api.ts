/** The demo as the API's clients: the Permit Manager posts events, the gateway asks for connections. */
import type { EventReceipt } from "../../api/schemas/events.ts";
import type { JobChange } from "../../api/schemas/jobs.ts";
import type { PlanView } from "../../api/schemas/plans.ts";
import type { ConnectionAnswer, StatusAnswer } from "../../api/schemas/workspaces.ts";
import { CliError, EXIT } from "../exit.ts";
import { serverSentEvents } from "../sse.ts";

/** Answers a request as the service does. */
export type Fetch = (request: Request) => Promise<Response>;

/** Any answer. */
export interface Answer {
  http: number;
  body: unknown;
}

const BASE = "http://wps/api/v1";

/** One client of the API. Answers are those of the schemas of this same program. */
export class DemoApi {
  constructor(readonly fetch: Fetch, readonly permitId: string, readonly signal: AbortSignal) {}

  /** POST /events, under an Idempotency-Key. CliError when it is refused. */
  async send(event: Record<string, unknown>): Promise<EventReceipt> {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() };
    const request = { method: "POST", headers, body: JSON.stringify(event) };
    return (await this.#ask("/events", request)) as EventReceipt; // see the class
  }

  /** GET /permits/{id}/plan. */
  async plan(): Promise<PlanView> {
    return (await this.#ask(`/permits/${this.permitId}/plan`)) as PlanView; // see the class
  }

  /** GET /workspaces/{id}/status, the blueprint's first answer. */
  async status(): Promise<StatusAnswer> {
    return (await this.#ask(`/workspaces/${this.permitId}/status`)) as StatusAnswer; // see the class
  }

  /** GET /workspaces/{id}/connection, the blueprint's second answer; whatever it is. */
  async connection(
    username: string | null,
  ): Promise<Answer & { connection: ConnectionAnswer["connection"] | null }> {
    const query = username === null ? "" : `?username=${encodeURIComponent(username)}`;
    const response = await this.fetch(
      new Request(`${BASE}/workspaces/${this.permitId}/connection${query}`, { signal: this.signal }),
    );
    const body: unknown = await response.json();
    const connection = response.ok ? (body as ConnectionAnswer).connection : null; // see the class
    return { http: response.status, body, connection };
  }

  /** GET /jobs/{id}/events, until the job has ended. */
  async *follow(jobId: number): AsyncGenerator<JobChange> {
    const response = await this.fetch(new Request(`${BASE}/jobs/${jobId}/events`, { signal: this.signal }));
    if (!response.ok || response.body === null) throw await refusal(response);
    for await (const { event, data } of serverSentEvents(response.body, this.signal)) {
      if (event !== "job" && event !== "step" && event !== "end") continue;
      const change = { event, data: JSON.parse(data) } as JobChange; // see the class
      yield change;
      if (change.event === "end") return;
    }
    this.signal.throwIfAborted();
    throw new CliError(EXIT.failed, `Cannot follow job ${jobId}: the stream ended before the job`);
  }

  async #ask(path: string, init: RequestInit = {}): Promise<unknown> {
    const response = await this.fetch(new Request(`${BASE}${path}`, { ...init, signal: this.signal }));
    if (!response.ok) throw await refusal(response);
    return await response.json();
  }
}

async function refusal(response: Response): Promise<CliError> {
  return new CliError(EXIT.failed, `Cannot play on: the service answered ${response.status}`, {
    details: [await response.text()],
  });
}
