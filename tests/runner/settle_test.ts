import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import type { Job } from "../../src/core/job.ts";
import type { AttemptEnd } from "../../src/runner/walk.ts";
import { openLedger } from "../../src/runner/ledger.ts";
import { SILENT_LOG } from "../../src/log.ts";
import { settle } from "../../src/runner/settle.ts";
import type { Db } from "../../src/store/db.ts";
import { claimJob } from "../../src/store/job_claims.ts";
import { getJob } from "../../src/store/jobs.ts";
import { leasesOf, leaseUid } from "../../src/store/leases.ts";
import { pendingOutbox } from "../../src/store/outbox.ts";
import { getPermit } from "../../src/store/permits.ts";
import { FakeClock } from "../fake_clock.ts";
import { builtInPhases } from "../core/plan_fixture.ts";
import { SIGNER } from "./stage.ts";
import { addJob, addPermit, withStore } from "../store/fixture.ts";

const phases = await builtInPhases();
const random = { next: () => 0.5, bytes: (length: number) => new Uint8Array(length) };

async function claimed(db: Db): Promise<Job> {
  const job = await claimJob(db, { bootEpoch: "boot", nowMs: 1_000, priorityMax: null });
  assert.ok(job !== null);
  return job;
}

async function end(db: Db, job: Job, how: AttemptEnd): Promise<void> {
  const clock = new FakeClock();
  const limits = { attemptMax: 3, backoffMs: 1_000, backoffMaxMs: 60_000 };
  const deps = { db, clock, phases, log: SILENT_LOG, bootEpoch: "boot", changed: () => {} };
  const ledger = openLedger(deps, job);
  await settle({ db, clock, random, limits, bootEpoch: "boot", signer: SIGNER }, job, ledger, how);
}

Deno.test("settle: a deletion is done only by a plan that was made for it", async () => {
  const cases = [
    {
      why: "the plan was made for the deletion and came out empty",
      planned: 2,
      newer: false,
      deletion: "done",
      state: "succeeded",
    },
    {
      why: "the deletion was accepted after the job's last look",
      planned: 1,
      newer: true,
      deletion: "requested",
      state: "superseded",
    },
    {
      why: "the job looked before the deletion, whose own job is gone",
      planned: 1,
      newer: false,
      deletion: "requested",
      state: "succeeded",
    },
  ];
  for (const { why, planned, newer, deletion, state } of cases) {
    await withStore(async (db) => {
      await addPermit(db, "p", { deletion: "requested", version: 2 });
      await db.write((tx) =>
        leaseUid(tx, { permitId: "p", holder: "a", range: [30000, 30009], avoid: [], nowMs: 1 })
      );
      const jobId = await addJob(db, "p", { kind: "reconcile" });
      const job = await claimed(db);
      if (newer) await addJob(db, "p", { kind: "delete", version: 2 });
      await end(db, job, { kind: "succeeded", version: planned });
      assert.equal((await getPermit(db, "p"))?.deletion, deletion, why);
      assert.equal((await getJob(db, jobId))?.state, state, why);
      const isDone = deletion === "done";
      assert.equal((await leasesOf(db, "p")).length, isDone ? 0 : 1, `${why}: leases`);
      const told = (await pendingOutbox(db, "workspace.events", 10)).map(({ key }) => key);
      assert.deepEqual(told, isDone ? ["permit.certified", "permit.destroyed"] : [], `${why}: announcement`);
    });
  }
});

Deno.test("settle: each end leads to its transition", async () => {
  const fault = (disposition: "retry" | "stalled" | "cancelled"): AttemptEnd => ({
    kind: "fault",
    fault: new Fault(disposition, "unavailable", "Cannot reach it", { advice: "Wait" }),
  });
  const cases: { why: string; kind: "reconcile" | "halt"; how: AttemptEnd; state: Job["state"] }[] = [
    { why: "a fault that may pass is tried again", kind: "reconcile", how: fault("retry"), state: "queued" },
    { why: "a person must act", kind: "reconcile", how: fault("stalled"), state: "failed" },
    { why: "a halt never gives up", kind: "halt", how: fault("stalled"), state: "queued" },
    { why: "nobody wants it", kind: "reconcile", how: fault("cancelled"), state: "cancelled" },
    { why: "asked to stop", kind: "reconcile", how: { kind: "cancelled" }, state: "cancelled" },
    {
      why: "a claim that is lost writes nothing",
      kind: "reconcile",
      how: { kind: "lost" },
      state: "running",
    },
    {
      why: "a service that stops leaves its jobs to the next boot",
      kind: "reconcile",
      how: { kind: "stopping" },
      state: "running",
    },
  ];
  for (const { why, kind, how, state } of cases) {
    await withStore(async (db) => {
      await addPermit(db, "p");
      const jobId = await addJob(db, "p", { kind });
      await end(db, await claimed(db), how);
      assert.equal((await getJob(db, jobId))?.state, state, why);
    });
  }
});
