import assert from "node:assert/strict";
import type { Clock } from "../../src/core/clock.ts";
import { Fault } from "../../src/core/fault.ts";
import { type Consumer, startConsumer } from "../../src/intake/consumer.ts";
import { createIntake, type Intake } from "../../src/intake/group.ts";
import { REMEMBERED_MS, TOLD_MAX } from "../../src/intake/unrecorded.ts";
import type { Db } from "../../src/store/db.ts";
import { FakeClock } from "../fake_clock.ts";
import { type KeptLog, keptLog } from "../kept_log.ts";
import { until } from "../services/until.ts";
import { alteredDb, refusingDb } from "../store/altered_db.ts";
import { withStore } from "../store/fixture.ts";
import { allEvents, minimal, RULES } from "./fixture.ts";
import { PaperBroker } from "./paper_broker.ts";

interface Station {
  broker: PaperBroker;
  consumer: Consumer;
  intake: Intake;
  db: Db;
  clock: FakeClock;
  /** How long the consumer slept each time. */
  pauses: number[];
  kept: KeptLog;
}

interface Options {
  broker?: PaperBroker;
  /** Stands between intake and store. */
  through?(db: Db): Db;
}

async function withStation(test: (station: Station) => Promise<void>, options: Options = {}): Promise<void> {
  await withStore(async (db) => {
    const clock = new FakeClock({ auto: true, turns: 20 });
    const broker = options.broker ?? new PaperBroker();
    const kept = keptLog();
    const intake = createIntake({
      db: options.through?.(db) ?? db,
      rules: RULES,
      clock,
      log: kept.log,
      onAccepted: () => {},
    });
    const pauses: number[] = [];
    const noted: Clock = {
      now: () => clock.now(),
      sleep: (ms, signal) => {
        pauses.push(ms);
        return clock.sleep(ms, signal);
      },
    };
    const random = { next: () => 0.5, bytes: (length: number) => new Uint8Array(length) };
    const consumer = startConsumer({
      broker,
      intake,
      db,
      clock: noted,
      random,
      log: kept.log,
      reconnectMaxMs: 5_000,
    });
    try {
      await test({ broker, consumer, intake, db, clock, pauses, kept });
    } finally {
      await consumer.stop();
      clock.stop();
    }
  });
}

const settled = ({ broker, db }: Station, count: number): Promise<unknown> =>
  until(
    `${count} events are recorded and settled`,
    async () =>
      (await allEvents(db)).length >= count && broker.session?.unsettled.size === 0 &&
      broker.queue.length === 0,
  );

Deno.test("Consumer: records first, acknowledges then, a whole group with one acknowledgement", async () => {
  const broker = new PaperBroker();
  for (let index = 0; index < 10; index++) broker.publish(minimal("p", "ARCHIVED", `e-${index}`));
  await withStation(async (station) => {
    await settled(station, 10);
    assert.deepEqual(broker.acks, [{ tag: 10, upTo: true }]);
    assert.deepEqual(station.consumer.health(), {
      ...station.consumer.health(),
      state: "connected",
      lastError: null,
    });
  }, { broker });
});

Deno.test("Consumer: a rejected message is acknowledged only with its dead letter, which says why", async () => {
  await withStation(async (station) => {
    const { broker } = station;
    broker.publish(minimal("p", "PAUSED", "bad"));
    broker.publish("{");
    broker.publish(minimal("p", "ARCHIVED", "good"));
    await settled(station, 3);
    assert.deepEqual(
      broker.deadLetters.map(({ seq, message, reasons }) => [seq, message.tag, reasons[0]?.path]),
      [
        [1, 1, "data.status"],
        [2, 2, "body"],
      ],
    );
  });
});

Deno.test("Consumer: a dead letter carries no private key on, and else what came", async () => {
  await withStation(async (station) => {
    const { broker } = station;
    const key = "-----BEGIN OPENSSH PRIVATE KEY-----\\nc2VjcmV0\\n-----END OPENSSH PRIVATE KEY-----";
    const body = `{"permitId":"p","status":"PAUSED","note":"${key}"}`;
    broker.publish(body);
    await settled(station, 1);
    const [letter] = broker.deadLetters;
    assert.equal(
      new TextDecoder().decode(letter?.message.body),
      '{"permitId":"p","status":"PAUSED","note":"[private key removed]"}',
    );
  });
});

