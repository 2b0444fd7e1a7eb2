/**
 * What an attempt writes down, and when: intention before action, outcome after, each group in one transaction with
 * its audit and outbox rows (DESIGN 7, 11). No row, no action (invariant 6). All writes carry the claim. What could
 * not be written is owed, and goes with the next transaction.
 */
import { Fault } from "../core/fault.ts";
import { type Job, JOB_PRIORITY } from "../core/job.ts";
import type { Permit } from "../core/permit.ts";
import type { JobGlimpse } from "../core/permit_status.ts";
import type { ApplyStep } from "../core/step.ts";
import type { Log } from "../log.ts";
import type { Db, Tx } from "../store/db.ts";
import {
  easeJob,
  isOvertaken,
  isWanted,
  progressJob,
  resumeJob,
  waitJob,
  type WaitTrouble,
  type Wanted,
} from "../store/job_transitions.ts";
import { getPermit } from "../store/permits.ts";
import { beginSteps, type EndedStep, endSteps, stepsOf } from "../store/steps.ts";
import { type Facts, factsOf } from "./job_plan.ts";
import { keepSighting, restateSighting, type Sighting } from "./sighting.ts";
import { tellBegun, tellEnded, tellWait, tellWaited } from "./step_lines.ts";
import { type StepRowDeps, writeBegun, writeEnded } from "./step_rows.ts";
import { NOTHING_TOLD, type Progress, type ToldBefore } from "./tally.ts";
import type { OpenWait } from "./waits.ts";
import type { BegunStep, StepResult } from "./wave.ts";

/** A permit as it should be, and whether its job is still wanted. */
export type Look =
  | { wanted: "go on"; permit: Permit } & Facts
  | { wanted: Exclude<Wanted, "go on"> };

/** What earlier attempts of the job left, by step id. */
export interface Before extends ToldBefore {
  /** Waits that were interrupted, with their beginning in epoch milliseconds. */
  waits: Map<string, number>;
}

/** What is written at a step boundary. */
export interface Turn {
  ended: StepResult[];
  next: ApplyStep[];
  progress: Progress;
}

/** What an attempt saw, as a function of the job's state, because a failed job changes the public words. */
export type Seeing = (job: JobGlimpse) => Sighting;

/** The writes of one attempt. */
export interface Ledger {
  before(): Promise<Before>;
  look(): Promise<Look>;
  /** Whether the job is still wanted; asked when a wait is over, before a slot is asked for. */
  wanted(): Promise<Wanted>;
  /** Whether a halt or a deletion of the permit waits for this attempt to end. */
  overtaken(): Promise<boolean>;
  /** Notes an observation; it is written with the next turn, wait or end. */
  observed(seeing: Seeing, progress: Progress): void;
  /** Ends steps, and begins the next ones unless the job is no longer wanted. */
  turn(turn: Turn): Promise<{ wanted: Wanted; steps: BegunStep[] }>;
  /** Records what is waited for. A stale claim throws a cancelled Fault `lease-lost`. */
  waiting(waits: OpenWait[]): Promise<void>;
  /** The job is no more urgent than its kind. */
  eased(): Promise<void>;
  /** Notes that waits are over; it is written with the next turn, wait or end. */
  waited(waits: OpenWait[], outcome: "waited" | "failed"): void;
  /**
   * Writes whatever is owed, within a transaction that ends the attempt; `glimpse` is what the job becomes. To be
   * called under a claim that stands. Call what it returns after the commit.
   */
  flush(tx: Tx, glimpse?: JobGlimpse): Promise<() => void>;
}

/** What a ledger is made of. */
export interface LedgerDeps extends StepRowDeps {
  db: Db;
  /** The attempt's own: its lines carry permit, job and attempt. */
  log: Log;
  /** Called after each commit: the read model and open streams follow. */
  changed(permitId: string): void;
}

/** Longer lists of waits are cut in the job's row; their steps name them all. */
const WAITING_TEXT_MAX = 1_000;

