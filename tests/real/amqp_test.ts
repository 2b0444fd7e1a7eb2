import assert from "node:assert/strict";
import type { Db } from "../../src/store/db.ts";
import { getPermit } from "../../src/store/permits.ts";
import { requireOrReport } from "../cluster/availability.ts";
import { RabbitMq } from "../services/rabbitmq.ts";
import { builtInPhases } from "../core/plan_fixture.ts";
import { until } from "../services/until.ts";
import { refusingDb } from "../store/altered_db.ts";
import { withDirectory } from "../store/fixture.ts";
import { openTlsDoor } from "./tls_door.ts";
import { freshNames, type Names, Publisher, startStation, type Station } from "./amqp_station.ts";

// What intake does with a RabbitMQ that is well; its troubles are in amqp_recovery_test.ts.

const STATUS = "permit.status.updated";

const ignore = !(await requireOrReport("rabbitmq"));
let rabbit: RabbitMq;
Deno.test.beforeAll(async () => {
  if (!ignore) rabbit = await RabbitMq.start();
});
Deno.test.afterAll(async () => {
  if (!ignore) await rabbit.stop();
});

async function withStation(
  test: (
    parts: { station: Station; publisher: Publisher; names: Names; directory: string },
  ) => Promise<void>,
  db?: (real: Db) => Db,
): Promise<void> {
  await withDirectory(async (directory) => {
    const names = freshNames();
    const station = await startStation({ url: rabbit.url, names, directory, db });
    try {
      await station.connected();
      await using publisher = await Publisher.connect(rabbit.url);
      await test({ station, publisher, names, directory });
    } finally {
      await station.stop();
    }
  });
}

Deno.test(
  "RabbitMQ: the minimal form, CloudEvents and strangers arrive as what they are",
  { ignore },
  async () => {
    await withStation(async ({ station, publisher, names }) => {
      const attributes = { specversion: "1.0", id: "ce-1", source: "urn:pm", type: STATUS };
      const binary = Object.fromEntries(
        Object.entries({ ...attributes, id: "ce-2", time: "2026-11-22T10:00:00Z" })
          .map(([name, value]) => [`cloudEvents:${name}`, value]),
      );
      await publisher.publish(names.exchange, [
        { type: STATUS, id: "m-1", body: { permitId: "p", status: "AWAITING_INGRESS" } },
        {
          type: STATUS,
          body: { ...attributes, data: { permitId: "p", status: "ARCHIVED" } },
          contentType: "application/cloudevents+json",
        },
        { type: STATUS, body: { permitId: "p", status: "ANALYSIS_ACTIVE" }, headers: binary },
        { type: "permit.workspace.stop_requested", body: { permitId: "p", status: "ANALYSIS_ACTIVE" } },
        { type: "permit.analysis.approved", id: "m-1", body: { anything: true } },
      ]);
      const events = await until("all are recorded", async () => {
        const all = await station.events();
        return all.length === 5 && all;
      });
      assert.deepEqual(events.map(({ source, id, type, verdict }) => [source, id, type, verdict]), [
        ["permit-manager", "m-1", STATUS, "accepted"],
        ["urn:pm", "ce-1", STATUS, "accepted"],
        ["urn:pm", "ce-2", STATUS, "accepted"],
        ["permit-manager", null, "permit.workspace.stop_requested", "accepted"],
        ["permit-manager", "m-1", "permit.analysis.approved", "ignored"],
      ]);
      const permit = await getPermit(station.store.db, "p");
      assert.deepEqual([permit?.status, permit?.stopRequested, permit?.version], [
        "ANALYSIS_ACTIVE",
        true,
        4,
      ]);
    });
  },
);

Deno.test("RabbitMQ: a rejected message becomes a dead letter with everything it had and the reasons", {
  ignore,
}, async () => {
  await withStation(async ({ station, publisher, names }) => {
    const raw = '{"permitId":"p","status":"PAUSED","researchers":[{"username":"root","uid":0}]}';
    await publisher.publish(names.exchange, [
      {
        type: STATUS,
        id: "bad",
        body: raw,
        headers: { trace: "abc", at: { "!": "timestamp", value: 5 } },
        contentType: "application/json",
      },
      { type: STATUS, id: "large", body: `"${"x".repeat(2 * 1024 * 1024)}"` },
      { type: STATUS, id: "good", body: { permitId: "p", status: "ARCHIVED" } },
    ]);
    const first = await until(
      "the first dead letter",
      async () => await publisher.take(names.deadLetterQueue) ?? undefined,
    );
    const { headers = {}, messageId, contentType } = first.properties;
    assert.deepEqual([first.content.toString(), messageId, contentType, headers["trace"]], [
      raw,
      "bad",
      "application/json",
      "abc",
    ]);
    const known = [...(await builtInPhases()).statuses.keys()].join(", ");
    assert.deepEqual(headers["x-wps-reasons"], [
      { path: "data.researchers[0].username", message: '"root" is a reserved name' },
      { path: "data.researchers[0].uid", message: "0 is below 1000" },
      { path: "data.status", message: `no phase is named PAUSED; known: ${known}` },
    ]);
    assert.deepEqual([headers["x-wps-routing-key"], headers["x-wps-exchange"], headers["x-wps-event"]], [
      STATUS,
      names.exchange,
      1,
    ]);
    const second = await until(
      "the second dead letter",
      async () => await publisher.take(names.deadLetterQueue) ?? undefined,
    );
    assert.deepEqual([second.content.length, second.properties.messageId], [2 * 1024 * 1024 + 2, "large"]);
    await until("the good one is recorded", async () => (await station.events()).length === 3);
    assert.equal((await publisher.channel.checkQueue(names.queue)).messageCount, 0);
  });
});

