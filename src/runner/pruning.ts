/**
 * Forgets what nobody needs any more, in the background: small transactions with pauses between them, so that neither
 * events nor jobs wait (DESIGN 7). What is kept for ever, store/retention.ts says.
 */
import type { Clock, Random } from "../core/clock.ts";
import { toFault } from "../core/fault.ts";
import { jitteredMs } from "../core/retry.ts";
import type { Log } from "../log.ts";
import type { Db } from "../store/db.ts";
import {
  type Prune,
  pruneEvents,
  pruneEvidence,
  pruneIdempotencyKeys,
  pruneJobs,
  pruneOutbox,
} from "../store/retention.ts";

/** How long things are kept; from the configuration. */
export interface KeepLimits {
  /** Ended jobs with their steps, in milliseconds. */
  jobsMs: number;
  /** Events and proofs of isolation, in milliseconds: so long a repeated event is known as a duplicate. */
  eventsMs: number;
}

/** What pruning works with. */
export interface PruningDeps {
  db: Db;
  clock: Clock;
  random: Random;
  log: Log;
  keep: KeepLimits;
}

/** Between two passes, jittered; a pass that finds nothing takes a few milliseconds. */
const PASS_MS = 3_600_000;
/** Rows looked at in one transaction: some 10 ms on a slow disk, in which nothing else runs (libSQL is synchronous). */
const BATCH_ROWS = 500;
/** Between two transactions, so that whoever waits for the writers' turn gets it. */
const BATCH_PAUSE_MS = 250;
/** Transactions of one pass and table; what is left over waits for the next pass, which goes on from there. */
const BATCHES_MAX = 200;
/** Delivered messages: a week, so that an operator can still see what left. */
const DELIVERED_MS = 7 * 86_400_000;

interface Table {
  name: string;
  prune: Prune;
  keepMs: number;
  after: number;
}

/** Starts passing over the tables; the first pass begins after one interval. */
export function startPruning({ db, clock, random, log, keep }: PruningDeps): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  // Jobs before events, because an event is kept as long as its job.
  const tables: Table[] = [
    { name: "idempotency keys", prune: pruneIdempotencyKeys, keepMs: 0, after: 0 },
    { name: "messages", prune: pruneOutbox, keepMs: DELIVERED_MS, after: 0 },
    { name: "jobs", prune: pruneJobs, keepMs: keep.jobsMs, after: 0 },
    { name: "proofs", prune: pruneEvidence, keepMs: keep.eventsMs, after: 0 },
    { name: "events", prune: pruneEvents, keepMs: keep.eventsMs, after: 0 },
  ];

  async function pass(table: Table): Promise<number> {
    let total = 0;
    for (let batch = 0; batch < BATCHES_MAX && !signal.aborted; batch++) {
      const request = { beforeMs: clock.now() - table.keepMs, after: table.after, limit: BATCH_ROWS };
      const { removed, next } = await db.write((tx) => table.prune(tx, request));
      total += removed;
      table.after = next ?? 0;
      if (next === null) break;
      await clock.sleep(BATCH_PAUSE_MS, signal);
    }
    return total;
  }

  async function loop(): Promise<void> {
    for (;;) {
      await clock.sleep(jitteredMs(PASS_MS, random.next()), signal);
      if (signal.aborted) return;
      for (const table of tables) {
        try {
          const removed = await pass(table);
          if (removed > 0) log.info("forgot what was kept long enough", { what: table.name, rows: removed });
        } catch (thrown) {
          if (!signal.aborted) {
            log.warn("cannot forget", { what: table.name, error: toFault(thrown).message });
          }
        }
      }
    }
  }

  const looping = loop();
  return {
    async stop(): Promise<void> {
      stopping.abort();
      await looping;
    },
  };
}
