import assert from "node:assert/strict";
import type { Job, JobClaim } from "../../src/core/job.ts";
import type { Db, Tx } from "../../src/store/db.ts";
import {
  cancelJob,
  endCancelled,
  failJob,
  isOvertaken,
  isWanted,
  type JobOutcome,
  progressJob,
  resumeJob,
  retryJob,
  retryNow,
  succeedJob,
  supersedeJob,
  waitJob,
} from "../../src/store/job_transitions.ts";
import { claimJob, requeueOrphans } from "../../src/store/job_claims.ts";
import { getJob } from "../../src/store/jobs.ts";
import { addJob, addPermit, withStore } from "./fixture.ts";

const OUTCOME: JobOutcome = {
  reason: "timeout",
  message: "The API server did not answer",
  advice: "Look at it",
};

async function running(db: Db, permitId = "p"): Promise<{ job: Job; claim: JobClaim }> {
  await addPermit(db, permitId);
  await addJob(db, permitId);
  return await claimAgain(db);
}

async function claimAgain(db: Db): Promise<{ job: Job; claim: JobClaim }> {
  const job = await claimJob(db, { bootEpoch: "boot-1", nowMs: 100, priorityMax: null });
  assert.ok(job !== null);
  return { job, claim: { jobId: job.id, fence: job.fence } };
}

/** Each transition of a claimed job, and what it changes of the row. */
const TRANSITIONS: [
  name: string,
  apply: (tx: Tx, claim: JobClaim) => Promise<boolean | string | null>,
  changes: Partial<Job>,
][] = [
  ["waitJob", (tx, claim) => waitJob(tx, claim, "pod x-0", 90), {
    waitingFor: "pod x-0",
    waitingSinceMs: 90,
  }],
  [
    "waitJob with what a person must do",
    (tx, claim) =>
      waitJob(tx, claim, "pod x-0", 90, { reason: "image-unavailable", advice: "Correct the image's name" }),
    {
      waitingFor: "pod x-0",
      waitingSinceMs: 90,
      reason: "image-unavailable",
      advice: "Correct the image's name",
    },
  ],
  [
    "resumeJob",
    (tx, claim) => resumeJob(tx, claim),
    { waitingFor: null, waitingSinceMs: null, reason: null, advice: null },
  ],
  ["progressJob", (tx, claim) => progressJob(tx, claim, { done: 3, total: 9 }), {
    stepsDone: 3,
    stepsTotal: 9,
  }],
  ["succeedJob", (tx, claim) => succeedJob(tx, claim, 200), {
    state: "succeeded",
    endedAtMs: 200,
    waitingFor: null,
    waitingSinceMs: null,
  }],
  ["failJob", (tx, claim) => failJob(tx, claim, OUTCOME, 200), {
    state: "failed",
    endedAtMs: 200,
    waitingFor: null,
    waitingSinceMs: null,
    ...OUTCOME,
  }],
  ["supersedeJob", (tx, claim) => supersedeJob(tx, claim, 200), {
    state: "superseded",
    endedAtMs: 200,
    waitingFor: null,
    waitingSinceMs: null,
    reason: "superseded",
    message: "A newer event came",
  }],
  ["endCancelled", (tx, claim) => endCancelled(tx, claim, { ...OUTCOME, reason: "cancelled" }, 200), {
    state: "cancelled",
    endedAtMs: 200,
    waitingFor: null,
    waitingSinceMs: null,
    ...OUTCOME,
    reason: "cancelled",
  }],
  ["retryJob", (tx, claim) => retryJob(tx, claim, { ...OUTCOME, runAtMs: 500 }, 200), {
    state: "queued",
    runAtMs: 500,
    waitingFor: null,
    waitingSinceMs: null,
    ...OUTCOME,
  }],
];

