import assert from "node:assert/strict";
import type { Broker, Session } from "../../src/intake/broker.ts";
import type { Db } from "../../src/store/db.ts";
import { type EventRow, getEventBody } from "../../src/store/events.ts";
import { getPermit } from "../../src/store/permits.ts";
import { requireOrReport } from "../cluster/availability.ts";
import { RabbitMq } from "../services/rabbitmq.ts";
import { until } from "../services/until.ts";
import { alteredDb } from "../store/altered_db.ts";
import { withDirectory } from "../store/fixture.ts";
import {
  freshNames,
  type Letter,
  type Names,
  Publisher,
  startStation,
  type Station,
  type StationOptions,
} from "./amqp_station.ts";

// Every way in which a RabbitMQ, a connection, a channel or a queue can go away under a consumer, and come back.

const ignore = !(await requireOrReport("rabbitmq"));
let rabbit: RabbitMq;
Deno.test.beforeAll(async () => {
  if (!ignore) rabbit = await RabbitMq.start();
});
Deno.test.afterAll(async () => {
  if (!ignore) await rabbit.stop();
});

interface Parts {
  station: Station;
  names: Names;
  /** The newest session, to do what our code would never do. */
  session(): Session;
  /** One message from somebody who connects for it; waits until it is recorded and settled. */
  delivers(id: string): Promise<void>;
}

async function withStation(
  test: (parts: Parts) => Promise<void>,
  given: Partial<StationOptions> = {},
): Promise<void> {
  await withDirectory(async (directory) => {
    const names = given.names ?? freshNames();
    let session: Session | null = null;
    const broker = (real: Broker): Broker => ({
      open: async (listener) => session = await real.open(listener),
    });
    const station = await startStation({ url: rabbit.url, directory, broker, ...given, names });
    const delivers = async (id: string): Promise<void> => {
      await using publisher = await Publisher.connect(rabbit.url);
      await publisher.publish(names.exchange, [status(id)]);
      await until(`${id} is recorded`, async () => (await station.events()).some((event) => event.id === id));
    };
    try {
      await test({
        station,
        names,
        delivers,
        session: () => {
          if (session === null) throw new Error("no session");
          return session;
        },
      });
    } finally {
      await station.stop();
    }
  });
}

const status = (id: string): Letter => ({
  type: "permit.status.updated",
  id,
  body: { permitId: `p-${id}`, status: "ARCHIVED" },
});
const down = ({ consumer }: Station): Promise<unknown> =>
  until("it is down", () => consumer.health().state === "down");

Deno.test("recovery: after the broker closes the connection", { ignore }, async () => {
  await withStation(async ({ station, delivers }) => {
    await station.connected();
    await delivers("before");
    await rabbit.rabbitmqctl(["close_all_connections", "by a test"]);
    await delivers("after");
    assert.equal(station.consumer.health().state, "connected");
  });
});

Deno.test("recovery: after the broker closes the channel", { ignore }, async () => {
  await withStation(async ({ station, session, delivers }) => {
    await station.connected();
    const first = session();
    // An acknowledgement of nothing: the broker answers by closing the channel with 406.
    first.ack(1_000_000, false);
    await until("there is another session", () => session() !== first);
    await delivers("after");
  });
});

Deno.test("recovery: after the queue is deleted, which a channel survives", { ignore }, async () => {
  await withStation(async ({ station, names, session, delivers }) => {
    await station.connected();
    const first = session();
    await using publisher = await Publisher.connect(rabbit.url);
    await publisher.channel.deleteQueue(names.queue);
    await until("there is another session", () => session() !== first);
    await station.connected();
    await delivers("after");
  });
});

