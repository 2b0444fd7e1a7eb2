/** Messages that alone cannot be recorded: told once each, and remembered for health until they are recorded. */
import { createHash } from "node:crypto";
import { type Clock, toInstant } from "../core/clock.ts";
import type { Fault } from "../core/fault.ts";
import type { Log } from "../log.ts";
import type { BrokerMessage } from "./broker.ts";
import type { Outcome } from "./group.ts";

/** What health says while there is any. */
export interface UnrecordedText {
  message: string;
  advice: string;
}

/** Told one by one. More at a time are a defect that each message meets: the next one says nothing new. */
export const TOLD_MAX = 200;
/**
 * A message given back comes again at once, so one that has not come for so long lies in the dead letters. Health
 * names it long enough for whoever looks once an hour; the log has it for good.
 */
export const REMEMBERED_MS = 3_600_000;

const ADVICE = "Look for the message id in the log, mend the cause, and publish the message again from the " +
  "dead letters: RabbitMQ moves it there after 20 deliveries";

interface Unrecorded {
  name: string;
  message: string;
  lastMs: number;
}

/** Those of one consumer. */
export class UnrecordedMessages {
  readonly #log: Log;
  readonly #clock: Pick<Clock, "now">;
  readonly #known = new Map<string, Unrecorded>();
  #isFullTold = false;

  constructor(log: Log, clock: Pick<Clock, "now">) {
    this.#log = log;
    this.#clock = clock;
  }

  /** What became of a message: the first fault is told at `error`, its recording forgets it. Never the body. */
  settled(message: BrokerMessage, outcome: Outcome): void {
    if ("fault" in outcome) this.#failed(message, outcome.fault);
    else if (this.#known.size > 0) this.#recorded(message, outcome.receipt.seq);
  }

  /** The newest one and how many there are; null: none. */
  text(): UnrecordedText | null {
    this.#forget();
    const newest = [...this.#known.values()].at(-1);
    if (newest === undefined) return null;
    const { size } = this.#known;
    const count = size === 1 ? "A message" : `${size < TOLD_MAX ? size : `${size} or more`} messages`;
    const since = toInstant(newest.lastMs);
    return {
      message: `${count} could not be recorded, last ${newest.name} at ${since}: ${newest.message}`,
      advice: ADVICE,
    };
  }

  #failed(message: BrokerMessage, fault: Fault): void {
    const key = keyOf(message);
    const name = `${message.routingKey} ${message.messageId ?? "without a message id"}`;
    const isKnown = this.#known.delete(key);
    if (!isKnown) this.#forget();
    if (!isKnown && this.#known.size >= TOLD_MAX) return this.#tellFull();
    // Anew, so that the newest is the last.
    this.#known.set(key, { name, message: fault.message, lastMs: this.#clock.now() });
    if (isKnown) return;
    this.#log.error("A message cannot be recorded; it goes back to the queue", {
      messageId: message.messageId,
      routingKey: message.routingKey,
      sha256: sha256(message.body),
      bytes: message.body.byteLength,
      redelivered: message.redelivered,
      error: fault,
      // Mostly a defect: whoever mends it needs the place.
      stack: fault.cause instanceof Error ? fault.cause.stack : undefined,
      advice: fault.advice ?? ADVICE,
    });
  }

  #tellFull(): void {
    if (this.#isFullTold) return;
    this.#isFullTold = true;
    this.#log.error("More messages cannot be recorded; they are not told one by one", { told: TOLD_MAX });
  }

  #recorded(message: BrokerMessage, event: number): void {
    if (!this.#known.delete(keyOf(message))) return;
    this.#isFullTold = false;
    const { messageId, routingKey } = message;
    this.#log.info("A message that could not be recorded is recorded", { messageId, routingKey, event });
  }

  #forget(): void {
    const untilMs = this.#clock.now() - REMEMBERED_MS;
    for (const [key, { lastMs }] of this.#known) {
      if (lastMs > untilMs) return;
      this.#known.delete(key);
      this.#isFullTold = false;
    }
  }
}

/** The same for each delivery of a message, and when it is published again from the dead letters. */
function keyOf({ messageId, body }: BrokerMessage): string {
  return messageId === null ? `body ${sha256(body)}` : `id ${messageId}`;
}

function sha256(body: Uint8Array): string {
  return createHash("sha256").update(body).digest("hex");
}
