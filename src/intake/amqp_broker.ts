/** RabbitMQ through amqplib: the only file that knows either (FACTS 1). */
import * as amqp from "amqplib";
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Broker, BrokerMessage, DeadLetter, Session, SessionListener } from "./broker.ts";
import {
  BINDING,
  DEAD_LETTER_OPTIONS,
  EXCHANGE_OPTIONS,
  queueOptions,
  toBrokerFault,
  type Topology,
} from "./topology.ts";

/** How to reach the broker. */
export interface AmqpOptions extends Topology {
  /** With user and password; never shown. */
  url: string;
  /** PEM of the authority that signed the broker's certificate; null: the system's. */
  ca: string | null;
  /** Unacknowledged deliveries at once. */
  prefetch: number;
  heartbeatMs: number;
  connectTimeoutMs: number;
}

/** Original headers, and reasons, up to here travel with a dead letter: amqplib encodes 64 KiB of headers at most. */
const HEADERS_BYTES_MAX = 24 * 1024;
/** How long a session in good order may take to end before its socket is closed. */
const CLOSE_MS = 2_000;

/** A broker at `options.url`. Nothing is connected before {@link Broker.open}. */
export function amqpBroker(options: AmqpOptions): Broker {
  const where = withoutSecrets(options.url);
  return {
    async open(listener: SessionListener): Promise<Session> {
      try {
        return await AmqpSession.open(options, listener);
      } catch (thrown) {
        throw toBrokerFault(thrown, where, options);
      }
    },
  };
}

