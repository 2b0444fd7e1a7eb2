/** The one interface between WPS and a platform (Kubernetes, Proxmox, lab). */
import type { IsolationEvidence } from "./evidence.ts";
import type { Observed } from "./observed.ts";
import type { Action } from "./step.ts";

/** What an action may need beside its own fields. */
export interface ApplyContext {
  permitId: string;
  signal: AbortSignal;
  /** Of the job: where calls queue, the lower goes ahead. Absent: as a reconcile. */
  priority?: number;
  /** The connection password of a workspace; `rotate` makes and stores a new one first. */
  password(workspaceKey: string, rotate: boolean): Promise<string>;
  /** A holder's SFTP host key, made once and sealed (DESIGN 4). OpenSSH private key format (PEM). */
  hostKey(holder: string): Promise<string>;
}

/** What a probe may need. */
export type ProbeContext = Pick<ApplyContext, "permitId" | "signal" | "priority">;

/** What an action leaves for audit and evidence; plain text, no secrets. */
export interface ApplyResult {
  /** One line for the job's step, e.g. "3 objects applied". */
  detail: string;
  /** prove-isolation: what was tried and seen; at most 4096 bytes as JSON. */
  evidence?: IsolationEvidence;
}

/** What a probe beside a running instance found (DESIGN 8: repeated while running). */
export type Probe =
  /** Nothing was reached although the canaries were alive before and after. Evidence as in {@link ApplyResult}. */
  | { found: "isolated"; evidence: IsolationEvidence }
  /** Something was reached: `reached` names it. */
  | { found: "breached"; reached: string[]; evidence: IsolationEvidence }
  /** Nothing can be said: the instance went meanwhile, the canaries are silent, the probe could not run. */
  | { found: "unknown"; why: string };

/** Whose object changed: one of WPS, or one beside them that may open what they deny. */
export type Whose = "ours" | "foreign";

/** One line of the startup self-check. */
export interface CheckLine {
  check: string;
  result: "ok" | "warning" | "failed";
  detail: string;
  /** What to do; empty when ok. */
  advice: string;
}

/**
 * Observe never mutates; apply tolerates repetition. Everything that goes wrong leaves as a Fault with one
 * of the four dispositions. Invariant 8: nothing without our mark for this permit is touched.
 */
export interface Driver {
  readonly name: string;
  /** Everything of one permit, read from the platform itself, never from a cache. `priority` as {@link ApplyContext}'s. */
  observe(permitId: string, signal: AbortSignal, priority?: number): Promise<Observed>;
  apply(action: Action, context: ApplyContext): Promise<ApplyResult>;
  /**
   * Shows for a running instance, by packets from beside it, that it still has no way out. Faults as `apply`; what
   * merely cannot be said now is `unknown`. Takes seconds, and changes nothing of the permit.
   */
  probe(target: { workspaceKey: string; instanceUid: string }, context: ProbeContext): Promise<Probe>;
  /** Calls `changed` with a permit whose objects changed; runs until aborted, reconnecting by itself. May miss, may repeat. */
  watch(changed: (permitId: string, whose: Whose) => void, signal: AbortSignal): Promise<void>;
  /** The startup self-check (issue: each with a clear line). Never throws. */
  check(signal: AbortSignal): Promise<CheckLine[]>;
  /** The permits that have objects on the platform: for the drift pass and orphans. */
  list(signal: AbortSignal): Promise<string[]>;
  close(): Promise<void>;
}
