/**
 * Events accepted per second with full durability, one by one and grouped, against what the same disk and the same broker
 * can do at all. Everything is measured in one run, in turns, so that a busy machine slows all of it alike.
 */
import amqp from "amqplib";
import { z } from "zod";
import { Publisher, startStation } from "../tests/real/amqp_station.ts";
import { RabbitMq } from "../tests/services/rabbitmq.ts";
import { until } from "../tests/services/until.ts";
import { onDisk } from "./intake_disk.ts";
import { eventBody, GROUP, Rates, TURNS } from "./intake_rates.ts";
import { render, type Row } from "./table.ts";

/** In a turn. */
const MESSAGES = 3_000;
const SEQ = z.object({ seq: z.number().nullable() });

/** All figures of the intake. Needs RabbitMQ's Debian package; takes about half a minute. */
export async function benchIntake(): Promise<Row[]> {
  const folder = await Deno.makeTempDir({ prefix: "wps-bench-intake-" });
  try {
    return [...await onDisk(folder), ...await overBroker(folder)];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function overBroker(folder: string): Promise<Row[]> {
  const rabbit = await RabbitMq.start();
  try {
    const floor = new Rates(), ours = new Rates();
    for (let turn = 0; turn < TURNS; turn++) {
      await consumeBare(rabbit.url, `bare-${turn}`, floor);
      await consumeOurs(rabbit.url, `${folder}/broker-${turn}`, turn, ours);
    }
    return [
      floor.row("floor: RabbitMQ consume and acknowledge alone", null),
      ours.row("events over RabbitMQ, recorded before acknowledged", floor),
    ];
  } finally {
    await rabbit.stop();
  }
}

const letters = (turn: number): { type: string; id: string; body: unknown }[] =>
  Array.from({ length: MESSAGES }, (_, index) => {
    const id = `t${turn}-${index}`;
    return { type: "permit.status.updated", id, body: eventBody(`p-${index % GROUP}`, id) };
  });

async function consumeBare(url: string, queue: string, rates: Rates): Promise<void> {
  const publisher = await Publisher.connect(url);
  await publisher.channel.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await publisher.publish("", letters(0).map((letter) => ({ ...letter, type: queue })));
  const connection = await amqp.connect(url, { noDelay: true });
  const channel = await connection.createChannel();
  await channel.prefetch(200);
  await rates.measure(MESSAGES, async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let seen = 0;
    await channel.consume(queue, (message) => {
      if (message !== null) channel.ack(message);
      if (++seen === MESSAGES) resolve();
    });
    await promise;
    await channel.checkQueue(queue);
  });
  await connection.close();
  await publisher.close();
}

/** The backlog waits, then a station consumes it: from connecting to the last acknowledgement. */
async function consumeOurs(url: string, directory: string, turn: number, rates: Rates): Promise<void> {
  const names = {
    exchange: `bench.events.${turn}`,
    queue: `bench.permit-events.${turn}`,
    deadLetterQueue: `bench.dead-letters.${turn}`,
  };
  const declared = await startStation({ url, names, directory });
  await declared.connected();
  await declared.stop();
  const publisher = await Publisher.connect(url);
  await publisher.publish(names.exchange, letters(turn));
  let station: Awaited<ReturnType<typeof startStation>> | null = null;
  await rates.measure(MESSAGES, async () => {
    station = await startStation({ url, names, directory });
    await until("everything is acknowledged", async () => {
      const events = await station?.store.db.read("select max(seq) as seq from events", [], SEQ);
      return (events?.[0]?.seq ?? 0) >= MESSAGES;
    });
    await station.stop();
  });
  await publisher.close();
}

if (import.meta.main) {
  const rows = await benchIntake();
  console.log(render(rows));
  console.log(`\n${JSON.stringify({ at: new Date().toISOString(), rows })}`);
  Deno.exit(0);
}
