/** A person's order about jobs and what they wait for: its effect, its audit row and its stored answer commit together. */
import type { Context } from "hono";
import { appendAudit } from "../store/audit.ts";
import type { Tx } from "../store/db.ts";
import { getJob } from "../store/jobs.ts";
import type { ApiDeps } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { type AcceptedResponse, once } from "./idempotency.ts";
import { jobView } from "./job_view.ts";
import { ProblemError } from "./problem.ts";
import { callerOf, readNothing, requireService } from "./request.ts";
import type { JobReceipt } from "./schemas/jobs.ts";

/** One order. */
export interface Order {
  permitId: string;
  /** What the audit calls it. */
  action: "job.retry" | "job.cancel" | "drift.requested" | "uploads.accepted";
  /** What the audit says it was about. */
  target: string;
  /** Carries it out; returns the id of the job that follows from it. */
  effect(tx: Tx, nowMs: number): Promise<number>;
}

/**
 * Carries an order out once per Idempotency-Key, then lets the runner look. `given`: the body where it was read already;
 * other orders take none. Problems of `effect` pass through.
 */
export async function carryOut(
  deps: ApiDeps,
  c: Context<ApiEnv>,
  find: () => Promise<Order>,
  given?: Uint8Array,
): Promise<AcceptedResponse<JobReceipt>> {
  const wake = requireService(deps.wake);
  const body = given ?? await readNothing(c);
  const { permitId, action, target, effect } = await find();
  return await once<JobReceipt>(deps, c, body, async (settle) => {
    const nowMs = deps.clock.now();
    const answer = await deps.db.write(async (tx) => {
      const jobId = await effect(tx, nowMs);
      const job = await getJob(tx, jobId);
      if (job === null) {
        throw new ProblemError("internal", `Cannot carry out ${action}: job ${jobId} vanished`);
      }
      await appendAudit(tx, [{
        atMs: nowMs,
        permitId,
        eventSeq: null,
        jobId,
        actor: callerOf(c).actor,
        action,
        target,
        outcome: "done",
        reason: null,
        requestId: c.get("requestId"),
      }]);
      const answer = { receipt: { job: jobView(job, null, nowMs) } };
      await settle(tx, answer);
      return answer;
    });
    wake(permitId);
    return answer;
  });
}
