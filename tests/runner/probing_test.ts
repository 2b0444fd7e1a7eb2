/** The repeated probes on the simulated cluster: what they leave on record, and what a breach does. */
import assert from "node:assert/strict";
import { type Probing, startProbing } from "../../src/runner/probing.ts";
import { listAudit } from "../../src/store/audit.ts";
import { latestEvidence } from "../../src/store/evidence.ts";
import { createLog } from "../../src/log.ts";
import { SeededRandom } from "../seeded_random.ts";
import { FlakyDb } from "./flaky_db.ts";
import { PERMIT, type Stage, withStage } from "./stage.ts";
import { z } from "zod";

const COUNT = z.object({ n: z.number() });
const MINUTE_MS = 60_000;
const INTERVAL_MS = 15 * MINUTE_MS;
const KEY = "research/l.maes";

interface Told {
  alarms: { permitId: string; workspaceKey: string; why: string }[];
  /** What probes could not write. */
  store: FlakyDb;
}

async function withProbing(
  test: (stage: Stage, probing: Probing, told: Told) => Promise<void>,
): Promise<void> {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    const { driver, clock } = stage;
    const told: Told = { alarms: [], store: new FlakyDb(stage.db) };
    const probing = startProbing({
      db: told.store,
      driver,
      clock,
      random: new SeededRandom(1),
      log: createLog({ level: "debug", format: "text", clock, write: () => {} }),
      bootEpoch: "boot-1",
      intervalMs: INTERVAL_MS,
      alarm: (permitId, workspaceKey, why) => {
        told.alarms.push({ permitId, workspaceKey, why });
        return Promise.resolve();
      },
    });
    try {
      await test(stage, probing, told);
    } finally {
      await probing.stop();
    }
  }, { withoutDrift: true });
}

async function outcomes(stage: Stage): Promise<string[]> {
  const { items } = await listAudit(stage.db, { action: "isolation.probed" }, { cursor: null, limit: 100 });
  return items.map(({ outcome }) => outcome);
}

Deno.test("startProbing: each workspace with data is shown isolated again once in an interval, and nothing moves", async () => {
  await withProbing(async (stage, probing, told) => {
    const pod = stage.inside.pod(PERMIT, KEY).uid;
    await stage.clock.sleep(4 * INTERVAL_MS);
    const probed = stage.driver.probed.filter((key) => key === KEY).length;
    assert.ok(probed >= 3 && probed <= 5, `${probed} probes in four intervals`);
    assert.ok((await outcomes(stage)).every((outcome) => outcome === "done"));
    const proof = await latestEvidence(stage.db, PERMIT, KEY, pod);
    assert.equal(proof?.evidence.method, "probe");
    assert.ok(stage.clock.now() - (proof?.atMs ?? 0) < 2 * INTERVAL_MS, "the newest is kept");
    const rows = await stage.db.read("select count(*) as n from evidence", [], COUNT);
    assert.deepEqual(rows, [{ n: 4 }], "of each workspace its gate and its newest probe");
    assert.deepEqual([told.alarms, probing.health().unknown], [[], []]);
    assert.equal(stage.inside.pod(PERMIT, KEY).uid, pod);
  });
});

Deno.test("startProbing: a way out raises the alarm, and is no proof", async () => {
  await withProbing(async (stage, _probing, told) => {
    stage.operator.addForeignPolicy(PERMIT, "let-me-out");
    await stage.until("the alarm", () => told.alarms.length >= 1, 2 * INTERVAL_MS);
    assert.match(told.alarms[0]?.why ?? "", /reached internet/);
    assert.ok((await outcomes(stage)).includes("failed"));
    const { uid } = stage.inside.pod(PERMIT, told.alarms[0]?.workspaceKey ?? "");
    const proof = await latestEvidence(stage.db, PERMIT, told.alarms[0]?.workspaceKey ?? "", uid);
    assert.equal(proof?.evidence.method, "gate", "what a breach showed is not kept as a proof");
    stage.forgive();
  });
});

Deno.test("startProbing: a way out that cannot be put on record raises the alarm all the same", async () => {
  await withProbing(async (stage, _probing, told) => {
    told.store.fails = () => true;
    stage.operator.addForeignPolicy(PERMIT, "let-me-out");
    const alarmed = (): number => new Set(told.alarms.map(({ workspaceKey }) => workspaceKey)).size;
    await stage.until("both are told", () => alarmed() === 2, 2 * INTERVAL_MS);
    assert.deepEqual(await outcomes(stage), []);
    told.store.fails = () => false;
    const probed = stage.driver.probed.length;
    await stage.until("it is probed again", () => stage.driver.probed.length > probed, 2 * MINUTE_MS);
    await stage.until("it is on record", async () => (await outcomes(stage)).includes("failed"));
    stage.forgive();
  });
});

Deno.test("startProbing: silent canaries show nothing: told in health, tried again within minutes, no alarm", async () => {
  await withProbing(async (stage, probing, told) => {
    stage.operator.silence(["internet", "proxy", "dns"]);
    await stage.until("health says so", () => probing.health().unknown.length === 2, 2 * INTERVAL_MS);
    assert.match(probing.health().unknown[0] ?? "", /only 1 canaries answer/);
    assert.deepEqual(await outcomes(stage), []);
    stage.operator.silence([]);
    await stage.until("it is shown", () => probing.health().unknown.length === 0, 5 * MINUTE_MS);
    assert.deepEqual(told.alarms, []);
  });
});

Deno.test("startProbing: who has no data, or nobody reaches, is not probed", async () => {
  await withProbing(async (stage) => {
    await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
    stage.driver.probed.length = 0;
    await stage.clock.sleep(3 * INTERVAL_MS);
    assert.deepEqual(stage.driver.probed, []);
  });
});
