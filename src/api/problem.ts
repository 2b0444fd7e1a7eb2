/** The single mapping from what went wrong to `application/problem+json` (RFC 9457). */
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { Fault, type Reason } from "../core/fault.ts";
import type { ApiEnv } from "./env.ts";
import type { Problem } from "./schemas/problem.ts";

/** Every problem that leaves this API: its HTTP status and its title. The names are a promise to callers. */
export const PROBLEMS = {
  "invalid-request": { status: 400, title: "The request is malformed" },
  "unauthenticated": { status: 401, title: "The caller is not known" },
  "forbidden": { status: 403, title: "The caller may not do this" },
  "not-found": { status: 404, title: "There is no such thing" },
  "method-not-allowed": { status: 405, title: "The path has no such method" },
  "not-ready": { status: 409, title: "The workspace cannot be used now" },
  "ambiguous": { status: 409, title: "Several workspaces fit" },
  "event-conflict": { status: 409, title: "The event contradicts an earlier one" },
  "state-conflict": { status: 409, title: "The present state does not allow it" },
  "idempotency-running": { status: 409, title: "The first request with this key is still running" },
  "body-too-large": { status: 413, title: "The body is too large" },
  "uri-too-long": { status: 414, title: "The URI is too long" },
  "unsupported-media-type": { status: 415, title: "The content type is not accepted" },
  "event-rejected": { status: 422, title: "The event is rejected" },
  "idempotency-mismatch": { status: 422, title: "The key was used with another request" },
  "unprocessable": { status: 422, title: "The request cannot be followed" },
  "too-many-streams": { status: 503, title: "Too many streams are open" },
  "internal": { status: 500, title: "The service failed" },
  "unavailable": { status: 503, title: "A part of the service is away" },
  "service-down": { status: 503, title: "The service is not running" },
  "timeout": { status: 504, title: "It took too long" },
} as const;

/** One of {@link PROBLEMS}. */
export type ProblemName = keyof typeof PROBLEMS;

/** The members of a problem that its name does not decide. */
export type ProblemExtra = Partial<
  Pick<Problem, "advice" | "reason" | "errors" | "usernames" | "choices" | "verdict" | "seq">
>;

/** Thrown by routes and middleware; leaves as a problem. `detail` reads "Cannot …: what is in the way". */
export class ProblemError extends Error {
  readonly problem: ProblemName;
  readonly extra: ProblemExtra;
  readonly headers: Record<string, string>;

  /** `headers` are added to the response, e.g. WWW-Authenticate. */
  constructor(
    problem: ProblemName,
    detail: string,
    extra: ProblemExtra = {},
    headers: Record<string, string> = {},
  ) {
    super(detail);
    this.name = "ProblemError";
    this.problem = problem;
    this.extra = extra;
    this.headers = headers;
  }
}

/** What a Fault of store, planner or driver is to a caller; the rest is `internal`. */
const BY_REASON: Partial<Record<Reason, ProblemName>> = {
  "not-found": "not-found",
  "conflict": "state-conflict",
  "terminating": "state-conflict",
  "halted": "state-conflict",
  "invalid": "unprocessable",
  "invariant": "unprocessable",
  "denied": "unavailable",
  "throttled": "unavailable",
  "unavailable": "unavailable",
  "timeout": "timeout",
  "deadline": "timeout",
};

/** Seconds after which a caller may try again where nothing better is known. */
const RETRY_AFTER_S = 2;

/**
 * Any thrown value as a ProblemError. What is neither a problem nor a Fault says nothing of its inside: the log
 * has it under the request id.
 */
export function toProblem(thrown: unknown): ProblemError {
  if (thrown instanceof ProblemError) return thrown;
  if (thrown instanceof HTTPException) return fromHttpException(thrown);
  if (thrown instanceof Fault && thrown.reason !== "internal") return fromFault(thrown);
  return new ProblemError("internal", "Cannot answer: the service met an unexpected failure", {
    reason: "internal",
    advice: "Look for the request id in the service's log",
  });
}

function fromFault(fault: Fault): ProblemError {
  const name = BY_REASON[fault.reason] ?? "internal";
  const extra: ProblemExtra = { reason: fault.reason };
  if (fault.advice) extra.advice = fault.advice;
  const retryS = fault.retryAfterMs === null ? RETRY_AFTER_S : Math.ceil(fault.retryAfterMs / 1000);
  const headers: Record<string, string> = PROBLEMS[name].status === 503
    ? { "Retry-After": String(retryS) }
    : {};
  return new ProblemError(name, fault.message, extra, headers);
}

/** Hono and its validators throw these before a route is reached. */
function fromHttpException(thrown: HTTPException): ProblemError {
  switch (thrown.status) {
    case 413:
      return new ProblemError("body-too-large", "Cannot read the body: it is too large");
    case 415:
      return new ProblemError("unsupported-media-type", "Cannot read the body: send application/json");
    case 400:
      return new ProblemError("invalid-request", `Cannot read the request: ${thrown.message}`);
    default:
      return new ProblemError("internal", "Cannot answer: the service met an unexpected failure");
  }
}

/** RFC 9457 section 3. */
export const PROBLEM_JSON = "application/problem+json";

/** The members of a problem. */
export function problemBody(error: ProblemError, requestId: string): Problem {
  const { status, title } = PROBLEMS[error.problem];
  const type = `urn:wps:problem:${error.problem}`;
  return { type, title, status, detail: error.message, requestId, ...error.extra };
}

/** The response of a problem; the request id is the context's. */
export function problemResponse(c: Context<ApiEnv>, error: ProblemError): Response {
  const body = JSON.stringify(problemBody(error, c.get("requestId")));
  return c.body(body, PROBLEMS[error.problem].status, { ...error.headers, "Content-Type": PROBLEM_JSON });
}
