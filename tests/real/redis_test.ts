import assert from "node:assert/strict";
import { type Log, SILENT_LOG } from "../../src/log.ts";
import { MACHINE_CLOCK, MACHINE_RANDOM } from "../../src/machine.ts";
import { type ReadModel, startReadModel } from "../../src/readmodel/read_model.ts";
import { connectRedis } from "../../src/readmodel/redis.ts";
import { getPermit, savePermit } from "../../src/store/permits.ts";
import { PEOPLE, PERMIT, type Service, statusEvent, withService } from "../api/service.ts";
import { requireOrReport } from "../cluster/harness.ts";
import { Redis } from "../services/redis.ts";
import { until } from "../services/until.ts";

const noRedis = !(await requireOrReport("redis"));
const KEY = `wps:workspace:${PERMIT}`;

/** A read model of the service's database on this Redis; every line it logs. */
function follow(service: Service, redis: Redis, lines: string[] = []): ReadModel {
  const log: Log = {
    ...SILENT_LOG,
    info: (message) => void lines.push(message),
    warn: (message, fields) => void lines.push(`${message}: ${fields?.["why"]}`),
  };
  const cache = connectRedis({ url: redis.url, ca: null, random: MACHINE_RANDOM });
  const { db, phases, site } = service.deps;
  return startReadModel({ cache, db, phases, site, clock: MACHINE_CLOCK, log });
}

async function entry(redis: Redis, key = KEY): Promise<Record<string, unknown> | null> {
  const text = await redis.cli(["get", key]);
  return text === "" ? null : JSON.parse(text);
}

/** Waits until the key's entry has this status; returns it. */
function shows(redis: Redis, status: string, key = KEY): Promise<Record<string, unknown>> {
  return until(`${key} shows ${status}`, async () => {
    const found = await entry(redis, key);
    return found?.["status"] === status ? found : undefined;
  });
}

Deno.test("startReadModel: follows each commit, without passwords, and forgets who is deleted", {
  ignore: noRedis,
}, () =>
  withService(async (service) => {
    await using redis = await Redis.start();
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    const model = follow(service, redis);
    try {
      const early = await shows(redis, "PENDING");
      assert.deepEqual(
        [early["host"], early["workspaces"] instanceof Array],
        [null, true],
        "rebuilt at start",
      );
      await service.settle();
      model.changed(PERMIT);
      const running = await shows(redis, "RUNNING");
      assert.deepEqual(running["members"], [
        { role: "dataHolder", username: "hospital-a-sftp" },
        { role: "preprocessor", username: "m.keller" },
        { role: "reviewer", username: "a.rossi" },
        { role: "setupReviewer", username: "a.rossi" },
        { role: "researcher", username: "j.virtanen" },
        { role: "researcher", username: "l.maes" },
      ]);
      assert.deepEqual(
        [running["protocol"], running["host"], running["port"]],
        [null, null, null],
        "two: see each",
      );
      assert.deepEqual(
        running["workspaces"],
        ["j.virtanen", "l.maes"].map((username) => ({
          kind: "research",
          username,
          status: "RUNNING",
          protocol: "rdp",
          host: `${username}.example`,
          port: 3389,
        })),
      );
      await service.event(statusEvent("ANALYSIS_ACTIVE", { researchers: [PEOPLE.researchers[0]] }));
      await service.settle();
      model.changed(PERMIT);
      const one = await until("one is left", async () => {
        const found = await entry(redis);
        return found?.["host"] === null ? undefined : found;
      });
      assert.deepEqual([one?.["protocol"], one?.["host"], one?.["port"]], [
        "rdp",
        "j.virtanen.example",
        3389,
      ]);
      assert.ok(!(await redis.cli(["get", KEY])).includes("password"));

      const permit = await getPermit(service.db, PERMIT);
      assert.ok(permit !== null);
      await service.db.write((tx) => savePermit(tx, { ...permit, deletion: "requested" }, 1));
      model.changed(PERMIT);
      await shows(redis, "DESTROYING");
      await service.db.write((tx) => savePermit(tx, { ...permit, deletion: "done" }, 1));
      model.changed(PERMIT);
      await until("the key is gone", async () => await redis.cli(["exists", KEY]) === "0");
    } finally {
      await model.close();
    }
  }));

