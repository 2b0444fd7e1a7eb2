/** Notes in the inbox which acknowledgements the broker has for sure (DESIGN 3: messages without an id). */
import type { Clock } from "../core/clock.ts";
import type { Session } from "./broker.ts";
import type { Intake, Outcome } from "./group.ts";

/**
 * How long an acknowledgement must have been with a broker that is still alive. A quorum queue answers before it
 * has written the acknowledgements to disk: RabbitMQ 3.10, killed at once, delivered them again.
 */
export const ACK_SETTLES_MS = 2_000;

/**
 * After this long a broker has delivered again whatever earlier sessions left open: a cluster notices a lost node
 * within a minute. Not after the first new message: killed and restarted, RabbitMQ delivers what is new first.
 */
export const EARLIER_SETTLES_MS = 120_000;

/** The acknowledgements of one session on their way. What a lost session leaves open stays open: its rows absorb. */
export class AckNotes {
  readonly #session: Session;
  readonly #intake: Intake;
  readonly #clock: Clock;
  readonly #over: AbortSignal;
  /** Oldest first. */
  readonly #sent: { seq: number; atMs: number }[] = [];
  #settling = false;

  /** `over` aborts when the session has ended. */
  constructor(session: Session, intake: Intake, clock: Clock, over: AbortSignal) {
    this.#session = session;
    this.#intake = intake;
    this.#clock = clock;
    this.#over = over;
  }

  /** These were acknowledged just now. Only rows without an id ever ask whether that arrived. */
  sent(outcomes: readonly Outcome[]): void {
    const atMs = this.#clock.now();
    for (const outcome of outcomes) {
      if ("receipt" in outcome && outcome.receipt.id === null) {
        this.#sent.push({ seq: outcome.receipt.seq, atMs });
      }
    }
    // The session's loss ends it, and says so elsewhere.
    if (!this.#settling && this.#sent.length > 0) void this.#settle().catch(() => {});
  }

  /** Rows up to this one, of earlier sessions, stop absorbing once this session has lasted. */
  async settleEarlier(recordedBefore: number): Promise<void> {
    await this.#clock.sleep(EARLIER_SETTLES_MS, this.#over);
    if (!this.#over.aborted) this.#intake.noteAllAcked(recordedBefore);
  }

  /** Waits for the broker's answer, not for its disk: for the end of a session in good order. */
  async settleNow(): Promise<void> {
    await this.#session.barrier();
    this.#note(Infinity);
  }

  async #settle(): Promise<void> {
    this.#settling = true;
    for (let oldest = this.#sent[0]; oldest !== undefined; oldest = this.#sent[0]) {
      await this.#clock.sleep(oldest.atMs + ACK_SETTLES_MS - this.#clock.now(), this.#over);
      if (this.#over.aborted) return;
      const untilMs = this.#clock.now() - ACK_SETTLES_MS;
      await this.#session.barrier();
      this.#note(untilMs);
    }
    this.#settling = false;
  }

  #note(untilMs: number): void {
    const end = this.#sent.findIndex(({ atMs }) => atMs > untilMs);
    this.#intake.noteAcked(this.#sent.splice(0, end < 0 ? this.#sent.length : end).map(({ seq }) => seq));
  }
}
