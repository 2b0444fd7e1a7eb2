/**
 * What went wrong, said so that the runner knows what to do (disposition), machines can
 * compare (reason) and a person knows how to act (message, advice).
 */

/**
 * The four dispositions of DESIGN 6. `retry`: try again with backoff. `wait`: the named thing is
 * not there yet. `stalled`: a person must act. `cancelled`: nobody wants this any more.
 */
export type Disposition = "retry" | "wait" | "stalled" | "cancelled";

/** Stable codes shared by API, log, audit and job; the prose beside them may change. */
export const REASONS = [
  "canaries-silent",
  "cancelled",
  "conflict",
  "consolidation-failed",
  "consolidation-refused",
  "deadline",
  "deleted",
  "denied",
  "foreign-object",
  "halted",
  "image-unavailable",
  "internal",
  "invalid",
  "invariant",
  "isolation-breached",
  "isolation-unproven",
  "lease-lost",
  "members-missing",
  "no-workspace",
  "not-found",
  "pod-not-ready",
  "policy-refused",
  "quota-exceeded",
  "stopped",
  "storage-class-missing",
  "superseded",
  "terminating",
  "throttled",
  "timeout",
  "unavailable",
  "unschedulable",
  "volume-lost",
  "volume-not-bound",
] as const;

/** One of {@link REASONS}. */
export type Reason = typeof REASONS[number];

/** What a {@link Fault} carries beside its message. */
export interface FaultOptions {
  /** What a person should do, as one sentence. */
  advice?: string;
  /** A server's Retry-After, in milliseconds. */
  retryAfterMs?: number;
  /** The object at fault, e.g. "pod wps-p7/research-a-0". */
  target?: string;
  /** The error beneath, for the log only. */
  cause?: unknown;
}

/** The one error type that leaves drivers, store and planner. The message never holds a secret. */
export class Fault extends Error {
  readonly disposition: Disposition;
  readonly reason: Reason;
  readonly advice: string | null;
  readonly retryAfterMs: number | null;
  readonly target: string | null;

  /** `message` reads "Cannot …: what is in the way", without a full stop. */
  constructor(disposition: Disposition, reason: Reason, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Fault";
    this.disposition = disposition;
    this.reason = reason;
    this.advice = options.advice ?? null;
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.target = options.target ?? null;
  }
}

/** Turns anything thrown into a Fault: a Fault as it is, everything else as an internal retry. */
export function toFault(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new Fault("retry", "internal", `Unexpected failure: ${message}`, { cause: thrown });
}