/** The ledger of one attempt of `job`. */
export function openLedger(deps: LedgerDeps, job: Job): Ledger {
  const { db, clock, log } = deps;
  const claim = { jobId: job.id, fence: job.fence };
  let seen: { seeing: Seeing; progress: Progress } | null = null;
  let isNews = false;
  let lastShape = "";
  let owedResults: StepResult[] = [];
  let owedWaits: EndedStep[] = [];
  // A claim forgets what the attempt before was advised to.
  let waiting = { text: job.waitingFor, sinceMs: job.waitingSinceMs, advice: job.advice };

  async function commit<T>(work: (tx: Tx, committed: (() => void)[]) => Promise<T>): Promise<T> {
    const committed: (() => void)[] = [];
    const result = await db.write((tx) => work(tx, committed));
    for (const forget of committed) forget();
    deps.changed(job.permitId);
    return result;
  }

  /** Outcomes are written whoever holds the claim: what was done, was done. */
  async function settleDebts(tx: Tx): Promise<() => void> {
    const [results, waits] = [owedResults, owedWaits];
    await writeEnded(tx, deps, job, results);
    await endSteps(tx, waits);
    return () => {
      for (const result of results) tellEnded(log, result);
      owedResults = owedResults.filter((result) => !results.includes(result));
      owedWaits = owedWaits.filter((wait) => !waits.includes(wait));
    };
  }

  async function keepSeen(tx: Tx, glimpse: JobGlimpse): Promise<() => void> {
    if (seen === null) return () => {};
    const { seeing, progress } = seen;
    const sighting = seeing(glimpse);
    const shape = shapeOf(sighting);
    if (shape !== lastShape) await (isNews ? keepSighting : restateSighting)(tx, sighting, clock.now());
    await progressJob(tx, claim, progress);
    return () => {
      lastShape = shape;
      isNews = false;
    };
  }

  return {
    before: () =>
      job.fence > 1 ? readBefore(db, job) : Promise.resolve({ ...NOTHING_TOLD, waits: new Map() }),
    async look(): Promise<Look> {
      const wanted = await isWanted(db, claim);
      if (wanted !== "go on") return { wanted };
      const permit = await getPermit(db, job.permitId);
      if (permit === null) {
        throw new Fault("stalled", "not-found", `Cannot work on ${job.permitId}: no such permit`);
      }
      return { wanted, permit, ...await factsOf(db, job.permitId) };
    },
    wanted: () => isWanted(db, claim),
    overtaken: () => isOvertaken(db, claim),
    observed(seeing: Seeing, progress: Progress): void {
      seen = { seeing, progress };
      isNews = true;
    },
    turn({ ended, next, progress }: Turn): Promise<{ wanted: Wanted; steps: BegunStep[] }> {
      owedResults.push(...ended);
      if (seen !== null) seen.progress = progress;
      return commit(async (tx, committed) => {
        committed.push(await settleDebts(tx));
        const wanted = await isWanted(tx, claim);
        if (wanted === "lost") return { wanted, steps: [] };
        if (isNews) committed.push(await keepSeen(tx, job));
        if (ended.length > 0) await progressJob(tx, claim, progress);
        if (waiting.text !== null) {
          await resumeJob(tx, claim);
          committed.push(() => waiting = { text: null, sinceMs: null, advice: null });
        }
        if (wanted !== "go on" || next.length === 0) return { wanted, steps: [] };
        const steps = await writeBegun(tx, deps, job, next);
        committed.push(() => steps.forEach(({ step }) => tellBegun(log, step)));
        return { wanted, steps };
      });
    },
    async waiting(waits: OpenWait[]): Promise<void> {
      const text = waits.map((wait) => wait.text).join("; ").slice(0, WAITING_TEXT_MAX);
      const unrecorded = waits.filter(({ recordId }) => recordId === null);
      const sinceMs = Math.min(...waits.map((wait) => wait.sinceMs));
      const trouble = troubleOf(waits);
      const advice = trouble?.advice ?? null;
      const isSame = text === waiting.text && sinceMs === waiting.sinceMs && advice === waiting.advice;
      if (isSame && unrecorded.length === 0 && owedWaits.length === 0 && !isNews) return;
      await commit(async (tx, committed) => {
        committed.push(await settleDebts(tx));
        const ids = await beginSteps(tx, claim, unrecorded.map((wait) => waitRow(job, wait)));
        if (isNews) committed.push(await keepSeen(tx, job));
        if (!isSame) await waitJob(tx, claim, text, sinceMs, trouble);
        committed.push(() => {
          waiting = { text, sinceMs, advice };
          unrecorded.forEach((wait, index) => {
            wait.recordId = ids[index] ?? null;
            tellWait(log, wait);
          });
        });
      });
    },
    eased: () => commit(async (tx) => void await easeJob(tx, claim, JOB_PRIORITY[job.kind])),
    waited(waits: OpenWait[], outcome: "waited" | "failed"): void {
      for (const wait of waits) {
        const { recordId, text } = wait;
        if (recordId === null) continue;
        owedWaits.push({ id: recordId, endedAtMs: clock.now(), outcome, detail: text });
        tellWaited(log, wait, outcome);
      }
    },
    async flush(tx: Tx, glimpse: JobGlimpse = job): Promise<() => void> {
      const settled = await settleDebts(tx);
      const kept = await keepSeen(tx, glimpse);
      return () => {
        settled();
        kept();
      };
    },
  };
}

/** Everything of a sighting but its time. */
function shapeOf({ rows, volumes, refused, proofs, objects }: Sighting): string {
  const uids = proofs.map(({ proof }) => proof.pod.uid);
  const shown = { objects: objects.objects, scope: objects.scope.state };
  return JSON.stringify([rows.map((row) => ({ ...row, observedAtMs: 0 })), volumes, refused, uids, shown]);
}

/** The first reason, and each advice once; null: all end by themselves. */
function troubleOf(waits: OpenWait[]): WaitTrouble | null {
  const faults = waits.flatMap(({ fault }) => fault === undefined || fault.advice === null ? [] : [fault]);
  const [first] = faults;
  if (first === undefined) return null;
  const advice = [...new Set(faults.map((fault) => fault.advice))].join("; ").slice(0, WAITING_TEXT_MAX);
  return { reason: first.reason, advice };
}

/** Waits come last in a stretch: their wave says only that. */
const WAIT_WAVE = 0;

function waitRow(job: Job, wait: OpenWait): Parameters<typeof beginSteps>[2][number] {
  return {
    attempt: job.attempt,
    kind: `await-${wait.kind}`,
    target: wait.target,
    why: wait.why,
    wave: WAIT_WAVE,
    startedAtMs: wait.sinceMs,
  };
}

/**
 * From the job's steps. A wait goes on where this attempt's or the last one's newest row of it was abandoned, by a
 * crash or beside another fault; one that ended, or was given up at its deadline, begins anew.
 */
async function readBefore(db: Db, job: Job): Promise<Before> {
  const done = new Set<string>();
  const waits = new Map<string, number>();
  for (const { kind, target, outcome, attempt, startedAtMs } of await stepsOf(db, job.id)) {
    const id = `${kind} ${target}`;
    if (outcome === "done") done.add(id);
    if (!kind.startsWith("await-")) continue;
    if (outcome === "abandoned" && attempt >= job.attempt - 1) waits.set(id, startedAtMs);
    else waits.delete(id);
  }
  return { done, total: job.stepsTotal, waits };
}