Deno.test("RabbitMQ: headers as large as a frame allows do not keep a message from the dead letters", {
  ignore,
}, async () => {
  await withStation(async ({ publisher, names }) => {
    await publisher.publish(names.exchange, [{
      type: STATUS,
      body: "{",
      headers: { big: "é".repeat(30_000) },
    }]);
    const letter = await until(
      "the dead letter",
      async () => await publisher.take(names.deadLetterQueue) ?? undefined,
    );
    assert.deepEqual([
      letter.properties.headers?.["big"],
      letter.properties.headers?.["x-wps-headers-dropped"],
    ], [undefined, true]);
  });
});

Deno.test("RabbitMQ: a message that never can be recorded ends with the dead letters, and holds nobody up", {
  ignore,
}, async () => {
  const db = (real: Db): Db => refusingDb(real, (value) => value === "poison");
  await withStation(async ({ station, publisher, names }) => {
    await publisher.publish(
      names.exchange,
      ["a", "poison", "b"].map((id) => (
        { type: STATUS, id, body: { permitId: id, status: "ARCHIVED" } }
      )),
    );
    await until("the others are recorded", async () => (await station.events()).length === 2);
    const letter = await until(
      "the broker gives up",
      async () => await publisher.take(names.deadLetterQueue) ?? undefined,
      60_000,
    );
    const [death] = letter.properties.headers?.["x-death"] ?? [];
    assert.deepEqual([letter.properties.messageId, death?.reason, death?.queue], [
      "poison",
      "delivery_limit",
      names.queue,
    ]);
    assert.deepEqual((await station.events()).map(({ id }) => id), ["a", "b"]);
    assert.equal(station.consumer.health().state, "connected");
  }, db);
});

Deno.test("RabbitMQ: an acknowledged row without an id is noted, so that it absorbs nothing later", {
  ignore,
}, async () => {
  await withStation(async ({ station, publisher, names }) => {
    const stop = { type: "permit.workspace.stop_requested", body: { permitId: "p" } };
    const start = { type: "permit.workspace.start_requested", body: { permitId: "p" } };
    await publisher.publish(names.exchange, [stop, start, stop, start]);
    const events = await until("all are noted", async () => {
      const all = await station.events();
      return all.length === 4 && all.every(({ ackedAtMs }) => ackedAtMs !== null) && all;
    });
    assert.ok(events.every(({ verdict }) => verdict === "accepted"), "the same body rightly returns");
  });
});

Deno.test(
  "RabbitMQ: stop in the middle of a backlog loses nothing and counts nothing twice",
  { ignore },
  async () => {
    await withDirectory(async (directory) => {
      const names = freshNames();
      const first = await startStation({ url: rabbit.url, names, directory, prefetch: 10 });
      await first.connected();
      await using publisher = await Publisher.connect(rabbit.url);
      // Alternating and without ids: each counts, in exactly this order.
      const letters = Array.from({ length: 400 }, (_, index) => ({
        type: `permit.workspace.${index % 2 === 0 ? "stop" : "start"}_requested`,
        body: { permitId: "p" },
      }));
      await publisher.publish(names.exchange, letters);
      await until("some are recorded", async () => (await first.events()).length > 20);
      await first.stop();
      const second = await startStation({ url: rabbit.url, names, directory });
      try {
        const events = await until("all are recorded", async () => {
          const all = await second.events();
          return all.length >= 400 && all;
        });
        assert.deepEqual(
          events.map(({ type, verdict }) => `${type} ${verdict}`),
          letters.map(({ type }) => `${type} accepted`),
        );
      } finally {
        await second.stop();
      }
    });
  },
);

Deno.test("RabbitMQ: over TLS, with the site's own authority and with no other", { ignore }, async () => {
  await withDirectory(async (directory) => {
    const door = await openTlsDoor(directory, rabbit.port);
    try {
      const { username, password } = new URL(rabbit.url);
      const url = `amqps://${username}:${password}@localhost:${door.port}`;
      const names = freshNames();
      const trusting = await startStation({ url, names, directory: `${directory}/a`, ca: door.ca });
      try {
        await trusting.connected();
        await using publisher = await Publisher.connect(rabbit.url);
        await publisher.publish(names.exchange, [{
          type: STATUS,
          id: "tls",
          body: { permitId: "p", status: "ARCHIVED" },
        }]);
        await until("it is recorded", async () => (await trusting.events()).length === 1);
      } finally {
        await trusting.stop();
      }
      const wary = await startStation({ url, names, directory: `${directory}/b` });
      try {
        await until("it is down", () => wary.consumer.health().state === "down");
        assert.match(wary.consumer.health().lastError ?? "", /certificate/i);
        assert.match(wary.consumer.health().advice ?? "", /broker\.caFile/);
        assert.doesNotMatch(JSON.stringify(wary.consumer.health()), new RegExp(password));
      } finally {
        await wary.stop();
      }
    } finally {
      await door.close();
    }
  });
});