/** "amqps://broker:5671/spe": what may be shown of a URL. */
function withoutSecrets(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

class AmqpSession implements Session {
  readonly #model: amqp.ChannelModel;
  readonly #channel: amqp.ConfirmChannel;
  readonly #options: AmqpOptions;
  readonly #listener: SessionListener;
  /** Dead letters on their way, by their token; true: the broker gave it back. */
  readonly #returned = new Map<string, boolean>();
  #letters = 0;
  #consumerTag = "";
  #over = false;

  static async open(options: AmqpOptions, listener: SessionListener): Promise<AmqpSession> {
    const url = new URL(options.url);
    url.searchParams.set("heartbeat", String(Math.ceil(options.heartbeatMs / 1000)));
    const model = await amqp.connect(url.href, {
      timeout: options.connectTimeoutMs,
      noDelay: true,
      ...(options.ca === null ? {} : { ca: [options.ca] }),
    });
    // Without an error listener the process would end (FACTS 1); close always follows.
    model.on("error", () => {});
    let channel: amqp.ConfirmChannel;
    try {
      channel = await model.createConfirmChannel();
      channel.on("error", () => {});
      const session = new AmqpSession(model, channel, options, listener);
      await session.#prepare();
      return session;
    } catch (thrown) {
      destroy(model);
      throw thrown;
    }
  }

  private constructor(
    model: amqp.ChannelModel,
    channel: amqp.ConfirmChannel,
    options: AmqpOptions,
    listener: SessionListener,
  ) {
    this.#model = model;
    this.#channel = channel;
    this.#options = options;
    this.#listener = listener;
  }

  async #prepare(): Promise<void> {
    const { exchange, queue, deadLetterQueue, prefetch } = this.#options;
    const channel = this.#channel;
    await channel.assertExchange(exchange, "topic", EXCHANGE_OPTIONS);
    await channel.assertQueue(deadLetterQueue, DEAD_LETTER_OPTIONS);
    await channel.assertQueue(queue, queueOptions(this.#options));
    await channel.bindQueue(queue, exchange, BINDING);
    await channel.prefetch(prefetch);
    let why: Error | null = null;
    const remember = (error: Error): void => void (why ??= error);
    channel.on("error", remember);
    this.#model.on("error", remember);
    channel.on("close", () => this.#lose(why ?? new Error("the channel was closed")));
    this.#model.on(
      "close",
      (error?: Error) => this.#lose(why ?? error ?? new Error("the connection was closed")),
    );
    this.#model.on("blocked", (reason: string) => this.#listener.blocked(reason));
    this.#model.on("unblocked", () => this.#listener.blocked(null));
    channel.on("return", (message: amqp.Message) => {
      const token = String(message.properties.headers?.["x-wps-letter"] ?? "");
      if (this.#returned.has(token)) this.#returned.set(token, true);
    });
    const onMessage = (message: amqp.ConsumeMessage | null): void => {
      if (message === null) this.#lose(new Error(`queue ${queue} was deleted`));
      else if (!this.#over) this.#listener.message(toBrokerMessage(message));
    };
    this.#consumerTag = (await channel.consume(queue, onMessage)).consumerTag;
  }

  #lose(why: Error): void {
    if (this.#over) return;
    this.#over = true;
    destroy(this.#model);
    this.#listener.lost(why);
  }

  ack(tag: number, upTo: boolean): void {
    if (!this.#over) this.#channel.ack(tagged(tag), upTo);
  }

  giveBack(tag: number): void {
    if (!this.#over) this.#channel.nack(tagged(tag), false, true);
  }

  deadLetter(letter: DeadLetter): Promise<void> {
    const token = String(++this.#letters);
    this.#returned.set(token, false);
    const { message } = letter;
    return new Promise<void>((resolve, reject) => {
      const settled = (error: Error | null): void => {
        const returned = this.#returned.get(token) === true;
        this.#returned.delete(token);
        if (error !== null) reject(error);
        // An unroutable message is returned first and confirmed all the same.
        else if (returned) reject(new Error(`queue ${this.#options.deadLetterQueue} does not exist`));
        else resolve();
      };
      if (this.#over) return settled(new Error("the session is over"));
      const body = Buffer.from(message.body.buffer, message.body.byteOffset, message.body.byteLength);
      this.#channel.publish("", this.#options.deadLetterQueue, body, {
        mandatory: true,
        persistent: true,
        contentType: message.contentType ?? undefined,
        contentEncoding: message.contentEncoding ?? undefined,
        messageId: message.messageId ?? undefined,
        headers: deadLetterHeaders(letter, token),
      }, settled);
    });
  }

  async barrier(): Promise<number> {
    return (await this.#channel.checkQueue(this.#options.queue)).messageCount;
  }

  async pause(): Promise<void> {
    if (!this.#over) await this.#channel.cancel(this.#consumerTag);
  }

  async close(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    const timer = setTimeout(() => destroy(this.#model), CLOSE_MS);
    try {
      await this.#channel.close();
      await this.#model.close();
    } catch {
      // Lost in the middle of it: the same end.
    } finally {
      clearTimeout(timer);
      destroy(this.#model);
    }
  }
}

/** amqplib asks for a message and reads its delivery tag only. */
function tagged(deliveryTag: number): amqp.Message {
  // Cast: the rest of a Message is not looked at by ack and nack (lib/channel_model.js).
  return { fields: { deliveryTag } } as amqp.Message;
}

/** Closes the socket itself: a frozen broker would never answer an orderly end. */
function destroy(model: amqp.ChannelModel): void {
  // Cast: `stream` is the socket, which the types leave out (lib/connection.js).
  const { stream } = model.connection as amqp.Connection & { stream: Socket };
  // With an error, because amqplib ends what waits for an answer on "error" and "end" only.
  stream.destroy(new Error("the connection was closed by us"));
}

function toBrokerMessage({ content, fields, properties }: amqp.ConsumeMessage): BrokerMessage {
  const text = (value: unknown): string | null => typeof value === "string" && value !== "" ? value : null;
  return {
    tag: fields.deliveryTag,
    redelivered: fields.redelivered,
    exchange: fields.exchange,
    routingKey: fields.routingKey,
    body: new Uint8Array(content.buffer, content.byteOffset, content.byteLength),
    contentType: text(properties.contentType),
    contentEncoding: text(properties.contentEncoding),
    messageId: text(properties.messageId),
    headers: properties.headers ?? {},
  };
}

/** The original's headers where they fit, and ours beside: why, when, and where it came from. */
function deadLetterHeaders(
  { message, seq, reasons, rejectedAt }: DeadLetter,
  token: string,
): Record<string, unknown> {
  const fits = jsonBytes(message.headers) <= HEADERS_BYTES_MAX;
  let room = HEADERS_BYTES_MAX;
  const shown = reasons.filter((reason) => (room -= jsonBytes(reason)) >= 0);
  return {
    ...(fits ? message.headers : { "x-wps-headers-dropped": true }),
    "x-wps-letter": token,
    "x-wps-event": seq,
    "x-wps-rejected-at": rejectedAt,
    "x-wps-reasons": shown.map(({ path, message }) => ({ path, message })),
    "x-wps-exchange": message.exchange,
    "x-wps-routing-key": message.routingKey,
  };
}

/** Close enough to the size on the wire: what JSON writes as escapes and quotes, AMQP writes as lengths and types. */
function jsonBytes(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}
