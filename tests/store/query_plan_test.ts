import assert from "node:assert/strict";
import { z } from "zod";
import type { Argument } from "../../src/store/columns.ts";
import type { Db, Reader } from "../../src/store/db.ts";
import { listAudit } from "../../src/store/audit.ts";
import { listBreaches } from "../../src/store/breaches.ts";
import {
  findEvent,
  findUnackedTwins,
  listEvents,
  markAllAcked,
  newestAccepted,
  newestAnswer,
} from "../../src/store/events.ts";
import { latestEvidence, listEvidence, provenInstances } from "../../src/store/evidence.ts";
import { haltOrders } from "../../src/store/halts.ts";
import { countJobs } from "../../src/store/job_counts.ts";
import { durationsOfJobsLike } from "../../src/store/job_history.ts";
import { isOvertaken, isWanted } from "../../src/store/job_transitions.ts";
import { claimJob, mostUrgentDue, nextRunAt, requeueOrphans } from "../../src/store/job_claims.ts";
import { latestJob, latestWish, listJobs, openJob } from "../../src/store/jobs.ts";
import { leasesOf } from "../../src/store/leases.ts";
import { pendingOutbox } from "../../src/store/outbox.ts";
import { listPermits } from "../../src/store/permits.ts";
import {
  pruneEvents,
  pruneEvidence,
  pruneIdempotencyKeys,
  pruneJobs,
  pruneOutbox,
} from "../../src/store/retention.ts";
import { stepsOf } from "../../src/store/steps.ts";
import { keepPasswords } from "../../src/store/secrets.ts";
import { refusedUploads } from "../../src/store/refused_uploads.ts";
import { listUncut, uncutOf } from "../../src/store/uncut.ts";
import { listVolumes } from "../../src/store/volumes.ts";
import { workspacesOf } from "../../src/store/workspaces.ts";
import { withStore } from "./fixture.ts";

const PAGE = { cursor: null, limit: 50 };

/** Everything that runs often, or on tables that grow for years: each must seek, a scan would stop the event loop. */
const STATEMENTS: [name: string, run: (db: Db) => Promise<unknown>][] = [
  ["claimJob", (db) => claimJob(db, { bootEpoch: "b", nowMs: 1, priorityMax: 20 })],
  ["requeueOrphans", (db) => db.write((tx) => requeueOrphans(tx, { bootEpoch: "b", nowMs: 1 }))],
  ["isWanted", (db) => isWanted(db, { jobId: 1, fence: 1 })],
  ["countJobs", (db) => countJobs(db)],
  ["openJob", (db) => openJob(db, "p")],
  ["isOvertaken", (db) => isOvertaken(db, { jobId: 1, fence: 1 })],
  ["latestJob", (db) => latestJob(db, "p")],
  ["latestWish", (db) => latestWish(db, "p")],
  ["mostUrgentDue", (db) => mostUrgentDue(db, { nowMs: 1, priorityMax: null })],
  ["nextRunAt", (db) => nextRunAt(db)],
  ["listJobs of a permit", (db) => listJobs(db, { permitId: "p" }, PAGE)],
  ["listJobs in a state", (db) => listJobs(db, { state: "failed" }, PAGE)],
  ["listJobs of a kind", (db) => listJobs(db, { kind: "delete" }, PAGE)],
  ["durationsOfJobsLike", (db) => durationsOfJobsLike(db, "delete", 3)],
  ["findEvent", (db) => findEvent(db, "s", "i")],
  ["findUnackedTwins", (db) => findUnackedTwins(db, "p", "t", "h")],
  ["markAllAcked", (db) => db.write((tx) => markAllAcked(tx, 5, 1))],
  ["listEvents of a permit", (db) => listEvents(db, { permitId: "p" }, PAGE)],
  ["listEvents with a verdict", (db) => listEvents(db, { verdict: "rejected" }, PAGE)],
  ["listEvents of a type", (db) => listEvents(db, { type: "permit.halted" }, PAGE)],
  ["newestAccepted", (db) => newestAccepted(db, "p")],
  ["newestAnswer", (db) => newestAnswer(db, "p")],
  ["stepsOf", (db) => stepsOf(db, 1)],
  ["latestEvidence", (db) => latestEvidence(db, "p", "k", "u")],
  ["listEvidence", (db) => listEvidence(db, { permitId: "p" }, PAGE)],
  ["listBreaches", (db) => listBreaches(db, "p")],
  ["haltOrders", (db) => haltOrders(db, "p")],
  ["uncutOf", (db) => uncutOf(db, "p")],
  ["listUncut", (db) => listUncut(db, 6)],
  ["provenInstances", (db) => provenInstances(db, "p")],
  ["workspacesOf", (db) => workspacesOf(db, "p")],
  ["keepPasswords", (db) => db.write((tx) => keepPasswords(tx, "p", ["research/a"]))],
  ["listVolumes", (db) => listVolumes(db, "p")],
  ["refusedUploads", (db) => refusedUploads(db, "p")],
  ["leasesOf", (db) => leasesOf(db, "p")],
  ["listPermits after one", (db) => listPermits(db, {}, { cursor: "p", limit: 50 })],
  ["listAudit of a permit", (db) => listAudit(db, { permitId: "p" }, PAGE)],
  ["listAudit of an action", (db) => listAudit(db, { action: "halt" }, PAGE)],
  ...[pruneJobs, pruneEvents, pruneEvidence, pruneOutbox, pruneIdempotencyKeys].map((
    prune,
  ): [string, (db: Db) => Promise<unknown>] => [
    prune.name,
    (db) => db.write((tx) => prune(tx, { beforeMs: 1, after: 1, limit: 5 })),
  ]),
  ["pendingOutbox", (db) => pendingOutbox(db, null, 50)],
];