Deno.test("Consumer: a dead letter that cannot be stored leaves its message, and no other, unacknowledged", async () => {
  const broker = new PaperBroker();
  broker.refusesLetters = new Error("the queue is away");
  for (const id of ["a", "b"]) broker.publish(minimal("p", "ARCHIVED", id));
  broker.publish(minimal("p", "PAUSED", "bad"));
  broker.publish(minimal("p", "ARCHIVED", "c"));
  await withStation(async (station) => {
    await until("the consumer gave the session up", () => broker.opened >= 3);
    assert.equal(broker.deadLetters.length, 0);
    assert.deepEqual(broker.acks, [{ tag: 1, upTo: false }, { tag: 2, upTo: false }, {
      tag: 4,
      upTo: false,
    }]);
    broker.refusesLetters = null;
    await until("the dead letter is stored", () => broker.deadLetters.length === 1);
    await until("nothing is left", () => broker.session?.unsettled.size === 0 && broker.queue.length === 0);
    const verdicts = (await allEvents(station.db)).map(({ id, verdict }) => `${id} ${verdict}`);
    assert.deepEqual(verdicts.filter((line) => !line.startsWith("bad")), [
      "a accepted",
      "b accepted",
      "c accepted",
    ]);
    assert.ok(verdicts.filter((line) => line.startsWith("bad")).every((line) => line === "bad rejected"));
  }, { broker });
});

Deno.test("Consumer: starts with the broker away, says so, and catches up", async () => {
  const broker = new PaperBroker();
  broker.refuses = new Fault("retry", "unavailable", "Cannot consume from amqp://broker: refused", {
    advice: "Check it",
  });
  await withStation(async (station) => {
    const { consumer } = station;
    await until("three attempts failed", () => broker.opened >= 3);
    const health = consumer.health();
    assert.deepEqual([health.state, health.lastError, health.advice], [
      "down",
      "Cannot consume from amqp://broker: refused",
      "Check it",
    ]);
    broker.refuses = null;
    broker.publish(minimal("p", "ARCHIVED", "e"));
    await settled(station, 1);
    assert.equal(consumer.health().state, "connected");
    assert.equal(consumer.health().lastError, null);
  }, { broker });
});

Deno.test("Consumer: pauses grow between failed attempts, and start short again after a session that lasted", async () => {
  const broker = new PaperBroker();
  broker.refuses = new Error("refused");
  await withStation(async ({ clock, pauses }) => {
    await until("eight attempts failed", () => pauses.length >= 8);
    assert.deepEqual(pauses.slice(0, 4), [150, 300, 600, 1200]);
    assert.deepEqual(pauses.slice(6, 8), [3_750, 3_750], "three quarters of the bound with this chance");
    broker.refuses = null;
    await until("connected", () => broker.session !== null);
    await clock.advance(6_000);
    pauses.length = 0;
    broker.session?.lose(new Error("cut"));
    await until("it paused", () => pauses.length > 0);
    assert.equal(pauses[0], 150);
  }, { broker });
});

Deno.test("Consumer: a lost session's messages come again and are counted once", async () => {
  await withStation(async (station) => {
    const { broker, db } = station;
    broker.publish(minimal("p", "ARCHIVED", "a"));
    await settled(station, 1);
    broker.publish(minimal("p", "ANALYSIS_ACTIVE", "b"));
    // Delivered, not yet recorded: the loss comes before the first turn of the commit.
    broker.session?.lose(new Error("cut"));
    await until("connected again", () => broker.opened === 2);
    await until("settled", () => broker.session?.unsettled.size === 0 && broker.queue.length === 0);
    const accepted = (await allEvents(db)).filter(({ verdict }) => verdict === "accepted").map(({ id }) =>
      id
    );
    assert.deepEqual(accepted, ["a", "b"]);
  });
});

