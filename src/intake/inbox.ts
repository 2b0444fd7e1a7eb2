/** Deliveries of one session that wait to be recorded. The broker's prefetch bounds them. */
import type { BrokerMessage } from "./broker.ts";

/** First in, first out, with an end. */
export class Inbox {
  #messages: BrokerMessage[] = [];
  #end: { why: Error | null } | null = null;
  #wake: (() => void) | null = null;

  /** Adds a delivery; after the end it is left to be delivered again. */
  add(message: BrokerMessage): void {
    if (this.#end !== null) return;
    this.#messages.push(message);
    this.#wake?.();
  }

  /** Nothing more comes: because of a loss, which makes what waits worthless, or (null) because enough was taken. */
  end(why: Error | null): void {
    this.#end ??= { why };
    this.#wake?.();
  }

  /** Everything that waits, at least one; nothing: the end was reached. Rejects with the loss. */
  async take(): Promise<BrokerMessage[]> {
    while (this.#messages.length === 0 && this.#end === null) {
      await new Promise<void>((wake) => this.#wake = wake);
    }
    this.throwIfLost();
    return this.#messages.splice(0);
  }

  /** Throws the loss, if there was one. */
  throwIfLost(): void {
    if (this.#end !== null && this.#end.why !== null) throw this.#end.why;
  }
}
