import assert from "node:assert/strict";
import type { Job, JobKind } from "../../src/core/job.ts";
import { openDb } from "../../src/store/db.ts";
import type { Db } from "../../src/store/db.ts";
import { cancelJob, retryJob, succeedJob, waitJob } from "../../src/store/job_transitions.ts";
import {
  claimJob,
  mostUrgentDue,
  nextRunAt,
  requeueOrphans,
  requeueStrays,
} from "../../src/store/job_claims.ts";
import { countJobs } from "../../src/store/job_counts.ts";
import { enqueueJob, getJob, latestJob, latestWish, listJobs, openJob } from "../../src/store/jobs.ts";
import { insertEvent } from "../../src/store/events.ts";
import { addJob, addPermit, event, withStore } from "./fixture.ts";

const claim = (db: Db, options: Partial<Parameters<typeof claimJob>[1]> = {}): Promise<Job | null> =>
  claimJob(db, { bootEpoch: "boot-1", nowMs: 100, priorityMax: null, ...options });

async function claimed(db: Db): Promise<Job> {
  const job = await claim(db);
  assert.ok(job !== null);
  return job;
}

Deno.test("enqueueJob: a new job is queued with nothing done", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    const eventSeq = await db.write((tx) => insertEvent(tx, event()));
    const enqueued = await db.write((tx) =>
      enqueueJob(tx, {
        permitId: "p",
        kind: "stop",
        priority: 20,
        version: 3,
        eventSeq,
        runAtMs: 50,
        nowMs: 40,
      })
    );
    assert.deepEqual(enqueued, { jobId: 1, created: true, superseded: [] });
    assert.deepEqual(await getJob(db, 1), {
      id: 1,
      permitId: "p",
      kind: "stop",
      state: "queued",
      priority: 20,
      version: 3,
      eventSeq,
      attempt: 0,
      runAtMs: 50,
      createdAtMs: 40,
      startedAtMs: null,
      endedAtMs: null,
      bootEpoch: null,
      fence: 0,
      waitingFor: null,
      waitingSinceMs: null,
      reason: null,
      message: null,
      advice: null,
      stepsDone: 0,
      cancelRequested: false,
      stepsTotal: 0,
    });
  });
});

Deno.test("enqueueJob: supersedes what is queued for the permit, nobody else's, and not what runs", async () => {
  await withStore(async (db) => {
    for (const id of ["p", "q"]) await addPermit(db, id);
    const running = await addJob(db, "p");
    await claimed(db);
    const queued = await addJob(db, "p");
    const others = await addJob(db, "q");
    const { superseded } = await db.write((tx) =>
      enqueueJob(tx, {
        permitId: "p",
        kind: "halt",
        priority: 0,
        version: 2,
        eventSeq: null,
        runAtMs: 0,
        nowMs: 60,
      })
    );
    assert.deepEqual(superseded, [queued]);
    const states = await Promise.all(
      [running, queued, others].map(async (id) => (await getJob(db, id))?.state),
    );
    assert.deepEqual(states, ["running", "superseded", "queued"]);
    assert.equal((await getJob(db, queued))?.endedAtMs, 60);
  });
});

const HEIRS: [
  why: string,
  open: { kind: JobKind; priority?: number },
  isRunning: boolean,
  priority: number,
][] = [
  ["a queued stop has cut nothing yet", { kind: "stop" }, false, 20],
  ["a running stop may not have finished", { kind: "stop" }, true, 20],
  ["a halt that was resumed has to be looked after first", { kind: "halt" }, true, 0],
  ["a drift that cuts", { kind: "drift", priority: 20 }, true, 20],
  ["an heir that has not cut either", { kind: "reconcile", priority: 20 }, false, 20],
  ["what gives has no urgency to pass on", { kind: "reconcile" }, true, 50],
  ["nor has a drift that gives", { kind: "drift" }, false, 50],
];
for (const [why, open, isRunning, priority] of HEIRS) {
  Deno.test(`enqueueJob: inherits the place of what it supersedes: ${why}`, async () => {
    await withStore(async (db) => {
      for (const id of ["p", "q"]) await addPermit(db, id);
      await addJob(db, "p", open);
      if (isRunning) await claimed(db);
      await addJob(db, "q", { kind: "halt" });
      const heir = await addJob(db, "p", { kind: "reconcile" });
      assert.equal((await getJob(db, heir))?.priority, priority);
    });
  });
}

