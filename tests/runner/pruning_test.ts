import assert from "node:assert/strict";
import { z } from "zod";
import { createLog } from "../../src/log.ts";
import { startPruning } from "../../src/runner/pruning.ts";
import type { Db } from "../../src/store/db.ts";
import { listAudit } from "../../src/store/audit.ts";
import { PERMIT, type Stage, withStage } from "./stage.ts";

const DAY_MS = 24 * 60 * 60_000;

async function count(db: Db, table: string): Promise<number> {
  const [row] = await db.read(`select count(*) as rows from ${table}`, [], z.object({ rows: z.number() }));
  return row?.rows ?? 0;
}

function begin(stage: Stage, lines: string[] = []): ReturnType<typeof startPruning> {
  const { clock, db } = stage;
  const log = createLog({ level: "debug", format: "text", clock, write: (line) => void lines.push(line) });
  const random = { next: () => 0.5, bytes: (length: number) => new Uint8Array(length) };
  return startPruning({ db, clock, random, log, keep: { jobsMs: 2 * DAY_MS, eventsMs: 5 * DAY_MS } });
}

Deno.test("pruning: after its time a permit's history goes, the permit works on and its audit stays", async () => {
  await withStage(async (stage) => {
    for (const word of ["WORKSPACE_SETUP_PENDING", "ANALYSIS_ACTIVE", "ARCHIVED", "ANALYSIS_ACTIVE"]) {
      await stage.job((await stage.status(word)).jobId, "succeeded");
    }
    // What it polls would make the days long.
    await stage.runner.stop();
    const before = { audit: await count(stage.db, "audit"), outbox: await count(stage.db, "outbox") };
    const lines: string[] = [];
    const pruning = begin(stage, lines);
    try {
      await stage.clock.sleep(2 * 60 * 60_000);
      assert.deepEqual([await count(stage.db, "jobs"), await count(stage.db, "events")], [4, 4], "young");
      await stage.clock.sleep(2 * DAY_MS);
      assert.deepEqual([await count(stage.db, "jobs"), await count(stage.db, "events")], [1, 4]);
      await stage.clock.sleep(3 * DAY_MS);
      assert.deepEqual([await count(stage.db, "jobs"), await count(stage.db, "events")], [1, 1]);
      assert.ok(await count(stage.db, "evidence") > 0, "the running instances' proofs stay");
      assert.equal(await count(stage.db, "audit"), before.audit);
      assert.equal(await count(stage.db, "outbox"), before.outbox, "nobody has confirmed them");
      assert.ok(
        (await listAudit(stage.db, { permitId: PERMIT }, { cursor: null, limit: 1 })).items.length > 0,
      );
      assert.ok(lines.some((line) => line.includes("jobs")), "what was forgotten is told");
      await stage.restart();
      await stage.job((await stage.status("ARCHIVED")).jobId, "succeeded");
    } finally {
      await pruning.stop();
    }
  }, { withoutDrift: true });
});

Deno.test("pruning: a store that refuses is told, and tried again with the next pass", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    await stage.job((await stage.status("ARCHIVED")).jobId, "succeeded");
    await stage.runner.stop();
    await stage.db.write((tx) =>
      tx.script("create trigger locked before delete on jobs begin select raise(abort, 'locked'); end")
    );
    const lines: string[] = [];
    const pruning = begin(stage, lines);
    try {
      await stage.clock.sleep(3 * DAY_MS);
      assert.equal(await count(stage.db, "jobs"), 2);
      assert.ok(lines.some((line) => line.includes("cannot forget") && line.includes("locked")));
      await stage.db.write((tx) => tx.script("drop trigger locked"));
      await stage.clock.sleep(3 * 60 * 60_000);
      assert.equal(await count(stage.db, "jobs"), 1);
    } finally {
      await pruning.stop();
    }
  }, { withoutDrift: true });
});
