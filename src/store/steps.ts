/** steps: what each job did, with start, end and outcome; timings and estimates come from here (DESIGN 6). */
import { z } from "zod";
import { Fault } from "../core/fault.ts";
import type { JobClaim, StepRecord } from "../core/job.ts";
import type { StepKind } from "../core/step.ts";
import type { Reader, Tx } from "./db.ts";

/** A step that begins. */
export interface NewStep {
  attempt: number;
  kind: StepKind;
  target: string;
  why: string;
  wave: number;
  startedAtMs: number;
}

/** A step that ends. */
export interface EndedStep {
  id: number;
  endedAtMs: number;
  outcome: "done" | "waited" | "failed" | "abandoned";
  detail: string | null;
}

/** A job's newest steps that are returned; a job of 200 workspaces has about 1000. */
const STEPS_MAX = 5_000;

const stepRow = z.object({
  id: z.number(),
  jobId: z.number(),
  attempt: z.number(),
  // Only beginSteps writes this column, from the type; a kind of an older version is shown as it is.
  kind: z.string().transform((kind) => kind as StepKind),
  target: z.string(),
  why: z.string(),
  wave: z.number(),
  startedAtMs: z.number(),
  endedAtMs: z.number().nullable(),
  outcome: z.enum(["running", "done", "waited", "failed", "abandoned"]),
  detail: z.string().nullable(),
});

/**
 * Records steps as begun and returns their ids in the same order. Fault `lease-lost` when the claim is stale: then
 * nothing may be done either.
 */
export async function beginSteps(tx: Tx, claim: JobClaim, steps: readonly NewStep[]): Promise<number[]> {
  const ids: number[] = [];
  for (const step of steps) {
    const { changes, lastId } = await tx.run(
      `insert into steps (job_id, attempt, kind, target, why, wave, started_at_ms, outcome)
       select id, ?, ?, ?, ?, ?, ?, 'running' from jobs where id = ? and fence = ? and state = 'running'`,
      [
        step.attempt,
        step.kind,
        step.target,
        step.why,
        step.wave,
        step.startedAtMs,
        claim.jobId,
        claim.fence,
      ],
    );
    if (changes !== 1) {
      throw new Fault(
        "cancelled",
        "lease-lost",
        `Cannot go on with job ${claim.jobId}: somebody else claimed it`,
      );
    }
    ids.push(lastId);
  }
  return ids;
}

/** Ends steps that are running; one that has ended already stays as it is. */
export async function endSteps(tx: Tx, steps: readonly EndedStep[]): Promise<void> {
  for (const { id, endedAtMs, outcome, detail } of steps) {
    await tx.run(
      "update steps set ended_at_ms = ?, outcome = ?, detail = ? where id = ? and outcome = 'running'",
      [endedAtMs, outcome, detail, id],
    );
  }
}

/** After a crash: the steps that a job left running end as `abandoned`. Returns how many. */
export async function abandonOpenSteps(tx: Tx, jobId: number, nowMs: number): Promise<number> {
  const { changes } = await tx.run(
    "update steps set ended_at_ms = ?, outcome = 'abandoned' where job_id = ? and outcome = 'running'",
    [nowMs, jobId],
  );
  return changes;
}

/** A job's steps in the order they began; of more than {@link STEPS_MAX} the newest. */
export async function stepsOf(reader: Reader, jobId: number): Promise<StepRecord[]> {
  const rows = await reader.read(
    `select id, job_id as jobId, attempt, kind, target, why, wave, started_at_ms as startedAtMs,
       ended_at_ms as endedAtMs, outcome, detail
     from steps where job_id = ? order by id desc limit ?`,
    [jobId, STEPS_MAX],
    stepRow,
  );
  return rows.reverse();
}