Deno.test("recovery: after the dead letter queue is deleted, with the dead letter", { ignore }, async () => {
  await withStation(async ({ station, names }) => {
    await station.connected();
    await using publisher = await Publisher.connect(rabbit.url);
    await publisher.channel.deleteQueue(names.deadLetterQueue);
    await publisher.publish(names.exchange, [
      { type: "permit.status.updated", id: "bad", body: "{" },
      status("good"),
    ]);
    await until(
      "the good one is recorded",
      async () => (await station.events()).some(({ id }) => id === "good"),
    );
    const letter = await until(
      "the dead letter is stored",
      async () =>
        await (await Publisher.connect(rabbit.url).then(async (other) => {
          try {
            return await other.take(names.deadLetterQueue);
          } finally {
            await other.close();
          }
        })) ?? undefined,
    );
    assert.equal(letter.properties.messageId, "bad");
    await until(
      "nothing is left",
      async () => (await publisher.channel.checkQueue(names.queue)).messageCount === 0,
    );
  });
});

Deno.test("recovery: from a queue with other properties, once somebody removes it", { ignore }, async () => {
  const names = freshNames();
  await using publisher = await Publisher.connect(rabbit.url);
  await publisher.channel.assertQueue(names.queue, { durable: true });
  await withStation(async ({ station, delivers }) => {
    await down(station);
    const { lastError, advice } = station.consumer.health();
    assert.match(lastError ?? "", /406.*inequivalent arg/s);
    assert.match(
      advice ?? "",
      new RegExp(`${names.queue.replaceAll(".", "\\.")}.*delete it, and WPS declares it anew`),
    );
    await publisher.channel.deleteQueue(names.queue);
    await station.connected();
    assert.deepEqual([station.consumer.health().lastError, station.consumer.health().advice], [null, null]);
    await delivers("after");
  }, { names });
});

Deno.test("recovery: a refused login says what to check and never the password", { ignore }, async () => {
  const url = new URL(rabbit.url);
  url.password = "wrong-and-secret";
  await withStation(async ({ station }) => {
    await down(station);
    const { lastError, advice } = station.consumer.health();
    assert.match(
      lastError ?? "",
      new RegExp(`^Cannot consume from amqp://127\\.0\\.0\\.1:${rabbit.port}.*403`),
    );
    assert.equal(advice, "Check user and password in broker.url");
    assert.doesNotMatch(JSON.stringify(station.consumer.health()), /wrong-and-secret|wps-test:/);
  }, { url: url.href });
});

Deno.test(
  "recovery: starts while the broker is away, and catches up with what waits there",
  { ignore },
  async () => {
    const names = freshNames();
    // The queue exists already, and holds what came while both were away.
    await withStation(async ({ station }) => await station.connected(), { names });
    await using publisher = await Publisher.connect(rabbit.url);
    await publisher.publish(names.exchange, [status("waiting")]);
    await rabbit.shutDown();
    await withStation(async ({ station }) => {
      await down(station);
      assert.match(station.consumer.health().lastError ?? "", /ECONNREFUSED/);
      await rabbit.restart();
      await until(
        "it caught up",
        async () => (await station.events()).some(({ id }) => id === "waiting"),
        60_000,
      );
      assert.equal(station.consumer.health().state, "connected");
    }, { names });
  },
);

Deno.test(
  "recovery: a frozen broker is noticed by its heartbeat, also by who stops meanwhile",
  { ignore },
  async () => {
    await withStation(async ({ station, delivers }) => {
      await station.connected();
      await delivers("before");
      rabbit.freeze();
      try {
        await down(station);
        assert.match(station.consumer.health().lastError ?? "", /Heartbeat timeout|ETIMEDOUT/);
      } finally {
        rabbit.thaw();
      }
      await station.connected();
      await delivers("after");
      rabbit.freeze();
      const startMs = performance.now();
      await station.consumer.stop();
      rabbit.thaw();
      assert.ok(performance.now() - startMs < 12_000, "stop is bounded");
    });
  },
);

/** Every second without an id, each of those with a body of its own: any loss, repetition or swap shows. */
const mixed = (count: number): Letter[] =>
  Array.from({ length: count }, (_, index) => {
    if (index % 2 === 0) return status(`e-${index}`);
    return { type: "permit.status.updated", body: { permitId: "p", status: "ARCHIVED", data: { index } } };
  });

