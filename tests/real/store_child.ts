/**
 * A process of its own on a store, to be killed or to be a rival. Arguments: what to do, the state directory, a name.
 * What it prints is acknowledged: the line leaves after the commit.
 */
import { JOB_PRIORITY } from "../../src/core/job.ts";
import { newPermit } from "../../src/core/permit.ts";
import { appendAudit } from "../../src/store/audit.ts";
import { openDb } from "../../src/store/db.ts";
import { insertEvent, newestEventSeq } from "../../src/store/events.ts";
import { succeedJob } from "../../src/store/job_transitions.ts";
import { claimJob } from "../../src/store/job_claims.ts";
import { enqueueJob } from "../../src/store/jobs.ts";
import { openStore } from "../../src/store/open.ts";
import { savePermit } from "../../src/store/permits.ts";

/** Rows of each kind in one group. */
export const GROUP_SIZE = 7;

function acknowledge(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Commits group after group of events with all that belongs to them, for ever. */
async function writeGroups(directory: string): Promise<void> {
  const { db } = await openStore({ directory, nowMs: Date.now() });
  const body = crypto.getRandomValues(new Uint8Array(3_000));
  let group = await newestEventSeq(db) / GROUP_SIZE;
  while (true) {
    group++;
    const permitId = `permit-${group}`;
    await db.write(async (tx) => {
      await savePermit(tx, { ...newPermit(permitId), version: GROUP_SIZE }, 0);
      for (let index = 0; index < GROUP_SIZE; index++) {
        const seq = await insertEvent(tx, {
          receivedAtMs: 0,
          channel: "amqp",
          source: "crash-test",
          id: `${group}.${index}`,
          type: "permit.status.updated",
          permitId,
          revision: index,
          time: null,
          verdict: "accepted",
          reasons: [],
          body,
          bodyHash: "",
        });
        const job = {
          permitId,
          kind: "reconcile" as const,
          priority: JOB_PRIORITY.reconcile,
          version: index,
        };
        const { jobId } = await enqueueJob(tx, { ...job, eventSeq: seq, runAtMs: 0, nowMs: 0 });
        const actor = { kind: "event" as const, id: "crash-test" };
        const audit = {
          atMs: 0,
          permitId,
          eventSeq: seq,
          jobId,
          actor,
          action: "event.accepted",
          target: permitId,
        };
        await appendAudit(tx, [{ ...audit, outcome: "done", reason: null, requestId: null }]);
      }
    });
    acknowledge(`${group}`);
  }
}

/** Claims and finishes jobs beside other processes until there is none; prints each. */
async function claimAll(directory: string, name: string): Promise<void> {
  const db = await openDb({ path: `${directory}/wps.db`, busyTimeoutMs: 30_000 });
  while (true) {
    const job = await claimJob(db, { bootEpoch: name, nowMs: 1, priorityMax: null });
    if (job === null) return await db.close();
    acknowledge(`${job.id} ${job.fence}`);
    await db.write((tx) => succeedJob(tx, { jobId: job.id, fence: job.fence }, 2));
  }
}

/** Holds the store open for ever. */
async function hold(directory: string): Promise<void> {
  await openStore({ directory, nowMs: Date.now() });
  acknowledge("open");
  await new Promise(() => setInterval(() => {}, 60_000));
}

if (import.meta.main) {
  const [what = "", directory = "", name = ""] = Deno.args;
  if (what === "groups") await writeGroups(directory);
  else if (what === "claims") await claimAll(directory, name);
  else if (what === "hold") await hold(directory);
}
