/** Queues and exchanges on the broker (DESIGN 3): what is declared, and what it means when that is refused. */
import type { Options } from "amqplib";
import { Fault } from "../core/fault.ts";

/** The names; the defaults are DESIGN's. */
export interface Topology {
  exchange: string;
  queue: string;
  deadLetterQueue: string;
}

/** Everything that the Permit Manager and its neighbours say of permits. */
export const BINDING = "permit.#";

/**
 * Deliveries of one message without an acknowledgement (counted from 0) before the broker itself dead-letters it, so
 * that one that kills the service cannot loop; RabbitMQ 4's own default. Not too low: every crash of the service
 * counts for all messages in flight.
 */
const DELIVERY_LIMIT = 20;

/** Replicated where the broker is a cluster, and always on disk. */
export const EXCHANGE_OPTIONS: Options.AssertExchange = { durable: true };

/** The dead letters stay until somebody looks. */
export const DEAD_LETTER_OPTIONS: Options.AssertQueue = {
  durable: true,
  arguments: { "x-queue-type": "quorum" },
};

/** The inbox's queue. At-least-once dead-lettering asks for reject-publish, which acts only where a site sets a length. */
export function queueOptions(topology: Topology): Options.AssertQueue {
  return {
    durable: true,
    arguments: {
      "x-queue-type": "quorum",
      "x-delivery-limit": DELIVERY_LIMIT,
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": topology.deadLetterQueue,
      "x-dead-letter-strategy": "at-least-once",
      "x-overflow": "reject-publish",
    },
  };
}

/** A refused connection or declaration as a Fault; `where` is the broker without user and password. */
export function toBrokerFault(thrown: unknown, where: string, topology: Topology): Fault {
  if (thrown instanceof Fault) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const code = /\b(403|404|406|530)\b/.exec(text)?.[1] ?? "";
  const options = { advice: adviceFor(code, text, topology), target: where, cause: thrown };
  const lasting = code === "403" || code === "406" || code === "530";
  return new Fault(
    lasting ? "stalled" : "retry",
    code === "403" ? "denied" : code === "406" ? "conflict" : "unavailable",
    `Cannot consume from ${where}: ${text}`,
    options,
  );
}

function adviceFor(code: string, text: string, { exchange, queue, deadLetterQueue }: Topology): string {
  if (code === "406") {
    return `${exchange}, ${queue} or ${deadLetterQueue} exists with other properties than WPS needs: let its ` +
      `messages be consumed, delete it, and WPS declares it anew`;
  }
  if (code === "403" && /handshake/i.test(text)) return "Check user and password in broker.url";
  if (code === "403") {
    return `Give WPS's user configure, write and read permission on ${exchange}, ${queue} and ${deadLetterQueue}, ` +
      `and write permission on the default exchange`;
  }
  if (code === "530") return "Check the virtual host in broker.url and the user's access to it";
  if (/certificate|tls|ssl/i.test(text)) {
    return "Check broker.caFile, and the name in the broker's certificate";
  }
  return "Check broker.url and that RabbitMQ runs; events are fetched as soon as it answers";
}
