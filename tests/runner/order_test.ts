import assert from "node:assert/strict";
import { PERMIT, type Stage, withStage } from "./stage.ts";

const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `many-${index}`);

/** The permits in the order in which their jobs were first claimed. */
async function claimed(stage: Stage, permits: string[]): Promise<string[]> {
  const started: [string, number][] = [];
  for (const permitId of permits) {
    started.push([permitId, (await stage.snapshot(permitId)).job?.startedAtMs ?? Infinity]);
  }
  return started.sort(([, a], [, b]) => a - b).map(([permitId]) => permitId);
}

Deno.test("order: no more permits are worked on at once than asked for", async () => {
  for (const parallelPermits of [1, 3]) {
    await withStage(async (stage) => {
      const permits = many(12);
      for (const permitId of permits) await stage.status("ANALYSIS_ACTIVE", permitId);
      for (const permitId of permits) await stage.latest("succeeded", permitId);
      assert.equal(stage.driver.permitsAtOnce, parallelPermits);
      assert.deepEqual([stage.runner.health().open, stage.runner.health().working], [0, 0]);
    }, { limits: { parallelPermits, urgentPermits: 1 }, settings: { latencyMs: 20 }, withoutDrift: true });
  }
});

Deno.test("order: attempts that wait hold nobody up", async () => {
  await withStage(async (stage) => {
    const permits = many(10);
    for (const permitId of permits) await stage.status("ANALYSIS_ACTIVE", permitId);
    await stage.until(
      "all wait",
      () => stage.runner.health().open === 10 && stage.runner.health().working === 0,
    );
    const { jobId } = await stage.status("ARCHIVED", "permit-x");
    await stage.job(jobId, "succeeded", 1_000);
    for (const permitId of permits) await stage.latest("succeeded", permitId);
  }, {
    limits: { parallelPermits: 1, urgentPermits: 1 },
    settings: { readyMs: 120_000 },
    withoutDrift: true,
  });
});

Deno.test("order: cutting access comes before giving it, and has a lane of its own", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    stage.driver.hold(({ permitId }) => permitId !== PERMIT);
    for (const permitId of many(5)) await stage.status("ANALYSIS_ACTIVE", permitId);
    await stage.until("the general slots are held", () => stage.driver.waiting >= 2);
    const beganMs = stage.clock.now();
    const halt = await stage.send("permit.halted");
    await stage.job(halt.jobId, "succeeded");
    assert.ok(stage.clock.now() - beganMs < 2_000, "although nobody else gets on");
    assert.deepEqual(stage.truth().pods, []);
    stage.driver.open();
  }, { limits: { parallelPermits: 2, urgentPermits: 1 }, withoutDrift: true });
});

Deno.test("order: of what waits for a slot, the most urgent is claimed first, then the oldest", async () => {
  await withStage(async (stage) => {
    const permits = many(6);
    for (const permitId of permits) {
      await stage.job((await stage.status("ANALYSIS_ACTIVE", permitId)).jobId, "succeeded");
    }
    stage.driver.hold(({ permitId }) => permitId.startsWith("busy"));
    for (const permitId of ["busy-1", "busy-2"]) await stage.status("ANALYSIS_ACTIVE", permitId);
    await stage.send("permit.deleted", {}, "busy-2");
    const [a = "", b = "", c = "", d = "", e = "", f = ""] = permits;
    await stage.until(
      "all slots are held",
      () => stage.driver.waiting >= 1 && stage.runner.health().working >= 1,
    );
    await stage.status("WORKSPACE_SETUP_PENDING", a);
    await stage.clock.sleep(5);
    await stage.status("WORKSPACE_SETUP_PENDING", b);
    await stage.clock.sleep(5);
    await stage.send("permit.workspace.stop_requested", {}, c);
    await stage.send("permit.deleted", {}, d);
    await stage.send("permit.halted", {}, e);
    await stage.status("WORKSPACE_SETUP_PENDING", f);
    stage.driver.open();
    for (const permitId of permits) await stage.latest("succeeded", permitId);
    const order = await claimed(stage, permits);
    const at = (permitId: string): number => order.indexOf(permitId);
    assert.ok(Math.max(at(c), at(d), at(e)) < Math.min(at(b), at(f)), order.join(" "));
    assert.ok(at(a) < at(b) && at(b) < at(f), order.join(" "));
  }, { limits: { parallelPermits: 1, urgentPermits: 1 }, settings: { latencyMs: 20 }, withoutDrift: true });
});

Deno.test("order: new work is not starved by attempts that come back from their waits", async () => {
  await withStage(async (stage) => {
    const permits = many(30);
    for (const permitId of permits) await stage.status("ANALYSIS_ACTIVE", permitId);
    await stage.until(
      "all wait",
      () => stage.runner.health().open === 30 && stage.runner.health().working === 0,
    );
    // Whoever waits is rung all the time, and each look takes a while: the slot never rests.
    let isOver = false;
    const ringing = (async () => {
      while (!isOver) {
        for (const permitId of permits) stage.bell.ring(permitId);
        await stage.clock.sleep(50);
      }
    })();
    const { jobId } = await stage.status("WORKSPACE_SETUP_PENDING", "permit-x");
    await stage.until(
      "it is claimed",
      async () => (await stage.job(jobId, "running")).state === "running",
      30_000,
    );
    isOver = true;
    await ringing;
  }, {
    limits: { parallelPermits: 1, urgentPermits: 1 },
    settings: { readyMs: 600_000, latencyMs: 100 },
    withoutDrift: true,
  });
});
