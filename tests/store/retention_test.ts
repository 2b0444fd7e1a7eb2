import assert from "node:assert/strict";
import { z } from "zod";
import type { Job, JobKind } from "../../src/core/job.ts";
import type { Db } from "../../src/store/db.ts";
import { insertEvent } from "../../src/store/events.ts";
import { PROOF } from "../isolation_evidence.ts";
import { saveEvidence } from "../../src/store/evidence.ts";
import { beginIdempotent, IDEMPOTENCY_KEPT_MS } from "../../src/store/idempotency_keys.ts";
import { claimJob } from "../../src/store/job_claims.ts";
import { succeedJob } from "../../src/store/job_transitions.ts";
import { enqueueJob } from "../../src/store/jobs.ts";
import { appendOutbox, markDelivered, pendingOutbox } from "../../src/store/outbox.ts";
import {
  type Prune,
  type Pruned,
  pruneEvents,
  pruneEvidence,
  pruneIdempotencyKeys,
  pruneJobs,
  pruneOutbox,
  type PruneRequest,
} from "../../src/store/retention.ts";
import { beginSteps } from "../../src/store/steps.ts";
import { addJob, addPermit, event, withStore } from "./fixture.ts";

const id = z.object({ id: z.number() });
const OLD_MS = 1_000;
const NOW_MS = 10_000;

/** Prunes until nothing further can be old, `limit` rows at a time; returns how many went. */
async function all(db: Db, prune: Prune, limit = 100): Promise<number> {
  let total = 0;
  for (let after: number | null = 0; after !== null;) {
    const request: PruneRequest = { beforeMs: 5_000, after, limit };
    const { removed, next }: Pruned = await db.write((tx) => prune(tx, request));
    total += removed;
    after = next;
  }
  return total;
}

async function ids(db: Db, table: string, column = "id"): Promise<number[]> {
  return (await db.read(`select ${column} as id from ${table} order by 1`, [], id)).map(({ id }) => id);
}

/** A job that has ended at `endedMs`, with one step. */
async function ended(
  db: Db,
  permitId: string,
  endedMs: number,
  kind: JobKind = "reconcile",
  priority?: number,
): Promise<number> {
  const jobId = await addJob(db, permitId, { kind, ...(priority === undefined ? {} : { priority }) });
  const job = await claimed(db);
  assert.equal(job.id, jobId);
  await db.write(async (tx) => {
    const claim = { jobId, fence: job.fence };
    const step = { attempt: 1, kind: "start" as const, target: "a", why: "w", wave: 1, startedAtMs: 1 };
    await beginSteps(tx, claim, [step]);
    await succeedJob(tx, claim, endedMs);
  });
  return jobId;
}

async function claimed(db: Db): Promise<Job> {
  const job = await claimJob(db, { bootEpoch: "boot", nowMs: 100, priorityMax: null });
  assert.ok(job !== null);
  return job;
}

Deno.test("pruneJobs: old ones go with their steps; of each permit the newest and the newest wish stay", async () => {
  await withStore(async (db) => {
    for (const permitId of ["p", "q", "r", "s"]) await addPermit(db, permitId);
    const gone = [await ended(db, "p", OLD_MS), await ended(db, "p", OLD_MS, "drift")];
    const newest = await ended(db, "p", OLD_MS);
    const wish = await ended(db, "q", OLD_MS);
    gone.push(await ended(db, "q", OLD_MS, "drift", 20));
    const cut = await ended(db, "q", OLD_MS, "drift", 20);
    const behind = await ended(db, "r", OLD_MS);
    gone.push(behind);
    const young = await ended(db, "r", NOW_MS);
    gone.push(await ended(db, "s", OLD_MS));
    await addJob(db, "s");
    const running = (await claimed(db)).id;
    const queued = await addJob(db, "s");
    assert.equal(await all(db, pruneJobs), gone.length);
    const left = [newest, wish, cut, young, running, queued];
    assert.deepEqual(await ids(db, "jobs"), left);
    assert.deepEqual(await ids(db, "steps", "distinct job_id"), left.slice(0, 4));
    assert.equal(await all(db, pruneJobs), 0, "a second pass finds nothing");
  });
});

