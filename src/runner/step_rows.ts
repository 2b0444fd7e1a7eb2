/** Steps as rows: intentions with what must be known before the action, outcomes with what they leave. */
import type { AuditEntry } from "../core/audit.ts";
import type { Clock } from "../core/clock.ts";
import type { Job } from "../core/job.ts";
import type { PhaseSet } from "../core/phase.ts";
import type { ApplyStep } from "../core/step.ts";
import { appendAudit } from "../store/audit.ts";
import type { Tx } from "../store/db.ts";
import { type EndingOrder, noteOrder } from "../store/objects.ts";
import { saveEvidence } from "../store/evidence.ts";
import { clearPassword } from "../store/secrets.ts";
import { beginSteps, endSteps } from "../store/steps.ts";
import { markDestroyed, taintVolumes } from "../store/volumes.ts";
import { type BegunStep, isBrokenOff, type StepResult } from "./wave.ts";

/** What rows of steps are made with. */
export interface StepRowDeps {
  clock: Clock;
  phases: PhaseSet;
  /** This boot's epoch: the actor of what the service does by itself. */
  bootEpoch: string;
}

/**
 * Intentions: step rows, audit rows, taint (invariant 3: in the store before the mount), destruction (invariant 4).
 * A stale claim throws a cancelled Fault `lease-lost`.
 */
export async function writeBegun(
  tx: Tx,
  deps: StepRowDeps,
  job: Job,
  steps: ApplyStep[],
): Promise<BegunStep[]> {
  const nowMs = deps.clock.now();
  const ids = await beginSteps(
    tx,
    { jobId: job.id, fence: job.fence },
    steps.map(({ kind, target, why, wave }) => ({
      attempt: job.attempt,
      kind,
      target,
      why,
      wave,
      startedAtMs: nowMs,
    })),
  );
  await appendAudit(tx, steps.map((step) => entry(deps, job, step, "intended", null)));
  await taintVolumes(tx, job.permitId, steps.flatMap((step) => taintedBy(step, deps.phases)), nowMs);
  for (const { action } of steps) {
    if (action.kind === "destroy-volume") await markDestroyed(tx, job.permitId, action.volume.key, nowMs);
  }
  for (const step of steps) {
    const order = endingOf(step, job.id);
    if (order !== null) await noteOrder(tx, job.permitId, order, nowMs);
  }
  return steps.flatMap((step, index) => {
    const recordId = ids[index];
    return recordId === undefined ? [] : [{ recordId, step }];
  });
}

/** What of the permit's objects a step is to end; null: nothing. */
function endingOf({ kind, action, target, why }: ApplyStep, jobId: number): EndingOrder | null {
  const order = { step: `${kind} ${target}`, why, jobId };
  switch (action.kind) {
    case "stop":
    case "replace-instance":
      return { ...order, of: { kind: "workspace", key: action.workspace.key }, kind: "Pod" };
    case "remove-workspace":
      return { ...order, of: { kind: "workspace", key: action.workspace.key }, kind: null };
    case "remove-task":
      return { ...order, of: { kind: "task", key: action.task.key }, kind: null };
    case "destroy-volume":
      return { ...order, of: { kind: "volume", key: action.volume.key }, kind: null };
    case "destroy-scope":
      return { ...order, of: null, kind: null };
    default:
      return null;
  }
}

function taintedBy({ action }: ApplyStep, phases: PhaseSet): string[] {
  if (action.kind !== "taint-volume" && action.kind !== "ensure-volume" && action.kind !== "rebind-volume") {
    return [];
  }
  const { volume } = action;
  const isTaintable = phases.volumes.get(volume.id.volume)?.sensitive === "when-tainted";
  return volume.sensitive && isTaintable ? [volume.key] : [];
}

/** Outcomes: step rows, audit rows, evidence; the password of what was stopped is forgotten. */
export async function writeEnded(tx: Tx, deps: StepRowDeps, job: Job, results: StepResult[]): Promise<void> {
  if (results.length === 0) return;
  await endSteps(
    tx,
    results.map((ended) => ({
      id: ended.recordId,
      endedAtMs: ended.endedAtMs,
      outcome: ended.fault === null ? "done" : isBrokenOff(ended) ? "abandoned" : "failed",
      detail: ended.fault?.message ?? ended.result?.detail ?? null,
    })),
  );
  await appendAudit(
    tx,
    results.map(({ step, fault }) =>
      entry(deps, job, step, fault === null ? "done" : "failed", fault?.message ?? null)
    ),
  );
  for (const { step, fault, result } of results) {
    if (fault === null && (step.kind === "stop" || step.kind === "remove-workspace")) {
      await clearPassword(tx, job.permitId, step.target);
    }
    if (step.action.kind !== "prove-isolation" || result?.evidence === undefined) continue;
    const { workspace, instanceUid } = step.action;
    await saveEvidence(tx, {
      permitId: job.permitId,
      workspaceKey: workspace.key,
      instanceUid,
      atMs: deps.clock.now(),
      evidence: result.evidence,
    });
  }
}

function entry(
  deps: StepRowDeps,
  job: Job,
  step: ApplyStep,
  outcome: AuditEntry["outcome"],
  reason: string | null,
): AuditEntry {
  return {
    atMs: deps.clock.now(),
    permitId: job.permitId,
    eventSeq: job.eventSeq,
    jobId: job.id,
    actor: { kind: "service", id: deps.bootEpoch },
    action: `step.${step.kind}`,
    target: step.target,
    outcome,
    reason,
    requestId: null,
  };
}
