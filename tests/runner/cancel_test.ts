import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { type Job } from "../../src/core/job.ts";
import { cancelJob, retryNow } from "../../src/store/job_transitions.ts";
import { listJobs } from "../../src/store/jobs.ts";
import { PERMIT, type Stage, withStage } from "./stage.ts";

const MINUTE_MS = 60_000;

/** What the API does with a person's order. */
async function cancel(stage: Stage, jobId: number): Promise<string> {
  const answer = await stage.db.write((tx) => cancelJob(tx, jobId, stage.clock.now()));
  stage.wake();
  return answer;
}

async function retry(stage: Stage, jobId: number): Promise<number> {
  const id = await stage.db.write((tx) => retryNow(tx, jobId, stage.clock.now()));
  stage.wake();
  return id;
}

async function jobs(stage: Stage): Promise<Job[]> {
  return (await listJobs(stage.db, { permitId: PERMIT }, { cursor: null, limit: 100 })).items.reverse();
}

Deno.test("cancel: a running job ends at its next boundary, and gives nothing more", async () => {
  await withStage(async (stage) => {
    stage.driver.hold(({ kind }) => kind === "ensure-identity");
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.until("it works", () => stage.driver.waiting > 0);
    assert.equal(await cancel(stage, jobId), "requested");
    const before = stage.driver.asked.length;
    stage.driver.open();
    const job = await stage.job(jobId, "cancelled");
    assert.deepEqual([job.reason, job.message], ["cancelled", "Cancelled at a step boundary"]);
    assert.ok(stage.driver.asked.slice(before).every(({ kind }) => kind !== "start"));
  });
});

Deno.test("cancel: a job that waits ends at once", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.until("it waits", async () => (await stage.job(jobId, "running")).waitingFor !== null);
    await cancel(stage, jobId);
    await stage.job(jobId, "cancelled", 1_000);
  }, { settings: { readyMs: 600_000 } });
});

Deno.test("cancel: one that fails before its next boundary is cancelled, not tried again", async () => {
  await withStage(async (stage) => {
    stage.driver.hold(({ kind }) => kind === "ensure-scope");
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.until("it works", () => stage.driver.waiting > 0);
    await cancel(stage, jobId);
    stage.driver.failHeld(new Fault("retry", "unavailable", "Cannot reach it"));
    await stage.job(jobId, "cancelled", 1_000);
  });
});

Deno.test("cancel: what was cancelled stays so until the next event or a retry, however often drift looks", async () => {
  for (const goOn of ["event", "retry"] as const) {
    await withStage(async (stage) => {
      stage.driver.hold(({ kind }) => kind === "start");
      const { jobId } = await stage.status("ANALYSIS_ACTIVE");
      await stage.until("it works", () => stage.driver.waiting > 0);
      await cancel(stage, jobId);
      stage.driver.open();
      await stage.job(jobId, "cancelled");
      await stage.clock.sleep(60 * MINUTE_MS);
      const since = await Promise.all((await jobs(stage)).slice(1).map(({ id }) => stage.steps(id)));
      const kinds = new Set(since.flat().map(({ kind }) => kind));
      assert.ok(
        [...kinds].every((kind) => kind === "retain-volume"),
        `data is kept safe, all else is left: ${[...kinds]}`,
      );
      assert.ok(stage.truth().pods.every(({ enters }) => enters.length === 0), "nobody is let in");
      assert.equal(stage.drift?.health().differing, 1, "and says that it differs");
      const next = goOn === "event"
        ? (await stage.status("ANALYSIS_ACTIVE")).jobId
        : await retry(stage, jobId);
      await stage.job(next, "succeeded");
      assert.equal((await stage.snapshot()).status, "RUNNING");
    });
  }
});

Deno.test("cancel: access that must not stand is cut all the same, and nothing is given", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
    stage.driver.hold(({ kind }) => kind === "cut-network");
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.until("it works", () => stage.driver.waiting > 0);
    await cancel(stage, jobId);
    stage.driver.open();
    await stage.job(jobId, "cancelled");
    await stage.until("nothing has a way out", () => stage.truth().pods.length === 0, 30 * MINUTE_MS);
    await stage.clock.sleep(60 * MINUTE_MS);
    assert.deepEqual(stage.truth().pods, [], "nothing is given");
    const drifts = (await jobs(stage)).filter(({ kind }) => kind === "drift");
    assert.equal(drifts.length, 1);
    // The drift that cut stands between: the cancelled job can be retried all the same.
    await stage.job(await retry(stage, jobId), "succeeded");
    assert.equal((await stage.snapshot()).status, "RUNNING");
  });
});

Deno.test("cancel: a drift's repair stays cancelled, too, and can be retried", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    stage.driver.hold(({ kind }) => kind === "open-network");
    stage.operator.deletePod(PERMIT, stage.truth().pods[0]?.name ?? "");
    await stage.until("it is being repaired", () => stage.driver.waiting > 0);
    const repair = await stage.latest("running");
    await cancel(stage, repair.id);
    stage.driver.open();
    await stage.job(repair.id, "cancelled");
    await stage.clock.sleep(40 * MINUTE_MS);
    assert.equal((await stage.latest("cancelled")).id, repair.id);
    await stage.job(await retry(stage, repair.id), "succeeded");
    assert.equal((await stage.snapshot()).status, "RUNNING");
  });
});

Deno.test("cancel: a job that was queued never begins", async () => {
  await withStage(async (stage) => {
    stage.driver.hold(({ permitId }) => permitId !== PERMIT);
    await stage.status("ANALYSIS_ACTIVE", "permit-002");
    await stage.until("the slot is held", () => stage.driver.waiting > 0);
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    assert.equal(await cancel(stage, jobId), "cancelled");
    stage.driver.open();
    await stage.latest("succeeded", "permit-002");
    await stage.clock.sleep(30 * MINUTE_MS);
    assert.deepEqual(stage.driver.kinds(PERMIT), []);
    assert.equal((await stage.job(jobId, "cancelled")).startedAtMs, null);
  }, { limits: { parallelPermits: 1, urgentPermits: 1 } });
});

Deno.test("cancel: a cancelled deletion keeps everything shut, keeps what is left, and goes on when retried", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    stage.driver.hold(({ kind }) => kind === "remove-workspace");
    const { jobId } = await stage.send("permit.deleted");
    await stage.until("it works", () => stage.driver.waiting > 0);
    await cancel(stage, jobId);
    stage.driver.open();
    await stage.job(jobId, "cancelled");
    await stage.clock.sleep(60 * MINUTE_MS);
    assert.ok(stage.truth().volumes.length > 3);
    assert.deepEqual(stage.truth().pods, []);
    assert.equal((await stage.permit()).deletion, "requested", "not done: volumes are left");
    await stage.job(await retry(stage, jobId), "succeeded");
    assert.equal((await stage.snapshot()).status, "DESTROYED");
  });
});
