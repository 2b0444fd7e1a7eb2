/** What the ways in (broker, REST, command line) hand over, and what they get back. */
import type { Actor } from "../core/audit.ts";
import type { FieldError, UnknownFields, Verdict } from "../core/event.ts";
import type { Channel } from "../store/events.ts";
import type { Tx } from "../store/db.ts";
import type { RawMessage } from "./envelope.ts";

/** One message to be judged and recorded. */
export interface Delivery {
  raw: RawMessage;
  channel: Channel;
  /** The broker delivered it before, perhaps to us. */
  redelivered: boolean;
  /**
   * The newest event when the broker's session began. Only of events up to this one may the acknowledgement be lost:
   * what a session delivered it does not deliver again. Of no interest but for redeliveries.
   */
  recordedBefore: number;
  /** Who is behind it; null: the event's own source. */
  actor: Actor | null;
  requestId: string | null;
  /**
   * Runs in the same transaction once the verdict stands, e.g. to keep the answer of an Idempotency-Key (DESIGN 10).
   * When it throws, nothing of this delivery is kept.
   */
  within: ((tx: Tx, receipt: Receipt) => Promise<void>) | null;
}

/** What was recorded. */
export interface Receipt {
  /** The event's number in the inbox. */
  seq: number;
  verdict: Verdict;
  source: string | null;
  id: string | null;
  type: string | null;
  permitId: string | null;
  /** Why the verdict is not `accepted`; of a rejected one a reason per field, else one with an empty path. */
  reasons: FieldError[];
  unknownFields: UnknownFields;
  /** The job that was queued; null: none. */
  jobId: number | null;
}
