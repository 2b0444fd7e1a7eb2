/** The inbox and, where configured, the broker that fills it. */
import type { Config } from "../config/schema.ts";
import type { BrokerSettings } from "../config/sections/messaging.ts";
import { type Clock, type Random, toInstant } from "../core/clock.ts";
import type { PhaseSet } from "../core/phase.ts";
import type { Delivery, Receipt } from "../intake/delivery.ts";
import { type Consumer, startConsumer } from "../intake/consumer.ts";
import type { Broker as MessageBroker } from "../intake/broker.ts";
import { createIntake, type Intake } from "../intake/group.ts";
import type { Log } from "../log.ts";
import type { Db } from "../store/db.ts";
import type { AcceptDelivery } from "./accept.ts";
import type { PartHealth } from "./health.ts";

/** The ways in. */
export interface Broker {
  accept: AcceptDelivery;
  health(): PartHealth;
  /** Stops consuming, lets the last group commit. */
  stop(): Promise<void>;
}

/** What the ways in work with; `accepted` is called after each commit. */
export interface BrokerParts {
  config: Config;
  db: Db;
  phases: PhaseSet;
  clock: Clock;
  random: Random;
  log: Log;
  /** In place of the configured one. */
  messages?: MessageBroker;
  accepted(permitIds: string[]): void;
}

/** Opens the inbox and starts consuming; never waits for the broker. */
export async function startBroker(parts: BrokerParts): Promise<Broker> {
  const { config, db, phases, clock } = parts;
  const intake = createIntake({
    db,
    clock,
    log: parts.log,
    rules: { phases, tiers: new Set(Object.keys(config.tiers)), uidRange: config.accounts.uidRange },
    onAccepted: parts.accepted,
  });
  const consumer = config.broker === null ? null : await consume(parts, config.broker, intake);
  return {
    async accept(delivery: Delivery): Promise<Receipt> {
      const [outcome] = await intake.submit([delivery]);
      if (outcome === undefined) throw new Error("the intake answered nothing");
      if ("fault" in outcome) throw outcome.fault;
      return outcome.receipt;
    },
    health: () => healthOf(consumer),
    async stop(): Promise<void> {
      await consumer?.stop();
      await intake.drain();
    },
  };
}

async function consume(parts: BrokerParts, settings: BrokerSettings, intake: Intake): Promise<Consumer> {
  const broker = parts.messages ?? await amqp(settings);
  return startConsumer({ ...parts, broker, intake, reconnectMaxMs: settings.reconnectMaxMs });
}

/** The AMQP client is loaded only where a broker is configured. */
async function amqp(settings: BrokerSettings): Promise<MessageBroker> {
  const { amqpBroker } = await import("../intake/amqp_broker.ts");
  const { caFile, reconnectMaxMs: _, ...options } = settings;
  return amqpBroker({ ...options, ca: caFile === null ? null : await Deno.readTextFile(caFile) });
}

function healthOf(consumer: Consumer | null): PartHealth {
  if (consumer === null) {
    return {
      state: "off",
      detail: "no broker is configured; REST and the command line still serve",
      since: null,
    };
  }
  const { state, sinceMs, lastError, advice, unrecorded } = consumer.health();
  const trouble = [lastError, advice, unrecorded?.message, unrecorded?.advice].filter((text) => text != null)
    .join(". ");
  const detail = trouble === "" ? state : `${state}: ${trouble}`;
  const word = {
    connected: trouble === "" ? "ok" : "degraded",
    connecting: "degraded",
    down: "down",
  } as const;
  return { state: word[state], detail, since: toInstant(sinceMs) };
}
