/**
 * Consumes the broker's queue for as long as the service runs: connect, judge and commit in groups, acknowledge,
 * and connect again after any loss (DESIGN 3). Its state is for health; REST serves without it.
 */
import type { Clock, Random } from "../core/clock.ts";
import { Fault } from "../core/fault.ts";
import { backoffMs, type RetryLimits } from "../core/retry.ts";
import type { Log } from "../log.ts";
import type { Db } from "../store/db.ts";
import { newestEventSeq } from "../store/events.ts";
import { AckNotes } from "./acks.ts";
import type { Broker, BrokerMessage, Session } from "./broker.ts";
import type { Delivery } from "./delivery.ts";
import { type Intake, isStoreFault } from "./group.ts";
import { Inbox } from "./inbox.ts";
import { type Settled, settleGroup } from "./settle.ts";
import { UnrecordedMessages, type UnrecordedText } from "./unrecorded.ts";

/** What health shows of the broker. `down`: the last attempt failed and another follows. */
export interface BrokerHealth {
  state: "connecting" | "connected" | "down";
  sinceMs: number;
  /** Why it is down, or what hinders it; never with the password. */
  lastError: string | null;
  advice: string | null;
  /** Messages that alone cannot be recorded; null: none. */
  unrecorded: UnrecordedText | null;
}

/** What a consumer works with. */
export interface ConsumerDeps {
  broker: Broker;
  intake: Intake;
  db: Db;
  clock: Clock;
  random: Random;
  log: Log;
  /** The longest pause between two attempts to connect, in milliseconds. */
  reconnectMaxMs: number;
}

/** A running consumer. */
export interface Consumer {
  health(): BrokerHealth;
  /** Takes no more deliveries, settles those it has, and closes the connection. Safe to repeat. */
  stop(): Promise<void>;
}

/** The first pause after a loss; doubles with each failure. */
const RECONNECT_FIRST_MS = 200;
/** A session that lasted this long was a good one: the next loss starts with a short pause again. */
const LASTING_MS = 5_000;
/** Pauses while the store is unavailable; the deliveries stay with us meanwhile. */
const STORE_PAUSE: RetryLimits = { attemptMax: Infinity, backoffMs: 100, backoffMaxMs: 5_000 };
/** Of a message that alone cannot be recorded, before it goes back to the queue. */
const POISON_PAUSE_MS = 200;
/** How long the end of a session waits for the broker's answers. */
const STOP_MS = 5_000;

/** Starts consuming; never throws and never ends by itself. */
export function startConsumer(deps: ConsumerDeps): Consumer {
  return new BrokerConsumer(deps);
}

class BrokerConsumer implements Consumer {
  readonly #deps: ConsumerDeps;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  readonly #unrecorded: UnrecordedMessages;
  #health: Omit<BrokerHealth, "unrecorded">;

  constructor(deps: ConsumerDeps) {
    this.#deps = deps;
    this.#unrecorded = new UnrecordedMessages(deps.log, deps.clock);
    this.#health = { state: "connecting", sinceMs: deps.clock.now(), lastError: null, advice: null };
    this.#done = this.#run();
  }

  health(): BrokerHealth {
    return { ...this.#health, unrecorded: this.#unrecorded.text() };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { clock, random, log } = this.#deps;
    const { signal } = this.#stopping;
    const limits = {
      attemptMax: Infinity,
      backoffMs: RECONNECT_FIRST_MS,
      backoffMaxMs: this.#deps.reconnectMaxMs,
    };
    for (let failures = 1; !signal.aborted; failures++) {
      const startedMs = clock.now();
      const fault = await this.#session();
      if (fault === null) return;
      if (clock.now() - startedMs >= LASTING_MS) failures = 1;
      const pauseMs = backoffMs(failures, limits, random.next(), null);
      this.#say("down", fault);
      log.warn("The broker is away; events are fetched when it is back", { error: fault, pauseMs });
      await clock.sleep(pauseMs, signal);
    }
  }

  #say(state: BrokerHealth["state"], fault: Fault | null): void {
    const sinceMs = state === this.#health.state ? this.#health.sinceMs : this.#deps.clock.now();
    this.#health = { state, sinceMs, lastError: fault?.message ?? null, advice: fault?.advice ?? null };
  }

