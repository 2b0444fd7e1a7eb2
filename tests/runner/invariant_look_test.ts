import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { permitName } from "../../src/core/names.ts";
import { listAudit } from "../../src/store/audit.ts";
import { listBreaches } from "../../src/store/breaches.ts";
import type { Db, Tx } from "../../src/store/db.ts";
import { MEMBERS } from "../core/plan_fixture.ts";
import { alteredDb } from "../store/altered_db.ts";
import { PERMIT, type Stage, withStage } from "./stage.ts";

const MINUTE_MS = 60_000;

async function inAnalysis(stage: Stage): Promise<void> {
  await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
}

async function audited(stage: Stage): Promise<string[]> {
  const { items } = await listAudit(stage.db, { action: "invariant.broken" }, { cursor: null, limit: 50 });
  return items.map(({ reason }) => reason ?? "").reverse();
}

Deno.test("drift: a network that somebody opens is on record as a broken invariant, before the halt, and once", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    assert.deepEqual(await audited(stage), [], "nothing of an ordinary life breaks any");
    stage.operator.addForeignPolicy(PERMIT, "let-me-out");
    await stage.until("it is halted", async () => (await stage.snapshot()).status === "HALTED");
    const found = await audited(stage);
    assert.equal(new Set(found).size, found.length, "each once");
    assert.ok(
      found.some((text) => /^pod .* has .*prepared.* let-me-out \(invariant 1\)$/.test(text)),
      found.join("\n"),
    );
    assert.ok(found.some((text) => text.includes("(invariant 2)")), "a shared volume reaches the way out");
    assert.ok(stage.log.some((line) => line.includes("an invariant is broken")));
    await stage.until(
      "it is over",
      async () => (await listBreaches(stage.db, PERMIT)).length === 0,
      30 * MINUTE_MS,
    );
    assert.deepEqual(await audited(stage), found, "that it is over is no news of a breach");
    stage.forgive();
  });
});

Deno.test("drift: lost data is told until it is back, and again when it is lost again", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    stage.operator.loseBacking(PERMIT, "prepared");
    await stage.until(
      "it is on record",
      async () => (await listBreaches(stage.db, PERMIT)).length > 0,
      30 * MINUTE_MS,
    );
    const [lost] = await listBreaches(stage.db, PERMIT);
    assert.deepEqual([lost?.invariant, lost?.target], [4, "volume prepared"]);
    await stage.clock.sleep(60 * MINUTE_MS);
    assert.equal((await audited(stage)).length, 1, "many looks, one row");
    stage.forgive();
  });
});

/** Airlocks that serve, while the permit's job waits for somebody to be named: for days, and its looks are minutes apart. */
async function whileItWaits(stage: Stage): Promise<void> {
  const { reviewer: _nobody, ...members } = MEMBERS;
  await stage.send("permit.status.updated", { status: "AWAITING_INGRESS", ...members });
  await stage.send("permit.ingress.initiated");
  await stage.until("airlocks run", () => stage.truth().pods.length === 2);
  await stage.send("permit.ingress.initiated", { status: "DATA_PREPARATION_REVIEW_PENDING" });
  await stage.until("it waits", async () => (await stage.latest("running")).waitingFor !== null);
  await stage.clock.sleep(30 * MINUTE_MS);
}

/** As if somebody had altered the gate of all that runs. */
function setGates(stage: Stage, gated: boolean): void {
  const scope = permitName(PERMIT);
  stage.cluster.write(scope, (world) => {
    for (const { template } of Object.values(world.state.scopes[scope]?.pods ?? {})) template.gated = gated;
    world.moved();
  });
}

/** A database that tells of each statement within a transaction; a Fault thrown is its answer. */
function overheard(db: Db, hear: (sql: string) => void): Db {
  const heard = (tx: Tx): Tx => ({
    read: (sql, args, row) => {
      hear(sql);
      return tx.read(sql, args, row);
    },
    run: (sql, args) => {
      hear(sql);
      return tx.run(sql, args);
    },
    script: (sql) => tx.script(sql),
  });
  return alteredDb(db, (work) => db.write((tx) => work(heard(tx))));
}

Deno.test("attempt: what is broken while a job waits for a person is on record, told once, and until it is over", async () => {
  let writes = 0;
  const wrap = (db: Db): Db => overheard(db, (sql) => void (sql.includes(" breaches ") && writes++));
  await withStage(async (stage) => {
    await whileItWaits(stage);
    await stage.clock.sleep(60 * MINUTE_MS);
    assert.equal(writes, 0, "where nothing is broken nothing is written");
    const lines = stage.log.length;
    setGates(stage, false);
    await stage.until("it is on record", async () => (await listBreaches(stage.db, PERMIT)).length === 2);
    assert.deepEqual((await listBreaches(stage.db, PERMIT)).map(({ invariant }) => invariant), [6, 6]);
    const told = (): number =>
      stage.log.slice(lines).filter((line) => /invariant is broken/.test(line)).length;
    assert.equal(told(), 2);
    const once = writes;
    await stage.clock.sleep(120 * MINUTE_MS);
    assert.equal((await audited(stage)).length, 2, "many looks, one row each");
    assert.equal(told(), 2);
    assert.equal(writes, once, "what is known is not written again");
    assert.equal((await stage.latest("running")).attempt, 1);
    setGates(stage, true);
    await stage.until("it is over", async () => (await listBreaches(stage.db, PERMIT)).length === 0);
    assert.equal((await audited(stage)).length, 2);
    stage.forgive();
  }, { wrap });
});

Deno.test("attempt: a store that does not take what is broken ends no attempt before its cuts", async () => {
  let refused = 0;
  const wrap = (db: Db): Db =>
    overheard(db, (sql) => {
      if (!sql.includes("into breaches")) return;
      refused++;
      throw new Fault("retry", "unavailable", "Cannot use database: disk I/O error");
    });
  await withStage(async (stage) => {
    await inAnalysis(stage);
    setGates(stage, false);
    const { jobId } = await stage.status("ARCHIVED");
    const { attempt } = await stage.job(jobId, "succeeded");
    assert.ok(refused > 0, "it was tried");
    assert.equal(attempt, 1);
    assert.equal(stage.truth().pods.length, 0);
    assert.ok(stage.log.some((line) => /cannot record which invariants are broken/.test(line)));
    stage.forgive();
  }, { wrap, withoutDrift: true });
});
