/**
 * RabbitMQ as WPS meets it: a durable queue, sessions that break, acknowledgements that are processed late or never,
 * and redelivery of whatever was not acknowledged, behind what is new (FACTS: RabbitMQ 3.10).
 */
import type { Broker, BrokerMessage, DeadLetter, Session, SessionListener } from "../../src/intake/broker.ts";
import type { Faults } from "./faults.ts";
import { type Life, never } from "./life.ts";
import type { Timeline } from "./timeline.ts";

/** From sending to arriving, either way. */
const LATENCY_MS = 2;
/** Unacknowledged messages that one session may have; as the real consumer asks for. */
const PREFETCH = 100;
/** A quorum queue writes acknowledgements down within this time; killed before, it delivers again. */
const UNWRITTEN_MS = 1_500;
/** A broker notices a vanished client at the latest after two missed heartbeats. */
const NOTICE_DEATH_MAX_MS = 20_000;

/** A message as it was published. */
export interface Published {
  /** Counts up over the whole run. */
  serial: number;
  routingKey: string;
  messageId: string | null;
  body: Uint8Array;
}

interface Queued {
  published: Published;
  deliveries: number;
}

/** The broker's server. */
export class BrokerServer {
  readonly #ready: Queued[] = [];
  readonly #sessions = new Set<ServerSession>();
  readonly deadLetters: { serial: number; reasons: string }[] = [];
  /** Acknowledged for good. */
  readonly settled = new Map<number, Published>();
  isDown = false;

  constructor(readonly timeline: Timeline, readonly faults: Faults) {}

  /** Messages that nobody has acknowledged for good. */
  get open(): number {
    return this.#ready.length + [...this.#sessions].reduce((sum, session) => sum + session.unsettled.size, 0);
  }

  /** Stores a message in the queue. */
  publish(published: Published): void {
    this.#ready.push({ published, deliveries: 0 });
    this.#deliver();
  }

  /** The broker goes away, with all sessions; the queue is durable. */
  goDown(): void {
    this.isDown = true;
    for (const session of [...this.#sessions]) session.break("the broker is gone");
  }

  /** It is back. */
  comeUp(): void {
    this.isDown = false;
  }

  /** The broker as one process connects to it. */
  clientOf(life: Life): Broker {
    return {
      open: async (listener) => {
        if (life.isDead) return await never();
        await life.gate(this.timeline.sleep(LATENCY_MS));
        if (this.isDown) throw new Error("connection refused");
        const session = new ServerSession(this, life, listener);
        this.#sessions.add(session);
        // The client has the session before the first message comes.
        this.timeline.at(LATENCY_MS, () => this.#deliver());
        return session;
      },
    };
  }

  /** A session is over: what it left open is delivered again, behind what is new. */
  ended(session: ServerSession, open: Queued[]): void {
    this.#sessions.delete(session);
    this.#ready.push(...open);
    this.#deliver();
  }

  /** Puts one message back. */
  giveBack(queued: Queued): void {
    this.#ready.push(queued);
    this.#deliver();
  }

  /** After so long a client that died is noticed. */
  noticeMs(): number {
    return this.faults.draw("crash-any-time").between(1, NOTICE_DEATH_MAX_MS);
  }

  #deliver(): void {
    for (const session of this.#sessions) {
      while (session.takes()) {
        const next = this.#ready.shift();
        if (next === undefined) return;
        session.deliver(next);
      }
    }
  }
}

/** One connection, as the server keeps it and as the client uses it. */
class ServerSession implements Session {
  /** Delivered and not settled, by tag. */
  readonly unsettled = new Map<number, Queued>();
  readonly #recent: { queued: Queued; atMs: number }[] = [];
  #tag = 0;
  #isPaused = false;
  #isOver = false;

  constructor(
    readonly server: BrokerServer,
    readonly life: Life,
    readonly listener: SessionListener,
  ) {
    life.onDeath(() => server.timeline.at(server.noticeMs(), () => this.#end()));
  }

  takes(): boolean {
    return !this.#isPaused && !this.#isOver && this.unsettled.size < PREFETCH;
  }

  deliver(queued: Queued): void {
    const tag = ++this.#tag;
    const redelivered = queued.deliveries++ > 0;
    this.unsettled.set(tag, queued);
    const { published: { body, routingKey, messageId } } = queued;
    const message: BrokerMessage = {
      body,
      routingKey,
      messageId,
      tag,
      redelivered,
      exchange: "permit.events",
      contentType: "application/json",
      contentEncoding: null,
      headers: {},
    };
    const { timeline, faults } = this.server;
    timeline.at(LATENCY_MS, () => {
      if (this.#isOver) return;
      this.life.reach(() => this.listener.message(message));
      if (faults.strikes("channel-lost")) this.break("the channel was closed");
    });
  }

  /** The connection breaks: the client hears of it, the server delivers again. */
  break(why: string): void {
    if (this.#isOver) return;
    this.#end();
    this.life.reach(() => this.listener.lost(new Error(why)));
  }

  ack(tag: number, upTo: boolean): void {
    this.#send(() => {
      const tags = upTo ? [...this.unsettled.keys()].filter((known) => known <= tag) : [tag];
      if (this.server.faults.strikes("acknowledgement-lost")) {
        return this.break("lost before it was processed");
      }
      for (const each of tags) this.#settle(each);
    });
  }

  giveBack(tag: number): void {
    this.#send(() => {
      const queued = this.unsettled.get(tag);
      this.unsettled.delete(tag);
      if (queued !== undefined) this.server.giveBack(queued);
    });
  }

  async deadLetter(letter: DeadLetter): Promise<void> {
    await this.#roundTrip();
    const serial = this.unsettled.get(letter.message.tag)?.published.serial ?? -1;
    this.server.deadLetters.push({ serial, reasons: JSON.stringify(letter.reasons) });
  }

  async barrier(): Promise<number> {
    await this.#roundTrip();
    return 0;
  }

  async pause(): Promise<void> {
    this.#isPaused = true;
    await this.#roundTrip();
  }

  async close(): Promise<void> {
    if (this.life.isDead) return await never();
    await this.life.gate(this.server.timeline.sleep(LATENCY_MS));
    this.#end();
  }

  /** To the server, if the connection still stands when it gets there. */
  #send(act: () => void): void {
    if (this.life.isDead || this.#isOver) return;
    this.server.timeline.at(LATENCY_MS, () => {
      if (!this.#isOver) act();
    });
  }

  async #roundTrip(): Promise<void> {
    if (this.life.isDead) return await never();
    await this.life.gate(this.server.timeline.sleep(2 * LATENCY_MS));
    if (this.#isOver) throw new Error("the session is over");
  }

  #settle(tag: number): void {
    const queued = this.unsettled.get(tag);
    if (queued === undefined) return;
    this.unsettled.delete(tag);
    this.server.settled.set(queued.published.serial, queued.published);
    this.#recent.push({ queued, atMs: this.server.timeline.now() });
  }

  /** What a broker that was killed had acknowledged but not written down. */
  #forgotten(): Queued[] {
    const sinceMs = this.server.timeline.now() - UNWRITTEN_MS;
    return this.#recent.filter(({ atMs }) => atMs >= sinceMs && this.server.faults.strikes("delivered-again"))
      .map(({ queued }) => queued);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const open = [...this.unsettled.values(), ...this.#forgotten()];
    this.unsettled.clear();
    this.server.ended(this, open);
  }
}
