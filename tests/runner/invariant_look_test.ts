import assert from "node:assert/strict";
import { listAudit } from "../../src/store/audit.ts";
import { listBreaches } from "../../src/store/breaches.ts";
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
