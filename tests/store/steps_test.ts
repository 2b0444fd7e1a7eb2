import assert from "node:assert/strict";
import type { JobClaim } from "../../src/core/job.ts";
import type { Db } from "../../src/store/db.ts";
import { claimJob } from "../../src/store/job_claims.ts";
import { abandonOpenSteps, beginSteps, endSteps, type NewStep, stepsOf } from "../../src/store/steps.ts";
import { durationsOfJobsLike } from "../../src/store/job_history.ts";
import { progressJob, succeedJob } from "../../src/store/job_transitions.ts";
import { addJob, addPermit, withStore } from "./fixture.ts";

const step = (change: Partial<NewStep> = {}): NewStep => ({
  attempt: 1,
  kind: "start",
  target: "research/j.virtanen",
  why: "the phase wants it running",
  wave: 2,
  startedAtMs: 100,
  ...change,
});

async function claimed(db: Db, permitId = "p"): Promise<JobClaim> {
  await addPermit(db, permitId);
  await addJob(db, permitId);
  const job = await claimJob(db, { bootEpoch: "boot-1", nowMs: 10, priorityMax: null });
  assert.ok(job !== null);
  return { jobId: job.id, fence: job.fence };
}

Deno.test("beginSteps, endSteps: each step with its start, end and outcome, in order", async () => {
  await withStore(async (db) => {
    const claim = await claimed(db);
    const ids = await db.write((tx) =>
      beginSteps(tx, claim, [step(), step({ kind: "await-ready", wave: 3 })])
    );
    await db.write((tx) =>
      endSteps(tx, [{ id: ids[0] ?? 0, endedAtMs: 150, outcome: "done", detail: "3 objects applied" }])
    );
    assert.deepEqual(await stepsOf(db, claim.jobId), [
      {
        ...step(),
        id: ids[0],
        jobId: claim.jobId,
        endedAtMs: 150,
        outcome: "done",
        detail: "3 objects applied",
      },
      {
        ...step({ kind: "await-ready", wave: 3 }),
        id: ids[1],
        jobId: claim.jobId,
        endedAtMs: null,
        outcome: "running",
        detail: null,
      },
    ]);
  });
});

Deno.test("beginSteps: under a stale claim nothing is recorded, so that nothing may be done", async () => {
  await withStore(async (db) => {
    const claim = await claimed(db);
    const stale = { ...claim, fence: claim.fence - 1 };
    await assert.rejects(db.write((tx) => beginSteps(tx, stale, [step()])), {
      disposition: "cancelled",
      reason: "lease-lost",
    });
    await db.write((tx) => succeedJob(tx, claim, 50));
    await assert.rejects(db.write((tx) => beginSteps(tx, claim, [step()])), { reason: "lease-lost" });
    assert.deepEqual(await stepsOf(db, claim.jobId), []);
  });
});

Deno.test("endSteps: what has ended stays as it ended", async () => {
  await withStore(async (db) => {
    const claim = await claimed(db);
    const [id = 0] = await db.write((tx) => beginSteps(tx, claim, [step()]));
    await db.write((tx) => abandonOpenSteps(tx, claim.jobId, 120));
    await db.write((tx) => endSteps(tx, [{ id, endedAtMs: 150, outcome: "done", detail: null }]));
    const [ended] = await stepsOf(db, claim.jobId);
    assert.deepEqual([ended?.outcome, ended?.endedAtMs], ["abandoned", 120]);
  });
});

Deno.test("abandonOpenSteps: only this job's, only open ones", async () => {
  await withStore(async (db) => {
    const claim = await claimed(db), other = await claimed(db, "q");
    const ids = await db.write((tx) => beginSteps(tx, claim, [step(), step()]));
    await db.write((tx) => beginSteps(tx, other, [step()]));
    await db.write((tx) =>
      endSteps(tx, [{ id: ids[0] ?? 0, endedAtMs: 110, outcome: "failed", detail: "x" }])
    );
    assert.equal(await db.write((tx) => abandonOpenSteps(tx, claim.jobId, 120)), 1);
    assert.deepEqual((await stepsOf(db, claim.jobId)).map(({ outcome }) => outcome), ["failed", "abandoned"]);
    assert.deepEqual((await stepsOf(db, other.jobId)).map(({ outcome }) => outcome), ["running"]);
  });
});

Deno.test("durationsOfJobsLike: of the jobs of that kind nearest in size", async () => {
  await withStore(async (db) => {
    for (const [index, total] of [3, 3, 40].entries()) {
      const claim = await claimed(db, `p${index}`);
      await db.write((tx) => progressJob(tx, claim, { done: total, total }));
      await db.write((tx) => succeedJob(tx, claim, 10 + total * 100));
    }
    assert.deepEqual(await durationsOfJobsLike(db, "reconcile", 4), [300, 300, 4_000]);
    assert.deepEqual(await durationsOfJobsLike(db, "halt", 4), []);
  });
});