Deno.test("pruneJobs: a few rows at a time, and everything old is found in the end", async () => {
  for (const limit of [1, 2, 3, 7]) {
    await withStore(async (db) => {
      await addPermit(db, "p");
      await addPermit(db, "q");
      const kept = await ended(db, "q", OLD_MS);
      for (let n = 0; n < 9; n++) await ended(db, "p", OLD_MS);
      const { removed } = await db.write((tx) => pruneJobs(tx, { beforeMs: 5_000, after: 0, limit }));
      assert.ok(removed <= limit);
      assert.equal(removed + await all(db, pruneJobs, limit), 8, `${limit} at a time`);
      assert.deepEqual(await ids(db, "jobs"), [kept, kept + 9]);
    });
  }
});

Deno.test("pruneEvents: old ones go, but none that a job refers to, nor the newest", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    const add = (name: string, receivedAtMs: number): Promise<number> =>
      db.write((tx) => insertEvent(tx, event({ id: name, receivedAtMs })));
    const [, referred, , young, , newest] = [
      await add("1", OLD_MS),
      await add("2", OLD_MS),
      await add("3", OLD_MS),
      await add("4", NOW_MS),
      await add("5", OLD_MS),
      await add("6", OLD_MS),
    ];
    const job = { permitId: "p", kind: "reconcile" as const, priority: 50, version: 1, runAtMs: 0, nowMs: 0 };
    await db.write((tx) => enqueueJob(tx, { ...job, eventSeq: referred ?? null }));
    assert.equal(await all(db, pruneEvents, 2), 2);
    // Behind a young one nothing is looked for: the clock was set back, which the next months make good.
    assert.deepEqual(await ids(db, "events", "seq"), [referred, young, 5, newest]);
  });
});

Deno.test("pruneEvidence: the proof of an instance that was last seen stays", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    const prove = (instanceUid: string, atMs: number): Promise<number> =>
      db.write((tx) =>
        saveEvidence(tx, { permitId: "p", workspaceKey: "research/a", instanceUid, atMs, evidence: PROOF })
      );
    const [, present, young] = [
      await prove("gone", OLD_MS),
      await prove("present", OLD_MS),
      await prove("other", NOW_MS),
    ];
    await db.write((tx) =>
      tx.run(
        `insert into workspaces (permit_id, key, kind, owner, username, wanted, status, instance_uid, outdated,
           mounts, observed_at_ms)
         values ('p', 'research/a', 'research', 'a', 'a', 'running', 'RUNNING', 'present', 0, '[]', 1)`,
        [],
      )
    );
    assert.equal(await all(db, pruneEvidence), 1);
    assert.deepEqual(await ids(db, "evidence"), [present, young]);
  });
});

Deno.test("pruneOutbox: only what was delivered long ago; what waits is never lost", async () => {
  await withStore(async (db) => {
    const message = { topic: "audit.events", key: "k", permitId: null, payload: {} };
    await db.write((tx) => appendOutbox(tx, Array.from({ length: 6 }, () => message), 1));
    await db.write((tx) => markDelivered(tx, [2, 3, 5], OLD_MS));
    await db.write((tx) => markDelivered(tx, [6], NOW_MS));
    assert.equal(await all(db, pruneOutbox, 2), 3);
    assert.deepEqual(await ids(db, "outbox"), [1, 4, 6]);
    assert.deepEqual((await pendingOutbox(db, null, 10)).map(({ id }) => id), [1, 4]);
  });
});

Deno.test("pruneIdempotencyKeys: what has expired, running marks included", async () => {
  await withStore(async (db) => {
    const begin = (key: string, nowMs: number): ReturnType<typeof beginIdempotent> =>
      db.write((tx) => beginIdempotent(tx, { caller: "c", key, bodyHash: "h", bootEpoch: "boot", nowMs }));
    for (const key of ["a", "b", "c"]) await begin(key, 5_000 - IDEMPOTENCY_KEPT_MS);
    await begin("later", 5_001 - IDEMPOTENCY_KEPT_MS);
    assert.equal(await all(db, pruneIdempotencyKeys, 2), 3);
    assert.deepEqual(await begin("later", 5_000), { is: "running" });
  });
});