const DRIFTS: [open: JobKind | null, isRunning: boolean, created: boolean][] = [
  [null, false, true],
  ["reconcile", false, false],
  ["reconcile", true, false],
  ["drift", false, false],
];
for (const [kind, isRunning, created] of DRIFTS) {
  const beside = kind === null ? "nothing open" : `a ${isRunning ? "running" : "queued"} ${kind}`;
  Deno.test(`enqueueJob: a drift beside ${beside} is ${created ? "queued" : "left out"}`, async () => {
    await withStore(async (db) => {
      await addPermit(db, "p");
      const open = kind === null ? null : await addJob(db, "p", { kind });
      if (isRunning) await claimed(db);
      const drift = await db.write((tx) =>
        enqueueJob(tx, {
          permitId: "p",
          kind: "drift",
          priority: 90,
          version: 1,
          eventSeq: null,
          runAtMs: 0,
          nowMs: 0,
        })
      );
      assert.deepEqual(drift, { jobId: open ?? 1, created, superseded: [] });
    });
  });
}

Deno.test("enqueueJob: a job for an unknown permit is refused at the commit", async () => {
  await withStore(async (db) => {
    await assert.rejects(addJob(db, "unknown"), { reason: "conflict" });
    assert.equal(await getJob(db, 1), null);
  });
});

Deno.test("claimJob: cutting access comes before giving it, then what is due first, then the oldest", async () => {
  await withStore(async (db) => {
    const wishes: [string, JobKind, number][] = [
      ["drifts", "drift", 0],
      ["late", "reconcile", 20],
      ["early", "reconcile", 10],
      ["early-too", "reconcile", 10],
      ["stops", "stop", 90],
      ["goes", "delete", 90],
      ["halts", "halt", 90],
    ];
    for (const [permitId, kind, runAtMs] of wishes) {
      await addPermit(db, permitId);
      await addJob(db, permitId, { kind, runAtMs });
    }
    const order: string[] = [];
    for (let job = await claim(db); job !== null; job = await claim(db)) order.push(job.permitId);
    assert.deepEqual(order, ["halts", "goes", "stops", "early", "early-too", "late", "drifts"]);
  });
});

Deno.test("claimJob: raises attempt and fence, notes boot and first start, forgets the old reason", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    await addJob(db, "p");
    const first = await claimed(db);
    assert.deepEqual(
      [first.state, first.attempt, first.fence, first.bootEpoch, first.startedAtMs],
      ["running", 1, 1, "boot-1", 100],
    );
    const retry = { runAtMs: 150, reason: "timeout" as const, message: "m", advice: "a" };
    await db.write((tx) => retryJob(tx, { jobId: first.id, fence: first.fence }, retry, 120));
    const second = await claim(db, { bootEpoch: "boot-2", nowMs: 200 });
    assert.deepEqual(
      [
        second?.attempt,
        second?.fence,
        second?.bootEpoch,
        second?.startedAtMs,
        second?.reason,
        second?.message,
      ],
      [2, 2, "boot-2", 100, null, null],
    );
  });
});

const UNCLAIMABLE: [
  what: string,
  prepare: (db: Db) => Promise<unknown>,
  options: Partial<Parameters<typeof claimJob>[1]>,
][] = [
  ["a job that is not due", (db) => addJob(db, "p", { runAtMs: 101 }), {}],
  ["a job less urgent than asked for", (db) => addJob(db, "p"), { priorityMax: 20 }],
  ["a permit that has a running job", async (db) => {
    await addJob(db, "p");
    await claimed(db);
    await addJob(db, "p", { kind: "halt" });
  }, {}],
  ["a job that was cancelled", async (db) => {
    const id = await addJob(db, "p");
    await db.write((tx) => cancelJob(tx, id, 50));
  }, {}],
];
for (const [what, prepare, options] of UNCLAIMABLE) {
  Deno.test(`claimJob: leaves ${what}`, async () => {
    await withStore(async (db) => {
      await addPermit(db, "p");
      await prepare(db);
      assert.equal(await claim(db, options), null);
    });
  });
}

Deno.test("claimJob: of many claimers on several connections each job goes to one, and a permit has one", async () => {
  await withStore(async (db, directory) => {
    for (let permit = 0; permit < 20; permit++) {
      await addPermit(db, `p${permit}`);
      await addJob(db, `p${permit}`);
    }
    const rivals = [
      db,
      await openDb({ path: `${directory}/wps.db` }),
      await openDb({ path: `${directory}/wps.db` }),
    ];
    const jobs: Job[] = [];
    await Promise.all(rivals.map(async (rival, index) => {
      const bootEpoch = `boot-${index}`;
      for (
        let job = await claim(rival, { bootEpoch });
        job !== null;
        job = await claim(rival, { bootEpoch })
      ) {
        jobs.push(job);
      }
    }));
    assert.equal(jobs.length, 20);
    assert.equal(new Set(jobs.map(({ id }) => id)).size, 20);
    assert.deepEqual(new Set(jobs.map(({ fence }) => fence)), new Set([1]));
    await Promise.all(rivals.slice(1).map((rival) => rival.close()));
  });
});

