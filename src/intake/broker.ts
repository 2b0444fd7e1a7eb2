/** The message broker as intake needs it, so that a simulation can take RabbitMQ's place (DESIGN 12). */
import type { FieldError } from "../core/event.ts";
import type { RawMessage } from "./envelope.ts";

/** A message delivered to us, until it is acknowledged or given back. */
export interface BrokerMessage extends RawMessage {
  /** Counts up within one session. */
  tag: number;
  redelivered: boolean;
  routingKey: string;
  exchange: string;
}

/** A message that WPS will not act on, on its way to the dead letters. */
export interface DeadLetter {
  message: BrokerMessage;
  /** Its number in the inbox. */
  seq: number;
  reasons: readonly FieldError[];
  /** When it was rejected, as an ISO 8601 instant. */
  rejectedAt: string;
}

/** What a session tells its owner. */
export interface SessionListener {
  /** One delivery; called in the queue's order. */
  message(message: BrokerMessage): void;
  /** The session is over and nothing more comes: unsettled messages will be delivered again. Called once. */
  lost(why: Error): void;
  /** The broker stopped taking anything from us (a memory or disk alarm); null: it does again. */
  blocked(reason: string | null): void;
}

/** One connection with its consumer. Once lost, whatever is asked of it fails or does nothing. */
export interface Session {
  /** Acknowledges one message, or every unsettled one up to it. */
  ack(tag: number, upTo: boolean): void;
  /** Gives one message back to the queue; the broker counts how often. */
  giveBack(tag: number): void;
  /** Resolves once the broker has stored the dead letter in a queue; rejects otherwise. */
  deadLetter(letter: DeadLetter): Promise<void>;
  /** Resolves once the broker has processed everything sent before, with the number of messages still queued. */
  barrier(): Promise<number>;
  /** No more deliveries; what came already can still be settled. */
  pause(): Promise<void>;
  /** Ends the session in good order; safe to repeat and after a loss. */
  close(): Promise<void>;
}

/** Opens sessions. */
export interface Broker {
  /** Connects, makes sure of the topology and consumes. Rejects with a Fault that says what to do. */
  open(listener: SessionListener): Promise<Session>;
}
