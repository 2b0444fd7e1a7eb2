/** The permit manager's process: publishes, and keeps what it published. */
import assert from "node:assert/strict";

/** One message in the blueprint's minimal form: the type is the routing key, the id the AMQP message id. */
export interface Message {
  type: string;
  permitId: string;
  /** Beside `permitId`: `status`, people. */
  body?: Record<string, unknown>;
}

/** A message that the broker confirmed. */
export interface Published extends Message {
  messageId: string;
}

/** The publisher of this folder as a child process. */
export class PermitManager {
  /** In the order of publication. */
  readonly published: Published[] = [];
  #child: Deno.ChildProcess;
  #input: WritableStreamDefaultWriter<Uint8Array>;
  #output: ReadableStreamDefaultReader<string>;
  #turn: Promise<void> = Promise.resolve();
  #rest = "";
  #count = 0;

  private constructor(private readonly amqpUrl: string) {
    [this.#child, this.#input, this.#output] = spawn(amqpUrl);
  }

  /** Starts the publisher; it connects before it reads its first message. */
  static start(amqpUrl: string): PermitManager {
    return new PermitManager(amqpUrl);
  }

  /** Starts another publisher where the broker's end has ended this one. */
  async reconnect(): Promise<void> {
    await this.#output.cancel();
    await this.#input.abort().catch(() => {}); // its reader may be gone
    await this.#child.status;
    [this.#child, this.#input, this.#output] = spawn(this.amqpUrl);
  }

  /** Publishes in order; resolves once the broker has confirmed each. Fails where no queue took one. */
  async publish(...messages: Message[]): Promise<Published[]> {
    const turn = this.#turn.then(() => this.#publishNow(messages));
    this.#turn = turn.then(() => {}, () => {});
    return await turn;
  }

  async #publishNow(messages: Message[]): Promise<Published[]> {
    const sent = messages.map((message) => ({ ...message, messageId: `pm-${++this.#count}` }));
    const lines = sent.map(({ type, permitId, body, messageId }) =>
      JSON.stringify({ routingKey: type, messageId, body: { permitId, ...body } }) + "\n"
    );
    await this.#input.write(new TextEncoder().encode(lines.join("")));
    for (const { messageId } of sent) assert.equal(await this.#line(), `confirmed ${messageId}`);
    this.published.push(...sent);
    return sent;
  }

  async #line(): Promise<string> {
    while (!this.#rest.includes("\n")) {
      const { done, value } = await this.#output.read();
      assert.ok(!done, "the publisher has ended");
      this.#rest += value;
    }
    const at = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, at);
    this.#rest = this.#rest.slice(at + 1);
    return line;
  }

  /** Ends the publisher in good order. */
  async close(): Promise<void> {
    await this.#turn;
    await this.#input.close();
    await this.#output.cancel();
    const { success } = await this.#child.status;
    assert.ok(success, "the publisher failed");
  }
}

function spawn(
  amqpUrl: string,
): [Deno.ChildProcess, WritableStreamDefaultWriter<Uint8Array>, ReadableStreamDefaultReader<string>] {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("./publisher.ts", import.meta.url).pathname],
    env: { AMQP_URL: amqpUrl },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  return [child, child.stdin.getWriter(), child.stdout.pipeThrough(new TextDecoderStream()).getReader()];
}