Deno.test("jobs: the database itself refuses a second running and a second queued job of a permit", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    await addJob(db, "p");
    await claimed(db);
    await addJob(db, "p");
    const force = (state: string): Promise<unknown> =>
      db.write((tx) =>
        tx.run(
          `insert into jobs (permit_id, kind, state, priority, version, run_at_ms, created_at_ms, boot_epoch)
           values ('p', 'stop', ?, 20, 1, 0, 0, 'x')`,
          [state],
        )
      );
    await assert.rejects(force("running"), { reason: "conflict" });
    await assert.rejects(force("queued"), { reason: "conflict" });
  });
});

Deno.test("requeueOrphans: other boots' running jobs are due now; the cut-off attempt does not count, the wait goes on", async () => {
  await withStore(async (db) => {
    for (const id of ["p", "q"]) {
      await addPermit(db, id);
      await addJob(db, id);
    }
    const orphan = await claimed(db);
    const own = await claim(db, { bootEpoch: "boot-2" });
    await db.write((tx) => waitJob(tx, { jobId: orphan.id, fence: orphan.fence }, "pod x-0", 90));
    assert.deepEqual(await db.write((tx) => requeueOrphans(tx, { bootEpoch: "boot-2", nowMs: 300 })), [
      orphan.id,
    ]);
    const again = await getJob(db, orphan.id);
    assert.deepEqual(
      [again?.state, again?.runAtMs, again?.attempt, again?.waitingFor, again?.waitingSinceMs],
      ["queued", 300, 0, "pod x-0", 90],
    );
    assert.equal((await getJob(db, own?.id ?? 0))?.state, "running");
    const resumed = await claim(db, { bootEpoch: "boot-2", nowMs: 300 });
    assert.deepEqual([resumed?.id, resumed?.attempt, resumed?.fence, resumed?.waitingSinceMs], [
      orphan.id,
      1,
      2,
      90,
    ]);
  });
});

Deno.test("requeueStrays: what this boot claimed unheard is given back, what it works on and what others have is not", async () => {
  await withStore(async (db) => {
    for (const id of ["p", "q", "r"]) {
      await addPermit(db, id);
      await addJob(db, id);
    }
    const [unheard, worked] = [await claimed(db), await claimed(db)];
    await claim(db, { bootEpoch: "boot-2" });
    const boot = { bootEpoch: "boot-1", nowMs: 300, working: [worked.id] };
    assert.deepEqual(await db.write((tx) => requeueStrays(tx, boot)), [unheard.id]);
    const again = await getJob(db, unheard.id);
    assert.deepEqual([again?.state, again?.runAtMs, again?.attempt], ["queued", 300, 0]);
    assert.equal((await getJob(db, worked.id))?.state, "running");
  });
});

Deno.test("requeueOrphans: an orphan behind which a newer job is queued is superseded by it", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    await addJob(db, "p");
    const orphan = await claimed(db);
    await db.write((tx) => waitJob(tx, { jobId: orphan.id, fence: orphan.fence }, "pod x-0", 90));
    const newer = await addJob(db, "p", { kind: "delete" });
    assert.deepEqual(await db.write((tx) => requeueOrphans(tx, { bootEpoch: "boot-2", nowMs: 300 })), [
      orphan.id,
    ]);
    const ended = await getJob(db, orphan.id);
    assert.deepEqual([ended?.state, ended?.endedAtMs, ended?.reason], ["superseded", 300, "superseded"]);
    assert.deepEqual(
      [ended?.waitingFor, ended?.waitingSinceMs],
      [null, null],
      "what has ended waits for nothing",
    );
    assert.equal((await claimed(db)).id, newer);
  });
});

Deno.test("requeueOrphans: many at once, and none is left running", async () => {
  await withStore(async (db) => {
    for (let permit = 0; permit < 100; permit++) {
      await addPermit(db, `p${permit}`);
      await addJob(db, `p${permit}`);
      await claimed(db);
    }
    const ids = await db.write((tx) => requeueOrphans(tx, { bootEpoch: "boot-2", nowMs: 300 }));
    assert.equal(ids.length, 100);
    assert.deepEqual(await countJobs(db), { queued: 100, running: 0, failed: 0 });
  });
});

