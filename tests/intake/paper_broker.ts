/** A broker on paper: one queue with RabbitMQ's rules as intake relies on them, and faults to order. */
import type { Broker, BrokerMessage, DeadLetter, Session, SessionListener } from "../../src/intake/broker.ts";
import type { RawMessage } from "../../src/intake/envelope.ts";
import { rawMessage } from "./messages.ts";

interface Queued {
  raw: RawMessage;
  redelivered: boolean;
  deliveries: number;
}

/** One queue: unsettled messages return to its head when a session ends, marked as redelivered. */
export class PaperBroker implements Broker {
  readonly queue: Queued[] = [];
  readonly deadLetters: DeadLetter[] = [];
  /** What `open` rejects with next; null: it works. */
  refuses: Error | null = null;
  /** What dead letters are refused with; null: they are stored. */
  refusesLetters: Error | null = null;
  opened = 0;
  session: PaperSession | null = null;
  /** Every acknowledgement in order. */
  readonly acks: { tag: number; upTo: boolean }[] = [];

  /** Publishes a message to the queue. */
  publish(body: unknown, properties: Partial<RawMessage> = {}): void {
    const raw = rawMessage(body, { routingKey: "permit.status.updated", ...properties });
    this.queue.push({ raw, redelivered: false, deliveries: 0 });
    this.session?.deliver();
  }

  open(listener: SessionListener): Promise<Session> {
    this.opened++;
    if (this.refuses !== null) return Promise.reject(this.refuses);
    this.session = new PaperSession(this, listener);
    queueMicrotask(() => this.session?.deliver());
    return Promise.resolve(this.session);
  }
}

/** See {@link PaperBroker}. */
export class PaperSession implements Session {
  readonly unsettled = new Map<number, Queued>();
  paused = false;
  closed = false;
  readonly #broker: PaperBroker;
  readonly #listener: SessionListener;
  #tags = 0;

  constructor(broker: PaperBroker, listener: SessionListener) {
    this.#broker = broker;
    this.#listener = listener;
  }

  /** Hands over everything that waits. */
  deliver(): void {
    while (!this.paused && !this.closed) {
      const next = this.#broker.queue.shift();
      if (next === undefined) return;
      const tag = ++this.#tags;
      this.unsettled.set(tag, next);
      const { raw, redelivered } = next;
      const message: BrokerMessage = {
        ...raw,
        tag,
        redelivered,
        routingKey: raw.routingKey ?? "",
        exchange: "permit.events",
      };
      next.deliveries++;
      this.#listener.message(message);
    }
  }

  /** The broker or the network ends the session. */
  lose(why: Error): void {
    this.#return();
    this.#listener.lost(why);
  }

  /** The broker's alarm. */
  block(reason: string | null): void {
    this.#listener.blocked(reason);
  }

  ack(tag: number, upTo: boolean): void {
    if (this.closed) return;
    this.#broker.acks.push({ tag, upTo });
    for (const known of [...this.unsettled.keys()]) {
      if (known === tag || (upTo && known < tag)) this.unsettled.delete(known);
    }
  }

  giveBack(tag: number): void {
    const message = this.unsettled.get(tag);
    if (message === undefined || this.closed) return;
    this.unsettled.delete(tag);
    this.#broker.queue.unshift({ ...message, redelivered: true });
    queueMicrotask(() => this.deliver());
  }

  deadLetter(letter: DeadLetter): Promise<void> {
    if (this.#broker.refusesLetters !== null) return Promise.reject(this.#broker.refusesLetters);
    this.#broker.deadLetters.push(letter);
    return Promise.resolve();
  }

  barrier(): Promise<number> {
    return this.closed ? Promise.reject(new Error("closed")) : Promise.resolve(this.#broker.queue.length);
  }

  pause(): Promise<void> {
    this.paused = true;
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#return();
    return Promise.resolve();
  }

  #return(): void {
    if (this.closed) return;
    this.closed = true;
    const left = [...this.unsettled.values()].map((message) => ({ ...message, redelivered: true }));
    this.unsettled.clear();
    this.#broker.queue.unshift(...left);
  }
}