  /** One session from connect to loss (why) or stop (null). */
  async #session(): Promise<Fault | null> {
    const { signal } = this.#stopping;
    const inbox = new Inbox();
    const over = new AbortController();
    let session: Session | null = null;
    const stop = (): void => void this.#wind(session, inbox, over.signal);
    try {
      session = await this.#deps.broker.open({
        message: (message) => inbox.add(message),
        lost: (why) => {
          inbox.end(why);
          // At once: a commit in progress may take a while before the loop sees it.
          this.#say("down", asFault(why));
        },
        blocked: (reason) => this.#noteBlocked(reason),
      });
      if (signal.aborted) return null;
      signal.addEventListener("abort", stop, { once: true });
      this.#say("connected", null);
      this.#deps.log.info("Consuming the broker's queue");
      const acks = new AckNotes(session, this.#deps.intake, this.#deps.clock, over.signal);
      const recordedBefore = await newestEventSeq(this.#deps.db);
      void acks.settleEarlier(recordedBefore);
      await this.#consume(session, inbox, acks, recordedBefore);
      return null;
    } catch (thrown) {
      return signal.aborted ? null : asFault(thrown);
    } finally {
      signal.removeEventListener("abort", stop);
      over.abort();
      await session?.close();
    }
  }

  /** Ends a session from our side: no more deliveries, and no waiting for ever for a broker that does not answer. */
  async #wind(session: Session | null, inbox: Inbox, over: AbortSignal): Promise<void> {
    const deadline = this.#deps.clock.sleep(STOP_MS, over).then(() =>
      over.aborted ? undefined : session?.close()
    );
    await session?.pause().catch(() => {});
    inbox.end(null);
    await deadline;
  }

  #noteBlocked(reason: string | null): void {
    const lastError = reason === null ? null : `The broker takes nothing from us: ${reason}`;
    this.#health = {
      ...this.#health,
      lastError,
      advice: reason === null ? null : "Look at the broker's alarms",
    };
  }

  /** Until stopped; throws why the session ended otherwise. */
  async #consume(session: Session, inbox: Inbox, acks: AckNotes, recordedBefore: number): Promise<void> {
    const { intake, clock } = this.#deps;
    for (;;) {
      const messages = await inbox.take();
      if (messages.length === 0) break;
      const deliveries = messages.map((message) => toDelivery(message, recordedBefore));
      const group = await this.#record(messages, deliveries, inbox);
      for (const { message, outcome } of group) this.#unrecorded.settled(message, outcome);
      if (group.some(({ outcome }) => "fault" in outcome)) {
        await clock.sleep(POISON_PAUSE_MS, this.#stopping.signal);
      }
      await settleGroup(session, group, acks, clock.now());
    }
    // The broker has the last acknowledgements, and we have noted that it has, before the connection closes.
    await acks.settleNow();
    await intake.drain();
  }

  /**
   * Records messages in their order. While the store is unavailable they stay with us, unacknowledged, and are tried
   * again; a message that fails alone keeps its fault.
   */
  async #record(
    messages: readonly BrokerMessage[],
    deliveries: readonly Delivery[],
    inbox: Inbox,
  ): Promise<Settled[]> {
    const { intake, clock, random, log } = this.#deps;
    const settled: Settled[] = [];
    // Deliveries that are open: always the last ones, because the intake lets nothing pass one that waits.
    let from = 0;
    for (let attempt = 1;; attempt++) {
      const outcomes = await intake.submit(deliveries.slice(from));
      const failed = outcomes.findIndex((outcome) => "fault" in outcome && isStoreFault(outcome.fault));
      const recorded = failed < 0 ? outcomes : outcomes.slice(0, failed);
      for (const outcome of recorded) {
        const message = messages[from++];
        if (message !== undefined) settled.push({ message, outcome });
      }
      const waiting = outcomes[failed];
      if (waiting === undefined || !("fault" in waiting)) return settled;
      inbox.throwIfLost();
      if (this.#stopping.signal.aborted) throw waiting.fault;
      log.error("Events wait: the store does not take them", {
        error: waiting.fault,
        waiting: messages.length - from,
      });
      await clock.sleep(backoffMs(attempt, STORE_PAUSE, random.next(), null), this.#stopping.signal);
    }
  }
}

function toDelivery(message: BrokerMessage, recordedBefore: number): Delivery {
  const { redelivered } = message;
  return {
    raw: message,
    channel: "amqp",
    redelivered,
    recordedBefore,
    actor: null,
    requestId: null,
    within: null,
  };
}

function asFault(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new Fault("retry", "unavailable", `The broker's session ended: ${why}`, {
    advice: "WPS connects again by itself; look at RabbitMQ's log when this repeats",
    cause: thrown,
  });
}