Deno.test("openJob, latestJob: the running one first, then the queued one; the newest whatever its state", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    assert.equal(await openJob(db, "p"), null);
    assert.equal(await latestJob(db, "p"), null);
    await addJob(db, "p");
    const running = await claimed(db);
    const queued = await addJob(db, "p");
    assert.equal((await openJob(db, "p"))?.id, running.id);
    assert.equal((await latestJob(db, "p"))?.id, queued);
    await db.write((tx) => succeedJob(tx, { jobId: running.id, fence: running.fence }, 200));
    assert.equal((await openJob(db, "p"))?.id, queued);
    await db.write((tx) => cancelJob(tx, queued, 210));
    assert.equal(await openJob(db, "p"), null);
    assert.equal((await latestJob(db, "p"))?.state, "cancelled");
  });
});

Deno.test("nextRunAt: the soonest queued job that no running one holds up", async () => {
  await withStore(async (db) => {
    assert.equal(await nextRunAt(db), null);
    for (const id of ["p", "q"]) await addPermit(db, id);
    await addJob(db, "p", { runAtMs: 10 });
    await addJob(db, "q", { runAtMs: 500 });
    assert.equal(await nextRunAt(db), 10);
    await claimed(db);
    await addJob(db, "p", { runAtMs: 20 });
    assert.equal(await nextRunAt(db), 500);
  });
});

const LISTS: [filter: Parameters<typeof listJobs>[1], ids: number[]][] = [
  [{}, [3, 2, 1]],
  [{ permitId: "p" }, [2, 1]],
  [{ state: "superseded" }, [1]],
  [{ kind: "halt" }, [2]],
  [{ permitId: "q", state: "queued", kind: "reconcile" }, [3]],
  [{ permitId: "q", state: "failed" }, []],
];
for (const [filter, ids] of LISTS) {
  Deno.test(`listJobs: ${JSON.stringify(filter)} gives ${ids.join(", ") || "none"}, newest first`, async () => {
    await withStore(async (db) => {
      for (const id of ["p", "q"]) await addPermit(db, id);
      await addJob(db, "p");
      await addJob(db, "p", { kind: "halt" });
      await addJob(db, "q");
      const { items } = await listJobs(db, filter, { cursor: null, limit: 10 });
      assert.deepEqual(items.map(({ id }) => id), ids);
    });
  });
}

Deno.test("listJobs: goes on from a cursor", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    for (let index = 0; index < 5; index++) await addJob(db, "p");
    const first = await listJobs(db, {}, { cursor: null, limit: 3 });
    const second = await listJobs(db, {}, { cursor: first.next, limit: 3 });
    assert.deepEqual([first, second].map(({ items }) => items.map(({ id }) => id)), [[5, 4, 3], [2, 1]]);
    assert.equal(second.next, null);
  });
});

Deno.test("mostUrgentDue: what claimJob would take now, and null when that is nothing", async () => {
  await withStore(async (db) => {
    const due = (nowMs: number, priorityMax: number | null = null): Promise<number | null> =>
      mostUrgentDue(db, { nowMs, priorityMax });
    assert.equal(await due(100), null);
    for (const permitId of ["p", "q"]) await addPermit(db, permitId);
    await addJob(db, "p", { kind: "reconcile", runAtMs: 10 });
    await addJob(db, "q", { kind: "delete", runAtMs: 50 });
    assert.deepEqual([await due(20), await due(50), await due(5)], [50, 10, null]);
    assert.equal(await due(20, 20), null, "only what is urgent");
    assert.equal((await claimed(db)).priority, 10);
    await addJob(db, "q", { kind: "halt", runAtMs: 60 });
    assert.equal(await due(100), 50, "a permit whose job runs waits for it");
  });
});

Deno.test("latestWish: a drift that only took access away fulfils no wish", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    assert.equal(await latestWish(db, "p"), null);
    const wish = await addJob(db, "p");
    const job = await claimed(db);
    await db.write((tx) => succeedJob(tx, { jobId: job.id, fence: job.fence }, 100));
    const cut = await addJob(db, "p", { kind: "drift", priority: 20 });
    assert.deepEqual([(await latestJob(db, "p"))?.id, (await latestWish(db, "p"))?.id], [cut, wish]);
    const taken = await claimed(db);
    await db.write((tx) => succeedJob(tx, { jobId: taken.id, fence: taken.fence }, 100));
    const repair = await addJob(db, "p", { kind: "drift" });
    assert.equal((await latestWish(db, "p"))?.id, repair);
  });
});
