import assert from "node:assert/strict";
import type { Job, JobKind } from "../../src/core/job.ts";
import { claimJob } from "../../src/store/job_claims.ts";
import { countJobs } from "../../src/store/job_counts.ts";
import { cancelJob, failJob, retryJob, succeedJob } from "../../src/store/job_transitions.ts";
import { addJob, addPermit, withStore } from "./fixture.ts";

type End = "failed" | "succeeded" | "cancelled" | "retried" | "open";

const CASES: { why: string; jobs: [kind: JobKind, end: End, priority?: number][]; failed: number }[] = [
  { why: "nothing has been tried", jobs: [], failed: 0 },
  { why: "the newest job failed", jobs: [["reconcile", "succeeded"], ["reconcile", "failed"]], failed: 1 },
  {
    why: "a failure again and again is one permit",
    jobs: [["reconcile", "failed"], ["drift", "failed"], ["drift", "failed"]],
    failed: 1,
  },
  { why: "a later event made it good", jobs: [["reconcile", "failed"], ["stop", "succeeded"]], failed: 0 },
  { why: "drift made it good", jobs: [["reconcile", "failed"], ["drift", "succeeded"]], failed: 0 },
  {
    why: "a cut gives nothing of what failed",
    jobs: [["reconcile", "failed"], ["drift", "succeeded", 20]],
    failed: 1,
  },
  { why: "it is tried again right now", jobs: [["reconcile", "failed"], ["reconcile", "open"]], failed: 0 },
  { why: "a person cancelled it", jobs: [["reconcile", "failed"], ["reconcile", "cancelled"]], failed: 0 },
  { why: "one attempt that failed is nothing yet", jobs: [["delete", "retried"]], failed: 0 },
];

for (const { why, jobs, failed } of CASES) {
  Deno.test(`countJobs: ${failed} to be looked at: ${why}`, async () => {
    await withStore(async (db) => {
      for (const id of ["p", "q"]) await addPermit(db, id);
      await addJob(db, "q");
      await claimJob(db, { bootEpoch: "boot", nowMs: 100, priorityMax: null });
      for (const [kind, end, priority] of jobs) {
        const id = await addJob(db, "p", { kind, ...(priority === undefined ? {} : { priority }) });
        if (end === "open") continue;
        const job = await claimJob(db, { bootEpoch: "boot", nowMs: 100, priorityMax: null });
        assert.equal(job?.id, id);
        await db.write((tx) => finish(tx, job, end));
      }
      const counts = await countJobs(db);
      assert.deepEqual([counts.running, counts.failed], [1, failed]);
    });
  });
}

Deno.test("countJobs: what never gives up is to be looked at once it has been tried too often", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    await addJob(db, "p", { kind: "halt" });
    for (let attempt = 1; attempt <= 9; attempt++) {
      const job = await claimJob(db, { bootEpoch: "boot", nowMs: 100, priorityMax: null });
      assert.ok(job !== null);
      assert.equal((await countJobs(db)).failed, attempt > 8 ? 1 : 0, `attempt ${attempt}`);
      await db.write((tx) => finish(tx, job, "retried"));
    }
    assert.deepEqual(await countJobs(db), { queued: 1, running: 0, failed: 1 });
  });
});

async function finish(tx: Parameters<typeof succeedJob>[0], job: Job, end: End): Promise<void> {
  const claim = { jobId: job.id, fence: job.fence };
  const outcome = { reason: "denied" as const, message: "RBAC says no", advice: null };
  switch (end) {
    case "failed":
      assert.ok(await failJob(tx, claim, outcome, 200));
      return;
    case "succeeded":
      assert.ok(await succeedJob(tx, claim, 200));
      return;
    case "retried":
      assert.equal(await retryJob(tx, claim, { ...outcome, runAtMs: 0 }, 200), "queued");
      return;
    case "cancelled":
      await retryJob(tx, claim, { ...outcome, runAtMs: 0 }, 200);
      assert.equal(await cancelJob(tx, job.id, 200), "cancelled");
      return;
    case "open":
      return;
  }
}
