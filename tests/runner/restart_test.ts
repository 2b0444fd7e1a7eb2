import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { latestJob } from "../../src/store/jobs.ts";
import { type Stage, WAITS, withStage } from "./stage.ts";

const MINUTE_MS = 60_000;

async function untilWaiting(stage: Stage, jobId: number): Promise<void> {
  await stage.until("it waits", async () => (await stage.job(jobId, "running")).waitingFor !== null);
}

Deno.test("restart: a wait's deadline counts from its first beginning", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    const isForPod = async (): Promise<boolean> =>
      (await stage.job(jobId, "running")).waitingFor?.includes("ImagePullBackOff") === true;
    await stage.until("it waits for its pod", isForPod);
    const sinceMs = (await stage.job(jobId, "running")).waitingSinceMs ?? 0;
    for (let boot = 0; boot < 4; boot++) {
      await stage.clock.sleep(2.5 * MINUTE_MS);
      await stage.restart();
      await stage.until("it waits for its pod", isForPod);
      const job = await stage.job(jobId, "running");
      assert.deepEqual(
        [job.attempt, job.waitingSinceMs],
        [1, sinceMs],
        "the attempt that a stop cut off does not count",
      );
    }
    const failed = await stage.job(jobId, "failed");
    const waitedMs = (failed.endedAtMs ?? 0) - sinceMs;
    assert.ok(waitedMs >= WAITS.readyMs && waitedMs < WAITS.readyMs + MINUTE_MS, `${waitedMs} ms`);
  }, { settings: { brokenKinds: ["research"] }, withoutDrift: true });
});

Deno.test("restart: what is waited for since then is a wait of its own", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await untilWaiting(stage, jobId);
    await stage.clock.sleep(8 * MINUTE_MS);
    // The one wait is nearly over its deadline; another begins after the restart.
    await stage.restart();
    await untilWaiting(stage, jobId);
    const extra = await stage.send("permit.status.updated", { status: "DATA_PREPARATION_REVIEW_PENDING" });
    await untilWaiting(stage, extra.jobId);
    await stage.clock.sleep(5 * MINUTE_MS);
    assert.equal((await stage.job(extra.jobId, "running")).state, "running", "its deadline has not come");
  }, { settings: { brokenKinds: ["research", "preparation-review"] }, withoutDrift: true });
});

Deno.test("restart: a wait that another fault interrupted goes on counting, one given up at its deadline begins anew", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    const pod = stage.truth().pods[0]?.name ?? "";
    stage.operator.stick("permit-001", { kind: "pod", name: pod });
    const { jobId } = await stage.send("permit.deleted");
    await untilWaiting(stage, jobId);
    const sinceMs = stage.clock.now();
    await stage.clock.sleep(5 * MINUTE_MS);
    let broken = false;
    stage.driver.beforeObserve = () => {
      if (broken) return;
      broken = true;
      throw new Fault("retry", "unavailable", "Cannot look: the API server is away");
    };
    await stage.retry(jobId);
    await stage.until("the deadline", async () => {
      const job = await stage.latest("queued");
      return job.message?.startsWith("Waited too long") === true;
    });
    const waitedMs = stage.clock.now() - sinceMs;
    assert.ok(waitedMs < WAITS.goneMs + MINUTE_MS, `${waitedMs} ms: the deadline counted on over the fault`);
    // The next attempt listens again instead of failing at once, and its wait is one of its own.
    assert.equal(
      (await stage.latest("queued")).waitingSinceMs,
      null,
      "who is to be tried again waits for nothing",
    );
    const againMs = stage.clock.now();
    await untilWaiting(stage, jobId);
    assert.ok(((await stage.job(jobId, "running")).waitingSinceMs ?? 0) >= againMs, "it began anew");
    await stage.clock.sleep(3 * MINUTE_MS);
    assert.equal((await stage.job(jobId, "running")).state, "running");
    stage.operator.unstick("permit-001", { kind: "pod", name: pod });
    const beganMs = stage.clock.now();
    await stage.job(jobId, "succeeded");
    assert.ok(stage.clock.now() - beganMs < MINUTE_MS, "it finishes as soon as it can");
  });
});

Deno.test("restart: at any moment, gracefully, and the end is the same", async () => {
  for (let afterMs = 0; afterMs <= 1_300; afterMs += 65) {
    await withStage(async (stage) => {
      await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
      const { jobId } = await stage.status("ANALYSIS_ACTIVE");
      await stage.clock.sleep(afterMs);
      await stage.restart();
      const beganMs = stage.clock.now();
      await stage.job(jobId, "succeeded");
      assert.ok(stage.clock.now() - beganMs < 5_000, `after ${afterMs} ms: resumed at once`);
      assert.equal((await latestJob(stage.db, "permit-001"))?.attempt, 1);
      assert.equal((await stage.snapshot()).status, "RUNNING");
      const open = (await stage.steps(jobId)).filter(({ outcome }) => outcome === "running");
      assert.deepEqual(open, []);
    });
  }
});

Deno.test("restart: progress goes on where it was", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await untilWaiting(stage, jobId);
    // Volumes are bound and retained meanwhile.
    await stage.clock.sleep(2_000);
    const before = await stage.job(jobId, "running");
    assert.ok(before.stepsDone > 3);
    await stage.restart();
    await stage.until("it looked", async () => (await stage.job(jobId, "running")).fence > before.fence);
    await stage.clock.sleep(1_000);
    const after = await stage.job(jobId, "running");
    assert.deepEqual([after.stepsDone, after.stepsTotal], [before.stepsDone, before.stepsTotal]);
  }, { settings: { readyMs: 60_000 } });
});

Deno.test("restart: a stop may be repeated, and leaves no timer", async () => {
  await withStage(async (stage) => {
    await stage.status("ANALYSIS_ACTIVE");
    await stage.clock.sleep(100);
    await stage.runner.stop();
    await stage.runner.stop();
    await stage.drift?.stop();
    assert.equal(stage.runner.health().state, "stopped");
    assert.deepEqual([stage.runner.health().open, stage.runner.health().working], [0, 0]);
  });
});