Deno.test("Consumer: while the store is away nothing is acknowledged, and the order is kept", async () => {
  let away = true;
  const broker = new PaperBroker();
  for (let revision = 1; revision <= 300; revision++) {
    broker.publish({ ...minimal("p", "ARCHIVED", `e-${revision}`), revision });
  }
  const through = (db: Db): Db =>
    alteredDb(
      db,
      (work) => away ? Promise.reject(new Fault("retry", "unavailable", "the disk is full")) : db.write(work),
    );
  await withStation(async (station) => {
    const start = station.clock.now();
    await until("it tried for a while", () => station.clock.now() - start > 20_000);
    assert.deepEqual([broker.acks, broker.session?.unsettled.size, broker.opened], [[], 300, 1]);
    away = false;
    await settled(station, 300);
    assert.ok(
      (await allEvents(station.db)).every(({ verdict }) => verdict === "accepted"),
      "any other order has stale ones",
    );
  }, { broker, through });
});

const UNRECORDED = "A message cannot be recorded; it goes back to the queue";

const givenBack = (broker: PaperBroker, more: number): Promise<unknown> =>
  until(
    "it was given back several times",
    () => [...broker.session?.unsettled.values() ?? []].some(({ deliveries }) => deliveries > more),
  );

Deno.test("Consumer: a message that alone cannot be recorded goes back to the queue, the others go on", async () => {
  const broker = new PaperBroker();
  for (const id of ["a", "poison", "b"]) broker.publish(minimal("p", "ARCHIVED", id));
  await withStation(async ({ db }) => {
    await givenBack(broker, 3);
    assert.deepEqual((await allEvents(db)).map(({ id }) => id), ["a", "b"]);
    assert.equal(broker.opened, 1);
  }, { broker, through: (db) => refusingDb(db, (value) => value === "poison") });
});

Deno.test("Consumer: such a message is told once at error, without its body, and health names it until it is recorded", async () => {
  const broker = new PaperBroker();
  let isBroken = true;
  broker.publish(minimal("p-secret", "ARCHIVED", "x"), { messageId: "m-1" });
  broker.publish(minimal("p-secret", "SETUP", "x"));
  await withStation(async ({ consumer, kept, db }) => {
    await givenBack(broker, 6);
    const told = kept.saying(UNRECORDED);
    assert.deepEqual(
      told.map(({ level, messageId, routingKey }) => [level, messageId, routingKey]),
      [["error", "m-1", "permit.status.updated"], ["error", null, "permit.status.updated"]],
      "one line per message, however often it came",
    );
    const error = told[0]?.["error"] as { message: string }; // as the log writes a Fault
    assert.equal(error.message, "Unexpected failure: a defect");
    assert.match(String(told[0]?.["sha256"]), /^[0-9a-f]{64}$/);
    assert.ok(!kept.text().includes("p-secret"), "the body stays out");
    const { state, lastError, unrecorded } = consumer.health();
    assert.deepEqual([state, lastError], ["connected", null]);
    assert.match(unrecorded?.message ?? "", /^2 messages could not be recorded, last .+: Unexpected failure/);
    assert.match(unrecorded?.advice ?? "", /dead letters/);
    isBroken = false;
    await until("both are recorded", async () => (await allEvents(db)).length === 2);
    await until("health is well again", () => consumer.health().unrecorded === null);
    assert.equal(kept.saying("A message that could not be recorded is recorded").length, 2);
  }, { broker, through: (db) => refusingDb(db, (value) => isBroken && value === "p-secret") });
});

Deno.test("Consumer: what the broker itself dead-lettered is named for a while", async () => {
  const broker = new PaperBroker();
  broker.publish(minimal("poison", "ARCHIVED", "x"), { messageId: "m-1" });
  await withStation(async ({ consumer, clock }) => {
    await givenBack(broker, 3);
    // The delivery limit: the message is in the dead letters and never comes again.
    broker.session?.unsettled.clear();
    await until("nothing waits", () => broker.session?.unsettled.size === 0 && broker.queue.length === 0);
    assert.match(consumer.health().unrecorded?.message ?? "", /m-1/);
    await clock.advance(REMEMBERED_MS + 1_000);
    assert.equal(consumer.health().unrecorded, null);
  }, { broker, through: (db) => refusingDb(db, (value) => value === "poison") });
});

