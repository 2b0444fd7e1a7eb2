import assert from "node:assert/strict";
import type { Permit } from "../../src/core/permit.ts";
import { claimJob } from "../../src/store/job_claims.ts";
import { retryJob } from "../../src/store/job_transitions.ts";
import { listUncut, type Uncut, uncutOf } from "../../src/store/uncut.ts";
import { saveWorkspaces, type WorkspaceObservation } from "../../src/store/workspaces.ts";
import { addJob, addPermit, withStore } from "./fixture.ts";

const seen = (
  key: string,
  network: WorkspaceObservation["network"],
  instanceUid: string | null = null,
): WorkspaceObservation => ({
  key,
  kind: "research",
  owner: key,
  username: key,
  wanted: "stopped",
  status: "STOPPED",
  posture: null,
  network,
  protocol: null,
  host: null,
  port: null,
  instanceUid,
  node: null,
  outdated: false,
  mounts: [],
  detail: null,
  observed: null,
  observedAtMs: 500,
});

/** What stands, and how; nobody is left to reach through what is opened beside a pod that has gone. */
const ALL = ["a open", "d breached", "f running"];

const CASES: {
  why: string;
  permit: Partial<Permit>;
  tried: "never" | "failed" | "again";
  of: string[];
  listed: string[];
}[] = [
  { why: "a halt that just came", permit: { halted: true }, tried: "never", of: ALL, listed: [] },
  { why: "a halt that failed once", permit: { halted: true }, tried: "failed", of: ALL, listed: ALL },
  { why: "a halt at its second attempt", permit: { halted: true }, tried: "again", of: ALL, listed: ALL },
  { why: "a deletion", permit: { deletion: "requested" }, tried: "failed", of: ALL, listed: ALL },
  { why: "what is deleted is gone", permit: { deletion: "done" }, tried: "failed", of: [], listed: [] },
  { why: "a permit that people use", permit: {}, tried: "failed", of: [], listed: [] },
];

for (const { why, permit, tried, of, listed } of CASES) {
  Deno.test(`uncut: ${why}`, async () => {
    await withStore(async (db) => {
      await addPermit(db, "p", permit);
      await addJob(db, "p", { kind: "halt" });
      await db.write((tx) =>
        saveWorkspaces(tx, "p", [
          seen("a", "open"),
          seen("b", "shut"),
          seen("c", null),
          seen("d", "breached", "uid-d"),
          seen("e", "breached"),
          seen("f", "shut", "uid-f"),
        ])
      );
      const claim = { bootEpoch: "boot", nowMs: 100, priorityMax: null };
      if (tried !== "never") {
        const job = await claimJob(db, claim);
        assert.ok(job !== null);
        const outcome = { reason: "unavailable" as const, message: "away", advice: null, runAtMs: 0 };
        await db.write((tx) => retryJob(tx, { jobId: job.id, fence: job.fence }, outcome, 100));
      }
      if (tried === "again") await claimJob(db, claim);
      const told = (rows: Uncut[]): string[] => rows.map(({ key, stands }) => `${key} ${stands}`);
      assert.deepEqual(told(await uncutOf(db, "p")), of);
      assert.deepEqual(told(await listUncut(db, 5)), listed);
      assert.deepEqual(await listUncut(db, 0), []);
    });
  });
}
