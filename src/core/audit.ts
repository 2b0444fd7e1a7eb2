/** Audit and outbox rows (DESIGN 11): written in the transaction of what they speak of. */

/** Who acted. `id` names: an event's source, an API key's id, an operating-system user, this boot of the service. */
export interface Actor {
  kind: "event" | "api" | "operator" | "service";
  id: string;
}

/** One audit row; chain fields are added by the store. */
export interface AuditEntry {
  atMs: number;
  permitId: string | null;
  eventSeq: number | null;
  jobId: number | null;
  actor: Actor;
  /** From a closed list, e.g. "event.accepted", "step.started", "step.done", "job.failed". */
  action: string;
  target: string;
  outcome: "intended" | "done" | "refused" | "failed";
  reason: string | null;
  requestId: string | null;
}

/** One message that must leave at least once. */
export interface OutboxMessage {
  /** "audit.events" or "workspace.events". */
  topic: string;
  /** Routing key, e.g. "workspace.ready". */
  key: string;
  permitId: string | null;
  /** JSON-able, no secrets. */
  payload: Record<string, unknown>;
}