Deno.test("Consumer: a defect that every message meets is told so often and no more", async () => {
  const broker = new PaperBroker();
  const count = TOLD_MAX + 50;
  for (let index = 0; index < count; index++) broker.publish(minimal("poison", "ARCHIVED", `e-${index}`));
  await withStation(async ({ consumer, kept }) => {
    await givenBack(broker, 4);
    assert.equal(kept.saying(UNRECORDED).length, TOLD_MAX);
    assert.equal(kept.saying("More messages cannot be recorded; they are not told one by one").length, 1);
    assert.match(consumer.health().unrecorded?.message ?? "", /^200 or more messages could not/);
  }, { broker, through: (db) => refusingDb(db, (value) => value === "poison") });
});

Deno.test("Consumer: rows without an id are noted as acknowledged, older ones once a session has lasted", async () => {
  const broker = new PaperBroker();
  await withStation(async (station) => {
    const { db, intake } = station;
    for (const status of ["ARCHIVED", "ANALYSIS_ACTIVE"]) broker.publish(minimal("p", status));
    await settled(station, 2);
    await until("both are noted", async () => {
      await intake.drain();
      return (await allEvents(db)).every(({ ackedAtMs }) => ackedAtMs !== null);
    });
    // A row as a crash between commit and note leaves it.
    await db.write((tx) => tx.run("update events set acked_at_ms = null where seq = 1", []));
    broker.session?.lose(new Error("cut"));
    await until("connected again", () => broker.opened === 2);
    broker.publish(minimal("q", "ARCHIVED", "new"));
    await until("the old row is noted", async () => (await allEvents(db))[0]?.ackedAtMs !== null);
  }, { broker });
});

Deno.test("Consumer: health shows the broker's alarm", async () => {
  await withStation(async ({ broker, consumer }) => {
    await until("connected", () => consumer.health().state === "connected");
    broker.session?.block("low on memory");
    assert.deepEqual([consumer.health().state, consumer.health().lastError], [
      "connected",
      "The broker takes nothing from us: low on memory",
    ]);
    broker.session?.block(null);
    assert.equal(consumer.health().lastError, null);
  });
});

Deno.test("Consumer: stop settles what was delivered, takes no more, and can be repeated", async () => {
  const broker = new PaperBroker();
  for (let index = 0; index < 50; index++) broker.publish(minimal(`p-${index}`, "ARCHIVED"));
  await withStation(async ({ consumer, db }) => {
    await until("connected", () => broker.session !== null);
    await consumer.stop();
    await consumer.stop();
    broker.publish(minimal("late", "ARCHIVED", "late"));
    assert.deepEqual([broker.session?.closed, broker.queue.length], [true, 1]);
    const events = await allEvents(db);
    assert.equal(events.length, 50);
    assert.ok(
      events.every(({ ackedAtMs }) => ackedAtMs !== null),
      "and noted that the broker has the acknowledgements",
    );
  }, { broker });
});

Deno.test("Consumer: stop does not wait for a store or a broker that is away", async () => {
  const broker = new PaperBroker();
  broker.publish(minimal("p", "ARCHIVED", "a"));
  const through = (db: Db): Db =>
    alteredDb(db, () => Promise.reject(new Fault("retry", "unavailable", "the disk is full")));
  await withStation(async ({ consumer }) => {
    await until("delivered", () => (broker.session?.unsettled.size ?? 0) > 0);
    await consumer.stop();
    assert.deepEqual(broker.queue.map(({ redelivered }) => redelivered), [true]);
  }, { broker, through });
  const away = new PaperBroker();
  away.refuses = new Error("refused");
  await withStation(async ({ consumer }) => {
    await until("down", () => consumer.health().state === "down");
    await consumer.stop();
  }, { broker: away });
});
