import assert from "node:assert/strict";
import { type BrokerParts, startBroker } from "../../src/app/broker.ts";
import type { Config } from "../../src/config/schema.ts";
import { minimal, RULES } from "../intake/fixture.ts";
import { PaperBroker } from "../intake/paper_broker.ts";
import { keptLog } from "../kept_log.ts";
import { FakeClock } from "../fake_clock.ts";
import { SeededRandom } from "../seeded_random.ts";
import { until } from "../services/until.ts";
import { alteredDb } from "../store/altered_db.ts";
import { withStore } from "../store/fixture.ts";

/** What the parts of the broker read of the configuration. */
const CONFIG = {
  tiers: { standard: {} },
  accounts: { uidRange: [30_000, 30_099] },
  broker: { url: "amqp://unused", caFile: null, reconnectMaxMs: 5_000 },
} as unknown as Config; // the rest belongs to other parts

Deno.test("startBroker: a message that cannot be recorded turns health to degraded, until it is recorded", async () => {
  await withStore(async (real) => {
    let isBroken = true;
    const db = alteredDb(real, (work) =>
      real.write(async (tx) => {
        const result = await work(tx);
        if (isBroken) throw new RangeError("a defect");
        return result;
      }));
    const messages = new PaperBroker();
    const clock = new FakeClock({ auto: true, turns: 20 });
    const parts: BrokerParts = {
      config: CONFIG,
      db,
      phases: RULES.phases,
      clock,
      random: new SeededRandom(1),
      log: keptLog().log,
      messages,
      accepted: () => {},
    };
    const broker = await startBroker(parts);
    try {
      await until("connected", () => broker.health().state === "ok");
      messages.publish(minimal("p", "ARCHIVED", "e-1"), { messageId: "m-1" });
      await until("degraded", () => broker.health().state === "degraded");
      assert.match(
        broker.health().detail,
        /^connected: A message could not be recorded, last permit\.status\.updated m-1 at .*: .*a defect\. Look for/,
      );
      isBroken = false;
      await until("well again", () => broker.health().state === "ok");
      assert.equal(broker.health().detail, "connected");
    } finally {
      await broker.stop();
      clock.stop();
    }
  });
});