for (const [name, apply, changes] of TRANSITIONS) {
  Deno.test(`${name}: applies under its claim and changes exactly what it should`, async () => {
    await withStore(async (db) => {
      const { job, claim } = await running(db);
      await db.write((tx) => waitJob(tx, claim, "volume prepared", 80));
      assert.ok(await db.write((tx) => apply(tx, claim)));
      const before = { ...job, waitingFor: "volume prepared", waitingSinceMs: 80 };
      assert.deepEqual(await getJob(db, job.id), { ...before, ...changes });
    });
  });

  const stale: [why: string, prepare: (db: Db, claim: JobClaim) => Promise<JobClaim>][] = [
    ["an older fence", async (db, claim) => {
      await db.write((tx) => requeueOrphans(tx, { bootEpoch: "boot-2", nowMs: 100 }));
      await claimAgain(db);
      return claim;
    }],
    ["a fence that never was", (_db, claim) => Promise.resolve({ ...claim, fence: claim.fence + 1 })],
    ["a job that was given back", async (db, claim) => {
      await db.write((tx) => requeueOrphans(tx, { bootEpoch: "boot-2", nowMs: 100 }));
      return claim;
    }],
    ["a job that has ended", async (db, claim) => {
      await db.write((tx) => succeedJob(tx, claim, 150));
      return claim;
    }],
    ["another job", (_db, claim) => Promise.resolve({ ...claim, jobId: claim.jobId + 1 })],
  ];
  for (const [why, prepare] of stale) {
    Deno.test(`${name}: under ${why} it says so and changes nothing`, async () => {
      await withStore(async (db) => {
        const { job, claim } = await running(db);
        const wrong = await prepare(db, claim);
        const before = await getJob(db, job.id);
        assert.ok(!await db.write((tx) => apply(tx, wrong)));
        assert.deepEqual(await getJob(db, job.id), before);
      });
    });
  }
}

Deno.test("retryJob: with a newer job queued behind it the retry gives way", async () => {
  await withStore(async (db) => {
    const { job, claim } = await running(db);
    const newer = await addJob(db, "p");
    assert.equal(
      await db.write((tx) => retryJob(tx, claim, { ...OUTCOME, runAtMs: 500 }, 200)),
      "superseded",
    );
    const ended = await getJob(db, job.id);
    assert.deepEqual([ended?.state, ended?.endedAtMs], ["superseded", 200]);
    assert.equal((await claimAgain(db)).job.id, newer);
  });
});

Deno.test("retryJob: a queued job of another permit is no reason to give way", async () => {
  await withStore(async (db) => {
    const { claim } = await running(db);
    await addPermit(db, "q");
    await addJob(db, "q");
    assert.equal(await db.write((tx) => retryJob(tx, claim, { ...OUTCOME, runAtMs: 500 }, 200)), "queued");
  });
});

Deno.test("isWanted: go on, superseded by a newer wish, cancel requested, lost", async () => {
  await withStore(async (db) => {
    const { job, claim } = await running(db);
    assert.equal(await isWanted(db, claim), "go on");
    await addPermit(db, "q");
    await addJob(db, "q");
    assert.equal(await isWanted(db, claim), "go on");
    await db.write((tx) => cancelJob(tx, job.id, 150));
    assert.equal(await isWanted(db, claim), "cancel-requested");
    await addJob(db, "p", { kind: "halt" });
    assert.equal(await isWanted(db, claim), "superseded");
    assert.equal(await isWanted(db, { ...claim, fence: 7 }), "lost");
    await db.write((tx) => supersedeJob(tx, claim, 200));
    assert.equal(await isWanted(db, claim), "lost");
  });
});

Deno.test("isOvertaken: by a halt or a deletion of the permit that came later, under a claim that stands", async () => {
  await withStore(async (db) => {
    const { claim } = await running(db);
    await addPermit(db, "q");
    await addJob(db, "q", { kind: "halt" });
    assert.equal(await isOvertaken(db, claim), false, "another permit's");
    await addJob(db, "p");
    assert.equal(await isOvertaken(db, claim), false, "an ordinary event waits for the step's end");
    for (const kind of ["halt", "delete"] as const) {
      await addJob(db, "p", { kind });
      assert.equal(await isOvertaken(db, claim), true, kind);
    }
    assert.equal(await isOvertaken(db, { ...claim, fence: 7 }), false, "who has lost the claim ends anyway");
  });
});