Deno.test(
  "startReadModel: Redis killed and returned empty is filled anew, and what changed meanwhile is there",
  { ignore: noRedis },
  () =>
    withService(async (service) => {
      await using redis = await Redis.start();
      await service.event(statusEvent("AWAITING_INGRESS", PEOPLE));
      const lines: string[] = [];
      const model = follow(service, redis, lines);
      try {
        await shows(redis, "NONE");
        for (let round = 1; round <= 3; round++) {
          await redis.kill();
          await until("the loss is noticed", async () => (await model.health()).state === "down");
          const status = round % 2 === 1 ? "ANALYSIS_ACTIVE" : "AWAITING_INGRESS";
          for (let repeat = 0; repeat < 50; repeat++) model.changed(`noise-${repeat}`);
          await service.event(statusEvent(status));
          model.changed(PERMIT);
          const { detail, since } = await model.health();
          assert.match(detail, /to be written/);
          assert.ok(since !== null);
          await redis.restart();
          await shows(redis, round % 2 === 1 ? "PENDING" : "NONE");
          await until("it is in step again", async () => (await model.health()).state === "ok");
        }
        assert.equal(lines.filter((line) => line === "The read model is in step").length, 4);
        assert.equal(
          lines.filter((line) => line.startsWith("The read model is behind")).length,
          3,
          "one line a loss",
        );
        assert.ok(!lines.join().includes(new URL(redis.url).password), "the password is in no line");
      } finally {
        await model.close();
      }
    }),
);

Deno.test("startReadModel: a rebuild removes what no permit has any more, and nothing that is not ours", {
  ignore: noRedis,
}, () =>
  withService(async (service) => {
    await using redis = await Redis.start();
    await service.event(statusEvent("AWAITING_INGRESS"));
    await redis.cli(["set", "wps:workspace:ghost", "{}"]);
    await redis.cli(["set", "wps:session:1", "another service's"]);
    const model = follow(service, redis);
    try {
      await until(
        "the ghost is gone",
        async () => await redis.cli(["exists", "wps:workspace:ghost"]) === "0",
      );
      assert.equal(await redis.cli(["exists", "wps:session:1"]), "1");
      assert.equal((await entry(redis))?.["status"], "NONE");
    } finally {
      await model.close();
    }
  }));

Deno.test(
  "startReadModel: a frozen Redis holds nobody up and is caught up with",
  { ignore: noRedis },
  () =>
    withService(async (service) => {
      await using redis = await Redis.start();
      await service.event(statusEvent("AWAITING_INGRESS", PEOPLE));
      const model = follow(service, redis);
      try {
        await shows(redis, "NONE");
        redis.freeze();
        const startedAt = performance.now();
        await service.event(statusEvent("ANALYSIS_ACTIVE"));
        model.changed(PERMIT);
        assert.ok(performance.now() - startedAt < 1_000, "the event did not wait for Redis");
        await until("the silence is noticed", async () => (await model.health()).state !== "ok");
        redis.thaw();
        await shows(redis, "PENDING");
        await until("it is in step again", async () => (await model.health()).state === "ok");
      } finally {
        await model.close();
      }
    }),
);

Deno.test("startReadModel: a Redis that never was costs nothing, and one that refuses the password says so", {
  ignore: noRedis,
}, () =>
  withService(async (service) => {
    await using redis = await Redis.start();
    await service.event(statusEvent("AWAITING_INGRESS"));
    const { db, phases, site } = service.deps;
    const wrong = new URL(redis.url);
    wrong.password = "wrong";
    const cases = [
      { url: wrong.href, why: /WRONGPASS|invalid/i },
      { url: "redis://127.0.0.1:1", why: /ECONNREFUSED/ },
    ];
    for (const { url, why } of cases) {
      const cache = connectRedis({ url, ca: null, random: MACHINE_RANDOM });
      const model = startReadModel({ cache, db, phases, site, clock: MACHINE_CLOCK, log: SILENT_LOG });
      try {
        model.changed(PERMIT);
        await until(`health tells ${why}`, async () => why.test((await model.health()).detail));
        assert.equal((await model.health()).state, "down");
      } finally {
        await model.close();
      }
    }
  }));
