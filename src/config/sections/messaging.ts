/** The event broker (RabbitMQ) and the optional read model (Redis). */
import { z } from "zod";
import { count, duration, readableFile, secretFile, section, text, url } from "../fields.ts";

/** `broker:`; absent: no broker, REST and the command line still serve. */
export interface BrokerSettings {
  /** With user and password. A secret. */
  url: string;
  /** The authority that signed the broker's certificate; null: the system's. */
  caFile: string | null;
  exchange: string;
  queue: string;
  deadLetterQueue: string;
  /** Unacknowledged deliveries at once; also the most that one commit groups. */
  prefetch: number;
  heartbeatMs: number;
  connectTimeoutMs: number;
  /** The longest pause between two attempts to connect. */
  reconnectMaxMs: number;
}

/** `redis:`; absent: no read model. */
export interface RedisSettings {
  /** A secret when it carries a password. */
  url: string;
  caFile: string | null;
}

/** AMQP 0-9-1: names of queues and exchanges are short strings of at most 255 bytes. */
function amqpName(): z.ZodString {
  return text(/^[A-Za-z0-9._:-]{1,255}$/, 'a name of letters, digits and "-_.:"');
}

/** `broker:`. */
export const brokerSection: z.ZodType<BrokerSettings | null> = section({
  url: url(["amqp:", "amqps:"], "amqps://wps@broker/spe").meta({ secretUrl: true }),
  urlFile: secretFile().optional(),
  caFile: readableFile().optional(),
  exchange: amqpName().default("permit.events"),
  queue: amqpName().default("wps.permit-events"),
  deadLetterQueue: amqpName().default("wps.dead-letters"),
  prefetch: count(1, 10_000).default(200),
  // AMQP counts heartbeats in whole seconds, 16 bits. The store works synchronously: FACTS 1 asks for a large one.
  heartbeat: duration(5000, 600_000).prefault("60s"),
  connectTimeout: duration(100, 120_000).prefault("10s"),
  reconnectMax: duration(100, 600_000).prefault("30s"),
}).transform((given): BrokerSettings => ({
  url: given.url,
  caFile: given.caFile ?? null,
  exchange: given.exchange,
  queue: given.queue,
  deadLetterQueue: given.deadLetterQueue,
  prefetch: given.prefetch,
  heartbeatMs: given.heartbeat,
  connectTimeoutMs: given.connectTimeout,
  reconnectMaxMs: given.reconnectMax,
})).optional().transform((given) => given ?? null);

/** `redis:`. */
export const redisSection: z.ZodType<RedisSettings | null> = section({
  url: url(["redis:", "rediss:"], "redis://cache:6379").meta({ secretUrl: true }),
  urlFile: secretFile().optional(),
  caFile: readableFile().optional(),
}).transform(({ url: address, caFile }): RedisSettings => ({ url: address, caFile: caFile ?? null }))
  .optional().transform((given) => given ?? null);