Deno.test("isWanted: a drift never supersedes, even one that got into the queue", async () => {
  await withStore(async (db) => {
    const { claim } = await running(db);
    await db.write((tx) =>
      tx.run(
        `insert into jobs (permit_id, kind, state, priority, version, run_at_ms, created_at_ms)
         values ('p', 'drift', 'queued', 90, 1, 0, 0)`,
        [],
      )
    );
    assert.equal(await isWanted(db, claim), "go on");
  });
});

Deno.test("cancelJob: queued ends at once, running is asked, ended and unknown are left alone", async () => {
  await withStore(async (db) => {
    const { job, claim } = await running(db);
    const queued = await addJob(db, "p");
    const cancel = (id: number): Promise<string> => db.write((tx) => cancelJob(tx, id, 150));
    assert.equal(await cancel(queued), "cancelled");
    assert.deepEqual(
      [(await getJob(db, queued))?.state, (await getJob(db, queued))?.endedAtMs],
      ["cancelled", 150],
    );
    assert.equal(await cancel(job.id), "requested");
    assert.equal((await getJob(db, job.id))?.state, "running");
    await db.write((tx) => endCancelled(tx, claim, { ...OUTCOME, reason: "cancelled" }, 160));
    assert.equal(await cancel(job.id), "not-open");
    assert.equal(await cancel(999), "not-open");
  });
});

Deno.test("cancelJob: a request outlives a crash of the runner", async () => {
  await withStore(async (db) => {
    const { job } = await running(db);
    await db.write((tx) => cancelJob(tx, job.id, 150));
    await db.write((tx) => requeueOrphans(tx, { bootEpoch: "boot-2", nowMs: 100 }));
    assert.equal(await isWanted(db, (await claimAgain(db)).claim), "cancel-requested");
  });
});

Deno.test("retryNow: a queued retry becomes due now, with its attempts counted anew", async () => {
  await withStore(async (db) => {
    const { job, claim } = await running(db);
    await db.write((tx) => retryJob(tx, claim, { ...OUTCOME, runAtMs: 9_000 }, 200));
    assert.equal(await db.write((tx) => retryNow(tx, job.id, 300)), job.id);
    const due = await getJob(db, job.id);
    assert.deepEqual([due?.runAtMs, due?.attempt], [300, 0]);
    await db.write((tx) => retryNow(tx, job.id, 400));
    assert.equal((await getJob(db, job.id))?.runAtMs, 300, "never later than it was");
  });
});

for (const how of ["failed", "cancelled"] as const) {
  Deno.test(`retryNow: a ${how} job gets a new one towards the permit's present version`, async () => {
    await withStore(async (db) => {
      const { job, claim } = await running(db);
      await db.write((tx) =>
        how === "failed" ? failJob(tx, claim, OUTCOME, 200) : endCancelled(tx, claim, OUTCOME, 200)
      );
      await addPermit(db, "p", { version: 5 });
      const id = await db.write((tx) => retryNow(tx, job.id, 300));
      const again = await getJob(db, id);
      assert.notEqual(id, job.id);
      assert.deepEqual(
        [again?.state, again?.kind, again?.priority, again?.version, again?.eventSeq, again?.runAtMs],
        ["queued", "reconcile", 50, 5, null, 300],
      );
    });
  });
}

const UNRETRYABLE: [what: string, prepare: (db: Db) => Promise<number>, reason: string][] = [
  ["an unknown job", () => Promise.resolve(999), "not-found"],
  ["a running job", async (db) => (await running(db)).job.id, "conflict"],
  ["a succeeded job", async (db) => {
    const { job, claim } = await running(db);
    await db.write((tx) => succeedJob(tx, claim, 200));
    return job.id;
  }, "conflict"],
  ["a failed job after which another came", async (db) => {
    const { job, claim } = await running(db);
    await db.write((tx) => failJob(tx, claim, OUTCOME, 200));
    await addJob(db, "p");
    return job.id;
  }, "conflict"],
];
for (const [what, prepare, reason] of UNRETRYABLE) {
  Deno.test(`retryNow: ${what} is refused`, async () => {
    await withStore(async (db) => {
      const id = await prepare(db);
      await assert.rejects(db.write((tx) => retryNow(tx, id, 300)), { name: "Fault", reason });
    });
  });
}