const TABLES =
  /\b(permits|members|events|jobs|steps|workspaces|volumes|refused_uploads|evidence|breaches|leases|audit|outbox)\b/;
/** Aliases that the statements above use for those tables. */
const ALIASES = /\b(candidate|other|orphan|orphaned|queued|newer|mine|job|failed|later|open|old)\b/;

/** Partial indexes of what is open: they stay short, walking one in order is meant. */
const SHORT_INDEXES = /USING (COVERING )?INDEX (jobs_to_claim|events_unacked|outbox_pending)$/;

for (const [name, run] of STATEMENTS) {
  Deno.test(`${name}: seeks by an index`, async () => {
    await withStore(async (db) => {
      const statements: { sql: string; args: readonly Argument[] }[] = [];
      await run(recording(db, statements));
      assert.ok(statements.length > 0);
      for (const { sql, args } of statements) {
        const steps = await db.read(`explain query plan ${sql}`, args, z.object({ detail: z.string() }));
        const scans = steps.map(({ detail }) => detail)
          .filter((detail) => /^SCAN/.test(detail) && !SHORT_INDEXES.test(detail))
          .filter((detail) => TABLES.test(detail) || ALIASES.test(detail));
        assert.deepEqual(scans, [], sql);
      }
    });
  });
}

/** The database, noting each statement that passes. */
function recording(db: Db, statements: { sql: string; args: readonly Argument[] }[]): Db {
  const noting = <Of extends Reader>(reader: Of): Of["read"] => (sql, args, row) => {
    statements.push({ sql, args });
    return reader.read(sql, args, row);
  };
  return {
    path: db.path,
    read: noting(db),
    change: (sql, args, row) => {
      statements.push({ sql, args });
      return db.change(sql, args, row);
    },
    write: (work) =>
      db.write((tx) =>
        work({
          read: noting(tx),
          run: (sql, args) => {
            statements.push({ sql, args });
            return tx.run(sql, args);
          },
          script: (sql) => tx.script(sql),
        })
      ),
    close: () => db.close(),
  };
}
