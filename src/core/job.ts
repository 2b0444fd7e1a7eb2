/** Jobs (DESIGN 6): what the runner claims, applies, and records. */
import type { Reason } from "./fault.ts";
import type { StepKind } from "./step.ts";

/** What a job was made for. */
export const JOB_KINDS = ["halt", "delete", "stop", "reconcile", "drift"] as const;
/** One of {@link JOB_KINDS}. */
export type JobKind = typeof JOB_KINDS[number];

/** `queued → running → succeeded | failed | cancelled | superseded`; a retry is queued with a later runAt. */
export const JOB_STATES = ["queued", "running", "succeeded", "failed", "cancelled", "superseded"] as const;
/** One of {@link JOB_STATES}. */
export type JobState = typeof JOB_STATES[number];

/** Lower runs first: cutting access before giving it. */
export const JOB_PRIORITY: Record<JobKind, number> = {
  halt: 0,
  delete: 10,
  stop: 20,
  reconcile: 50,
  drift: 90,
};

/** From this priority on down a job only takes access away and may use the urgent lane. */
export const URGENT_PRIORITY_MAX = 20;

/**
 * Whether a job takes access away and gives nothing: a drift that found access which must not stand. What it is to
 * give is left to an ordinary one behind it.
 */
export function takesOnly(job: Pick<Job, "kind" | "priority">): boolean {
  return job.kind === "drift" && job.priority <= URGENT_PRIORITY_MAX;
}

/**
 * Whether a job has a more urgent place than its kind asks for, inherited from one that it superseded while access was
 * being cut. It keeps the place until nothing is left to be taken: cutting comes before giving, not giving.
 */
export function isHastened(job: Pick<Job, "kind" | "priority">): boolean {
  return !takesOnly(job) && job.priority <= URGENT_PRIORITY_MAX &&
    JOB_PRIORITY[job.kind] > URGENT_PRIORITY_MAX;
}

/** One job. Times are epoch milliseconds. */
export interface Job {
  id: number;
  permitId: string;
  kind: JobKind;
  state: JobState;
  priority: number;
  /** The permit's version it works towards. */
  version: number;
  /** Sequence number of the event that caused it; null: drift, retry by an operator. */
  eventSeq: number | null;
  attempt: number;
  runAtMs: number;
  createdAtMs: number;
  startedAtMs: number | null;
  endedAtMs: number | null;
  /** Which boot of the service claimed it. */
  bootEpoch: string | null;
  /** Raised by each claim; every write of a job's outcome carries it. */
  fence: number;
  /** What it waits for right now, by name; null: it is working. */
  waitingFor: string | null;
  /** When the present wait began, for people; null: it waits for nothing. Deadlines count from the steps. */
  waitingSinceMs: number | null;
  /** Of the last fault, or of what keeps the present wait from ending by itself; that has no message but `waitingFor`. */
  reason: Reason | null;
  message: string | null;
  advice: string | null;
  /** A person has cancelled it; it ends at its next step boundary. */
  cancelRequested: boolean;
  stepsDone: number;
  stepsTotal: number;
}

/** One step as it happened. */
export interface StepRecord {
  id: number;
  jobId: number;
  attempt: number;
  kind: StepKind;
  target: string;
  why: string;
  wave: number;
  startedAtMs: number;
  endedAtMs: number | null;
  outcome: "running" | "done" | "waited" | "failed" | "abandoned";
  detail: string | null;
}

/** A claim that a job's writes carry: a stale one changes nothing. */
export interface JobClaim {
  jobId: number;
  fence: number;
}