/** A store whose commits wait from the moment it is shut until it is opened. */
function gate(): { db(real: Db): Db; shut(): void; open(): void; waiting(): number } {
  let { promise, resolve } = Promise.withResolvers<void>();
  resolve();
  let waiting = 0;
  return {
    shut: () => ({ promise, resolve } = Promise.withResolvers<void>()),
    open: () => resolve(),
    waiting: () => waiting,
    db: (real) =>
      alteredDb(real, async (work) => {
        waiting++;
        await promise;
        waiting--;
        return await real.write(work);
      }),
  };
}

/** 1,000 messages wait; consuming them is interrupted in the middle; afterwards each was accepted exactly once. */
async function survives(
  order: "in order" | "in any order",
  interrupt: (station: Station, door: ReturnType<typeof gate>) => Promise<void>,
): Promise<void> {
  const names = freshNames();
  await withStation(async ({ station }) => await station.connected(), { names });
  await rabbit.settles(names.queue);
  const letters = mixed(1_000);
  const publisher = await Publisher.connect(rabbit.url);
  await publisher.publish(names.exchange, letters);
  await publisher.close();
  const door = gate();
  await withStation(async ({ station }) => {
    const accepted = async (): Promise<EventRow[]> =>
      (await station.events()).filter(({ verdict }) => verdict === "accepted");
    await until("some are accepted", async () => (await accepted()).length > 0);
    await interrupt(station, door);
    await until("all are accepted", async () => (await accepted()).length >= letters.length, 90_000);
    const bodies = await Promise.all(
      (await accepted()).map(({ seq }) => getEventBody(station.store.db, seq)),
    );
    const texts = bodies.map((body) => new TextDecoder().decode(body ?? new Uint8Array()));
    const expected = letters.map(({ body }) => JSON.stringify(body));
    if (order === "in any order") {
      texts.sort();
      expected.sort();
    }
    assert.deepEqual(texts, expected, "each exactly once");
    assert.equal((await getPermit(station.store.db, "p"))?.version, 500);
    const others = (await station.events()).filter(({ verdict }) => verdict !== "accepted");
    assert.ok(
      others.every(({ verdict }) => verdict === "duplicate"),
      others.map(({ verdict }) => verdict).join(),
    );
  }, { names, prefetch: 40, db: door.db });
}

// Killed and restarted, RabbitMQ delivers what is new before what it must deliver again: no order to keep there.

/** Ends the broker while deliveries are received and not committed, lets them commit, and starts it again. */
const whileCommitting =
  (end: () => Promise<void>) => async (station: Station, door: ReturnType<typeof gate>): Promise<void> => {
    door.shut();
    await until("a commit waits", () => door.waiting() > 0);
    await end();
    try {
      await down(station);
      const before = (await station.events()).length;
      door.open();
      await until(
        "they are committed without a broker",
        async () => (await station.events()).length > before,
      );
      assert.ok((await station.events()).length < 1_000, "this is the middle");
    } finally {
      door.open();
      await rabbit.restart();
    }
  };

Deno.test(
  "recovery: 1,000 messages, the broker restarted in the middle: each accepted exactly once, in order",
  { ignore },
  async () => {
    await survives("in order", whileCommitting(() => rabbit.shutDown()));
  },
);

Deno.test("recovery: 1,000 messages, the broker killed in the middle: each accepted exactly once", {
  ignore,
}, async () => {
  await survives("in any order", whileCommitting(() => rabbit.kill()));
});

Deno.test(
  "recovery: 1,000 messages, the broker killed while acknowledgements are on their way",
  { ignore },
  async () => {
    await survives("in any order", async (station) => {
      await rabbit.kill();
      const recorded = (await station.events()).length;
      await rabbit.restart();
      assert.ok(recorded < 1_000, "this is the middle");
    });
  },
);
