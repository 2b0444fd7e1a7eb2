/**
 * A permit manager as WPS's neighbours would write one: a plain AMQP client that knows the broker and the blueprint's
 * messages, and nothing of WPS. Own process; AMQP_URL says where. Reads one message per line of standard input,
 * {"routingKey", "messageId", "body"}, and prints `confirmed ID`, or `unroutable ID` where no queue took it.
 */
import amqp from "amqplib";

const EXCHANGE = "permit.events";

interface Line {
  routingKey: string;
  messageId: string;
  body: Record<string, unknown>;
}

const connection = await amqp.connect(Deno.env.get("AMQP_URL") ?? "");
connection.on("error", (error: Error) => fail(error.message));
const channel = await connection.createConfirmChannel();
channel.on("error", (error: Error) => fail(error.message));
await channel.assertExchange(EXCHANGE, "topic", { durable: true });
const unroutable = new Set<string>();
channel.on("return", (message) => unroutable.add(message.properties.messageId));

let rest = "";
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n");
  rest = lines.pop() ?? "";
  await Promise.all(lines.map((line) => publish(JSON.parse(line))));
}
await connection.close();

async function publish({ routingKey, messageId, body }: Line): Promise<void> {
  const content = Buffer.from(JSON.stringify(body));
  await new Promise<void>((resolve, reject) =>
    channel.publish(
      EXCHANGE,
      routingKey,
      content,
      { messageId, persistent: true, mandatory: true, contentType: "application/json" },
      (error: Error | null) => error === null ? resolve() : reject(error),
    )
  );
  console.log(`${unroutable.delete(messageId) ? "unroutable" : "confirmed"} ${messageId}`);
}

function fail(reason: string): never {
  console.error(reason);
  Deno.exit(1);
}
