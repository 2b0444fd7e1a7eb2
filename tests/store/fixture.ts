/** A real store in a directory of its own, and the rows that most tests need. */
import { newPermit, type Permit } from "../../src/core/permit.ts";
import type { JobKind } from "../../src/core/job.ts";
import { JOB_PRIORITY } from "../../src/core/job.ts";
import type { Random } from "../../src/core/clock.ts";
import type { Db } from "../../src/store/db.ts";
import type { NewEvent } from "../../src/store/events.ts";
import { enqueueJob } from "../../src/store/jobs.ts";
import { openStore } from "../../src/store/open.ts";
import { savePermit } from "../../src/store/permits.ts";

/** Runs `test` with an open store, then closes it and removes its directory. Commits are not flushed: no power is cut. */
export async function withStore(test: (db: Db, directory: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const store = await openStore({ directory, nowMs: 1_000, durable: false });
    try {
      await test(store.db, directory);
    } finally {
      await store.close();
    }
  });
}

/** Runs `test` with an empty directory and removes it. */
export async function withDirectory(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "wps-store-" });
  try {
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Saves a permit that differs from a new one by `change`. */
export async function addPermit(db: Db, permitId: string, change: Partial<Permit> = {}): Promise<Permit> {
  const permit = { ...newPermit(permitId), ...change };
  await db.write((tx) => savePermit(tx, permit, 1_000));
  return permit;
}

/** Queues a job of a permit that exists, with its kind's priority. */
export async function addJob(
  db: Db,
  permitId: string,
  options: { kind?: JobKind; priority?: number; runAtMs?: number; version?: number } = {},
): Promise<number> {
  const { kind = "reconcile", priority = JOB_PRIORITY[kind], runAtMs = 0, version = 1 } = options;
  const { jobId } = await db.write((tx) =>
    enqueueJob(tx, { permitId, kind, priority, version, eventSeq: null, runAtMs, nowMs: 0 })
  );
  return jobId;
}

/** An accepted event of the broker that differs by `change`. */
export function event(change: Partial<NewEvent> = {}): NewEvent {
  return {
    receivedAtMs: 1_000,
    channel: "amqp",
    source: "permit-manager",
    id: "evt-1",
    type: "permit.status.updated",
    permitId: "p",
    revision: null,
    time: null,
    verdict: "accepted",
    reasons: [],
    body: new TextEncoder().encode("{}"),
    bodyHash: "hash-1",
    ...change,
  };
}

/** Counts upwards: different bytes each time, the same in each run. */
export function countingRandom(): Random {
  let count = 0;
  return {
    next: (): number => (count++ % 1000) / 1000,
    bytes: (length): Uint8Array => Uint8Array.from({ length }, () => count++ & 0xff),
  };
}
