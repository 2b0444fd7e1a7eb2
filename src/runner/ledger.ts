/**
 * What an attempt writes down, and when: intention before action, outcome after, each group in one transaction with
 * its audit and outbox rows (DESIGN 7, 11). No row, no action (invariant 6). All writes carry the claim.
 */
import type { AuditEntry } from "../core/audit.ts";
import type { Clock } from "../core/clock.ts";
import { Fault } from "../core/fault.ts";
import type { Job } from "../core/job.ts";
import type { Permit, VolumeRecord } from "../core/permit.ts";
import type { PhaseSet } from "../core/phase.ts";
import type { ApplyStep } from "../core/step.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db, Tx } from "../store/db.ts";
import { saveEvidence } from "../store/evidence.ts";
import { isWanted, progressJob, resumeJob, waitJob, type Wanted } from "../store/job_transitions.ts";
import { appendOutbox } from "../store/outbox.ts";
import { getPermit } from "../store/permits.ts";
import { clearPassword } from "../store/secrets.ts";
import { beginSteps, endSteps } from "../store/steps.ts";
import { listVolumes, markDestroyed, taintVolumes, upsertVolume } from "../store/volumes.ts";
import { saveWorkspaces, workspacesOf } from "../store/workspaces.ts";
import type { Sighting } from "./sighting.ts";
import type { BegunStep, StepResult } from "./wave.ts";

/** A permit as it should be, and whether its job is still wanted. */
export type Look =
  | { wanted: "go on"; permit: Permit; records: VolumeRecord[] }
  | { wanted: Exclude<Wanted, "go on"> };

/** What is written at a step boundary. */
export interface Turn {
  ended: StepResult[];
  next: ApplyStep[];
  progress: Progress;
}

/** Steps of this attempt: done, and done plus those that the newest plan still has. */
export interface Progress {
  done: number;
  total: number;
}

/** The writes of one attempt. */
export interface Ledger {
  look(): Promise<Look>;
  /** Whether the job is still wanted; asked when a wait is over, before a slot is asked for. */
  wanted(): Promise<Wanted>;
  /** Notes an observation; it is written with the next turn, wait or end. */
  observed(sighting: Sighting, progress: Progress): void;
  /** Ends steps, and begins the next ones unless the job is no longer wanted. */
  turn(turn: Turn): Promise<{ wanted: Wanted; steps: BegunStep[] }>;
  waiting(text: string, sinceMs: number): Promise<void>;
  /** Writes a noted observation within a transaction that ends the attempt. */
  flush(tx: Tx): Promise<void>;
}

/** What a ledger is made of. */
export interface LedgerDeps {
  db: Db;
  clock: Clock;
  phases: PhaseSet;
  /** This boot's epoch: the actor of what the service does by itself. */
  bootEpoch: string;
}

/** The ledger of one attempt of `job`. */
export function openLedger(deps: LedgerDeps, job: Job): Ledger {
  const { db, clock } = deps;
  const claim = { jobId: job.id, fence: job.fence };
  let pending: { sighting: Sighting; progress: Progress } | null = null;
  let lastSeen = "";
  let waitingText: string | null = job.waitingFor;

  async function flush(tx: Tx): Promise<void> {
    if (pending === null) return;
    const { sighting, progress } = pending;
    const shape = JSON.stringify([
      sighting.rows.map((row) => ({ ...row, observedAtMs: 0 })),
      sighting.volumes,
    ]);
    pending = null;
    if (shape !== lastSeen) {
      const before = await workspacesOf(tx, job.permitId);
      await saveWorkspaces(tx, job.permitId, sighting.rows);
      for (const volume of sighting.volumes) await upsertVolume(tx, job.permitId, volume, clock.now());
      await appendOutbox(tx, sighting.news(before), clock.now());
    }
    await progressJob(tx, claim, { ...progress });
    lastSeen = shape;
  }

  return {
    async look(): Promise<Look> {
      const wanted = await isWanted(db, claim);
      if (wanted !== "go on") return { wanted };
      const permit = await getPermit(db, job.permitId);
      if (permit === null) {
        throw new Fault("stalled", "not-found", `Cannot work on ${job.permitId}: no such permit`);
      }
      return { wanted, permit, records: await listVolumes(db, job.permitId) };
    },
    wanted: () => isWanted(db, claim),
    observed(sighting: Sighting, progress: Progress): void {
      pending = { sighting, progress };
    },
    turn: ({ ended, next, progress }: Turn) =>
      db.write(async (tx) => {
        await writeEnded(tx, deps, job, ended);
        const wanted = await isWanted(tx, claim);
        if (wanted === "lost") return { wanted, steps: [] };
        await flush(tx);
        if (ended.length > 0) await progressJob(tx, claim, progress);
        if (waitingText !== null) {
          await resumeJob(tx, claim);
          waitingText = null;
        }
        if (wanted !== "go on" || next.length === 0) return { wanted, steps: [] };
        return { wanted, steps: await writeBegun(tx, deps, job, next) };
      }),
    async waiting(text: string, sinceMs: number): Promise<void> {
      if (text === waitingText && pending === null) return;
      await db.write(async (tx) => {
        await flush(tx);
        if (text !== waitingText) await waitJob(tx, claim, text, sinceMs);
      });
      waitingText = text;
    },
    flush,
  };
}

function entry(
  deps: LedgerDeps,
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

/** Intentions: step rows, audit rows, taint (invariant 3: in the store before the mount), destruction (invariant 4). */
async function writeBegun(tx: Tx, deps: LedgerDeps, job: Job, steps: ApplyStep[]): Promise<BegunStep[]> {
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
  return steps.flatMap((step, index) => {
    const recordId = ids[index];
    return recordId === undefined ? [] : [{ recordId, step }];
  });
}

function taintedBy({ action }: ApplyStep, phases: PhaseSet): string[] {
  if (action.kind !== "taint-volume" && action.kind !== "ensure-volume" && action.kind !== "rebind-volume") {
    return [];
  }
  const { volume } = action;
  const isTaintable = phases.volumes.get(volume.id.volume)?.sensitive === "when-tainted";
  return volume.sensitive && isTaintable ? [volume.key] : [];
}

/** Outcomes: step rows, audit rows, evidence. */
async function writeEnded(tx: Tx, deps: LedgerDeps, job: Job, results: StepResult[]): Promise<void> {
  if (results.length === 0) return;
  await endSteps(
    tx,
    results.map(({ recordId, endedAtMs, result, fault }) => ({
      id: recordId,
      endedAtMs,
      outcome: fault === null ? "done" : "failed",
      detail: fault?.message ?? result?.detail ?? null,
    })),
  );
  await appendAudit(
    tx,
    results.map(({ step, fault }) =>
      entry(deps, job, step, fault === null ? "done" : "failed", fault?.message ?? null)
    ),
  );
  for (const { step, fault } of results) {
    if (fault === null && (step.kind === "stop" || step.kind === "remove-workspace")) {
      await clearPassword(tx, job.permitId, step.target);
    }
  }
  for (const { step, result } of results) {
    if (step.action.kind !== "prove-isolation" || result?.evidence === undefined) continue;
    const { workspace, instanceUid } = step.action;
    const { evidence } = result;
    await saveEvidence(tx, {
      permitId: job.permitId,
      workspaceKey: workspace.key,
      instanceUid,
      atMs: deps.clock.now(),
      evidence,
    });
  }
}
