/**
 * Idempotency-Key (DESIGN 10): a POST that is sent again gets the first one's answer. The answer commits with the
 * effect, so after a crash there are either both or neither.
 */
import { createHash } from "node:crypto";
import type { Context, TypedResponse } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { Fault } from "../core/fault.ts";
import type { Tx } from "../store/db.ts";
import {
  abandonIdempotent,
  beginIdempotent,
  finishIdempotent,
  type RequestKey,
  type StoredAnswer,
} from "../store/idempotency_keys.ts";
import type { ApiDeps } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { PROBLEM_JSON, problemBody, ProblemError } from "./problem.ts";
import { callerOf } from "./request.ts";

/** What a key may be: visible ASCII, quoted or not, as drafts of the header field differ in it. */
const KEY = /^[!-~]{1,255}$/;

/** What an effect leaves to be answered, now and again: an accepted request's receipt, or a problem. */
export type Answer<Receipt> = { receipt: Receipt } | { problem: ProblemError };

/** Stores the answer in the transaction of the effect, exactly once; without a key it does nothing. */
export type Settle<Receipt> = (tx: Tx, answer: Answer<Receipt>) => Promise<void>;

/** 202 with a receipt, as the route declares it; problems are declared as `default`. */
export type AcceptedResponse<Receipt> = Response & TypedResponse<Receipt, 202, "json">;

/** What of the API's surroundings {@link once} needs. */
export type OnceDeps = Pick<ApiDeps, "db" | "clock" | "bootEpoch" | "log">;

/**
 * Runs `effect` once per caller and key. It must call `settle` in the transaction that commits its effect, and returns
 * the same answer. Throwing, or returning without `settle`, means that there was no effect: the key is free again.
 * `body` are the request's bytes. Problems: 400 for a malformed key, 409 `idempotency-running`, 422 `idempotency-mismatch`.
 */
export async function once<Receipt>(
  deps: OnceDeps,
  c: Context<ApiEnv>,
  body: Uint8Array,
  effect: (settle: Settle<Receipt>) => Promise<Answer<Receipt>>,
): Promise<AcceptedResponse<Receipt>> {
  const key = c.req.header("Idempotency-Key");
  if (key === undefined) return respond(c, render(c, await effect(() => Promise.resolve())));
  if (!KEY.test(key)) {
    throw new ProblemError(
      "invalid-request",
      "Cannot use the Idempotency-Key: send 1 to 255 visible ASCII characters",
    );
  }
  const { actor } = callerOf(c);
  const request = { caller: `${actor.kind}:${actor.id}`, key };
  const earlier = await begin(deps, c, request, body);
  if (earlier !== null) {
    c.header("Idempotency-Replayed", "true");
    return respond(c, earlier);
  }
  let isSettled = false;
  try {
    const answer = await effect(async (tx, answer) => {
      if (!await finishIdempotent(tx, request, render(c, answer))) {
        throw new Fault(
          "retry",
          "conflict",
          "Cannot finish: another request with this Idempotency-Key came first",
        );
      }
      isSettled = true;
    });
    return respond(c, render(c, answer));
  } catch (thrown) {
    // The transaction that settled may have been rolled back; freeing a key that is done changes nothing.
    isSettled = false;
    throw thrown;
  } finally {
    if (!isSettled) await free(deps, request);
  }
}

/** Frees the key of a request without effect. Where that fails it stays taken until the next start. */
async function free({ db, log }: OnceDeps, request: RequestKey): Promise<void> {
  try {
    await db.write((tx) => abandonIdempotent(tx, request));
  } catch (error) {
    log.warn("Cannot free an Idempotency-Key", { error });
  }
}

/** Marks the request as running; an earlier answer where there is one. */
async function begin(
  { db, clock, bootEpoch }: OnceDeps,
  c: Context<ApiEnv>,
  request: RequestKey,
  body: Uint8Array,
): Promise<StoredAnswer | null> {
  const bodyHash = createHash("sha256").update(`${c.req.method} ${c.req.path}\n`).update(body).digest("hex");
  const nowMs = clock.now();
  const beginning = await db.write((tx) => beginIdempotent(tx, { ...request, bodyHash, bootEpoch, nowMs }));
  switch (beginning.is) {
    case "begun":
      return null;
    case "done":
      return beginning.answer;
    case "mismatch":
      throw new ProblemError(
        "idempotency-mismatch",
        "Cannot answer: this Idempotency-Key came with another request",
        {
          advice: "Use a new key for a new request",
        },
      );
    case "running":
      throw new ProblemError(
        "idempotency-running",
        "Cannot answer yet: the first request with this key is still running",
        {
          advice: "Send it again in a moment",
        },
        { "Retry-After": "1" },
      );
  }
}

function render(c: Context<ApiEnv>, answer: Answer<unknown>): StoredAnswer {
  if ("receipt" in answer) {
    return { status: 202, contentType: "application/json", body: JSON.stringify(answer.receipt) };
  }
  const body = problemBody(answer.problem, c.get("requestId"));
  return { status: body.status, contentType: PROBLEM_JSON, body: JSON.stringify(body) };
}

function respond<Receipt>(
  c: Context<ApiEnv>,
  { status, contentType, body }: StoredAnswer,
): AcceptedResponse<Receipt> {
  c.header("Content-Type", contentType);
  // Only what `render` made is stored: a 202 of this route (its path is in the key's hash), or a problem.
  return c.body(body, status as ContentfulStatusCode) as Response as AcceptedResponse<Receipt>;
}
