/** WPS's intake on a real broker and a real store, and an independent publisher: amqplib alone, none of our code. */
import amqp from "amqplib";
import { Buffer } from "node:buffer";
import type { AcceptRules } from "../../src/intake/accept.ts";
import { amqpBroker } from "../../src/intake/amqp_broker.ts";
import type { Broker } from "../../src/intake/broker.ts";
import { type Consumer, startConsumer } from "../../src/intake/consumer.ts";
import { createIntake, type Intake } from "../../src/intake/group.ts";
import { createLog } from "../../src/log.ts";
import { MACHINE_CLOCK, MACHINE_RANDOM } from "../../src/machine.ts";
import type { Db } from "../../src/store/db.ts";
import type { EventRow } from "../../src/store/events.ts";
import { openStore, type Store } from "../../src/store/open.ts";
import { builtInPhases } from "../core/plan_fixture.ts";
import { allEvents } from "../intake/fixture.ts";
import { until } from "../services/until.ts";

/** Names of one test's own queues on the shared broker. */
export interface Names {
  exchange: string;
  queue: string;
  deadLetterQueue: string;
}

/** Names that nobody else uses. */
export function freshNames(): Names {
  const tag = crypto.randomUUID().slice(0, 8);
  return {
    exchange: `permit.events.${tag}`,
    queue: `wps.permit-events.${tag}`,
    deadLetterQueue: `wps.dead-letters.${tag}`,
  };
}

/** A short heartbeat, so that a frozen broker is noticed within the test's patience. */
const HEARTBEAT_MS = 1_000;

/** Intake over one state directory. */
export interface Station {
  store: Store;
  intake: Intake;
  consumer: Consumer;
  events(): Promise<EventRow[]>;
  /** Waits until the consumer is connected and consumes. */
  connected(): Promise<void>;
  /** Stops in good order. */
  stop(): Promise<void>;
}

/** What a test may put between the parts. */
export interface StationOptions {
  url: string;
  names: Names;
  directory: string;
  prefetch?: number;
  /** PEM of the broker's authority. */
  ca?: string;
  broker?(real: Broker): Broker;
  db?(real: Db): Db;
}

/** Opens the store and starts consuming. Log lines of warnings go to stderr with WPS_TEST_LOG=1. */
export async function startStation(options: StationOptions): Promise<Station> {
  const store = await openStore({ directory: options.directory, nowMs: Date.now() });
  const rules: AcceptRules = {
    phases: await builtInPhases(),
    tiers: new Set(["standard"]),
    uidRange: [30_000, 59_999],
  };
  const log = createLog({ level: "info", format: "text", clock: MACHINE_CLOCK, write: logLine });
  const db = options.db?.(store.db) ?? store.db;
  const intake = createIntake({ db, rules, clock: MACHINE_CLOCK, log, onAccepted: () => {} });
  const real = amqpBroker({
    url: options.url,
    ...options.names,
    ca: options.ca ?? null,
    prefetch: options.prefetch ?? 200,
    heartbeatMs: HEARTBEAT_MS,
    connectTimeoutMs: 2_000,
  });
  const consumer = startConsumer({
    broker: options.broker?.(real) ?? real,
    intake,
    db,
    clock: MACHINE_CLOCK,
    random: MACHINE_RANDOM,
    log,
    reconnectMaxMs: 500,
  });
  return {
    store,
    intake,
    consumer,
    events: () => allEvents(store.db),
    connected: async () =>
      void await until("the consumer is connected", () => consumer.health().state === "connected"),
    async stop(): Promise<void> {
      await consumer.stop();
      await intake.drain();
      await store.close();
    },
  };
}

function logLine(line: string): void {
  if (Deno.env.get("WPS_TEST_LOG") === "1") console.error(line.trimEnd());
}

/** A message as the publisher sends it. */
export interface Letter {
  type: string;
  body: unknown;
  id?: string;
  headers?: Record<string, unknown>;
  contentType?: string;
}

/** A plain AMQP client of somebody else. */
export class Publisher {
  readonly #connection: amqp.ChannelModel;
  readonly channel: amqp.ConfirmChannel;

  private constructor(connection: amqp.ChannelModel, channel: amqp.ConfirmChannel) {
    this.#connection = connection;
    this.channel = channel;
  }

  static async connect(url: string): Promise<Publisher> {
    const connection = await amqp.connect(url);
    connection.on("error", () => {});
    const channel = await connection.createConfirmChannel();
    channel.on("error", () => {});
    return new Publisher(connection, channel);
  }

  /** Publishes and waits for the broker's confirmation of all. */
  async publish(exchange: string, letters: readonly Letter[]): Promise<void> {
    for (const { type, body, id, headers, contentType } of letters) {
      const bytes = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
      this.channel.publish(exchange, type, bytes, { persistent: true, messageId: id, headers, contentType });
    }
    await this.channel.waitForConfirms();
  }

  /** Takes one message from a queue, or null. */
  async take(queue: string): Promise<amqp.GetMessage | null> {
    return await this.channel.get(queue, { noAck: true }) || null;
  }

  async close(): Promise<void> {
    await this.#connection.close().catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
