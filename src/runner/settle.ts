/** What follows an attempt's end: one transition of the job, with its audit row, in one transaction (DESIGN 6). */
import type { AuditEntry } from "../core/audit.ts";
import type { Clock, Random } from "../core/clock.ts";
import type { Fault } from "../core/fault.ts";
import { type Job, takesOnly } from "../core/job.ts";
import { afterFault, isEndless, type RetryLimits } from "../core/retry.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db, Tx } from "../store/db.ts";
import {
  endCancelled,
  failJob,
  isWanted,
  type JobOutcome,
  retryJob,
  succeedJob,
  supersedeJob,
  type Wanted,
} from "../store/job_transitions.ts";
import { releaseLeases } from "../store/leases.ts";
import { appendOutbox } from "../store/outbox.ts";
import { getPermit, savePermit } from "../store/permits.ts";
import { clearSecrets } from "../store/secrets.ts";
import { abandonOpenSteps } from "../store/steps.ts";
import { certify, type CertifyingDeps } from "./certifying.ts";
import type { AttemptEnd } from "./walk.ts";
import type { Ledger } from "./ledger.ts";

/** What settling works with. */
export interface SettleDeps extends CertifyingDeps {
  db: Db;
  clock: Clock;
  random: Random;
  limits: RetryLimits;
  bootEpoch: string;
}

/** Whether this fault ends the job for good; then half-made compute is taken back first. */
export function isFinal(deps: SettleDeps, job: Job, end: AttemptEnd): boolean {
  return end.kind === "fault" && afterFault(job, end.fault, deps.clock.now(), deps.limits, 0).next === "fail";
}

/**
 * Writes the transition that the end asks for, and what the ledger owes. `lost` and `stopping` write nothing: the
 * claim's holder or the next boot decides. Store Faults leave; then nothing was written, and it may be repeated.
 */
export async function settle(deps: SettleDeps, job: Job, ledger: Ledger, end: AttemptEnd): Promise<void> {
  if (end.kind === "lost" || end.kind === "stopping") return;
  const committed = await deps.db.write(async (tx) => {
    const wanted = await isWanted(tx, { jobId: job.id, fence: job.fence });
    if (wanted === "lost") return null;
    const glimpse = { state: isFinal(deps, job, end) ? "failed" as const : job.state, attempt: job.attempt };
    const flushed = await ledger.flush(tx, glimpse);
    await abandonOpenSteps(tx, job.id, deps.clock.now());
    await transition(tx, deps, job, asWanted(end, wanted));
    return flushed;
  });
  committed?.();
}

/** What came while the attempt ended by itself counts: it is not tried again, and reached what nobody asks for now. */
function asWanted(end: AttemptEnd, wanted: Wanted): AttemptEnd {
  if (end.kind === "fault" && wanted === "cancel-requested") return { kind: "cancelled" };
  return end.kind === "succeeded" && wanted === "superseded" ? { kind: "superseded" } : end;
}

const OUTCOME: JobOutcome = { reason: "cancelled", message: "Cancelled at a step boundary", advice: null };

async function transition(tx: Tx, deps: SettleDeps, job: Job, end: AttemptEnd): Promise<void> {
  const claim = { jobId: job.id, fence: job.fence };
  const nowMs = deps.clock.now();
  switch (end.kind) {
    case "succeeded":
      if (await succeedJob(tx, claim, nowMs)) await afterSuccess(tx, deps, job, end.version);
      return;
    case "superseded":
      if (await supersedeJob(tx, claim, nowMs)) await note(tx, deps, job, "job.superseded", "done", null);
      return;
    case "cancelled":
      if (!await endCancelled(tx, claim, OUTCOME, nowMs)) return;
      return await note(tx, deps, job, "job.cancelled", "done", null);
    case "fault":
      return await afterFaultTransition(tx, deps, job, end.fault);
    case "lost":
    case "stopping":
      return;
  }
}

async function afterFaultTransition(tx: Tx, deps: SettleDeps, job: Job, fault: Fault): Promise<void> {
  const claim = { jobId: job.id, fence: job.fence };
  const nowMs = deps.clock.now();
  const after = afterFault(job, fault, nowMs, deps.limits, deps.random.next());
  const outcome: JobOutcome = { reason: fault.reason, message: fault.message, advice: fault.advice };
  switch (after.next) {
    case "retry":
      if (await retryJob(tx, claim, { ...outcome, runAtMs: after.runAtMs }, nowMs) === null) return;
      if (!isNoted(job)) return;
      return await note(tx, deps, job, "job.retried", "failed", fault.message);
    case "fail":
      if (!await failJob(tx, claim, outcome, nowMs)) return;
      return await note(tx, deps, job, "job.failed", "failed", fault.message);
    case "cancel":
      if (!await endCancelled(tx, claim, outcome, nowMs)) return;
      return await note(tx, deps, job, "job.cancelled", "done", fault.message);
  }
}

/** Attempts of a job without end that are each on record; of the later ones every doubling is. */
const NOTED_MAX = 8;

/** What is tried every few seconds for as long as the platform is away must not fill the audit; its job's row says more. */
function isNoted(job: Job): boolean {
  const isDoubled = (job.attempt & (job.attempt - 1)) === 0;
  return !isEndless(job) || job.attempt <= NOTED_MAX || isDoubled;
}

/**
 * A deleted permit of which nothing is left is done: its numbers are free again, its secrets forgotten, and a certificate
 * says so; objects that came late get a further one. `version` is what the attempt found fulfilled: a deletion accepted
 * since then has yet to be carried out.
 */
async function afterSuccess(tx: Tx, deps: SettleDeps, job: Job, version: number): Promise<void> {
  await note(tx, deps, job, "job.succeeded", "done", null);
  if (takesOnly(job)) return;
  const permit = await getPermit(tx, job.permitId);
  if (permit === null || permit.version !== version) return;
  if (permit.halted && permit.deletion === "requested") return;
  if (permit.deletion !== "none") await certify(tx, deps, job);
  if (permit.deletion !== "requested") return;
  await savePermit(tx, { ...permit, deletion: "done" }, deps.clock.now());
  await releaseLeases(tx, job.permitId);
  await clearSecrets(tx, job.permitId);
  await note(tx, deps, job, "permit.destroyed", "done", null);
  const payload = { permitId: job.permitId };
  await appendOutbox(tx, [{
    topic: "workspace.events",
    key: "permit.destroyed",
    permitId: job.permitId,
    payload,
  }], deps.clock.now());
}

function note(
  tx: Tx,
  deps: SettleDeps,
  job: Job,
  action: string,
  outcome: AuditEntry["outcome"],
  reason: string | null,
): Promise<void> {
  return appendAudit(tx, [{
    atMs: deps.clock.now(),
    permitId: job.permitId,
    eventSeq: job.eventSeq,
    jobId: job.id,
    actor: { kind: "service", id: deps.bootEpoch },
    action,
    target: job.permitId,
    outcome,
    reason,
    requestId: null,
  }]);
}
