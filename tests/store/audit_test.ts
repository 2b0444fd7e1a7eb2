import assert from "node:assert/strict";
import type { AuditEntry } from "../../src/core/audit.ts";
import { appendAudit, listAudit } from "../../src/store/audit.ts";
import { appendOutbox, markDelivered, pendingOutbox } from "../../src/store/outbox.ts";
import type { Db } from "../../src/store/db.ts";
import { withStore } from "./fixture.ts";

const entry = (change: Partial<AuditEntry> = {}): AuditEntry => ({
  atMs: 10,
  permitId: "p",
  eventSeq: 3,
  jobId: 7,
  actor: { kind: "service", id: "boot-1" },
  action: "step.start",
  target: "research/a",
  outcome: "intended",
  reason: null,
  requestId: "req-1",
  ...change,
});

const append = (db: Db, entries: AuditEntry[]): Promise<void> => db.write((tx) => appendAudit(tx, entries));

Deno.test("appendAudit: entries come back as they were, in the order of appending", async () => {
  await withStore(async (db) => {
    const bare = entry({
      permitId: null,
      eventSeq: null,
      jobId: null,
      requestId: null,
      reason: "denied",
      outcome: "refused",
    });
    await append(db, [entry(), bare]);
    await append(db, []);
    const { items } = await listAudit(db, {}, { cursor: null, limit: 10 });
    assert.deepEqual(items, [{ seq: 2, ...bare }, { seq: 1, ...entry() }]);
  });
});

Deno.test("appendAudit: each entry has its message to the Auditing Service, with what no column holds", async () => {
  await withStore(async (db) => {
    await db.write((tx) =>
      appendAudit(tx, [entry(), { ...entry({ action: "event.accepted" }), details: { id: "evt-1" } }])
    );
    assert.deepEqual(await pendingOutbox(db, null, 10), [
      {
        id: 1,
        topic: "audit.events",
        key: "step.start",
        permitId: "p",
        payload: { seq: 1, ...entry() },
        createdAtMs: 10,
      },
      {
        id: 2,
        topic: "audit.events",
        key: "event.accepted",
        permitId: "p",
        payload: { id: "evt-1", seq: 2, ...entry({ action: "event.accepted" }) },
        createdAtMs: 10,
      },
    ]);
  });
});

Deno.test("appendAudit: it alone writes audit rows and their messages", async () => {
  const writers: string[] = [];
  for (const path of await sources("src/")) {
    const text = await Deno.readTextFile(path);
    if (/insert into audit\b|topic: "audit\.events"/.test(text)) writers.push(path);
  }
  assert.deepEqual(writers, ["src/store/audit.ts"]);
});

async function sources(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) found.push(...await sources(`${folder}${name}/`));
    else if (name.endsWith(".ts")) found.push(`${folder}${name}`);
  }
  return found;
}

const LISTS: [filter: Parameters<typeof listAudit>[1], seqs: number[]][] = [
  [{ permitId: "p" }, [2, 1]],
  [{ action: "job.failed" }, [2]],
  [{ jobId: 9 }, [3]],
  [{ eventSeq: 3, permitId: "q" }, [3]],
  [{ sinceMs: 20 }, [3, 2]],
  [{ permitId: "r" }, []],
];
for (const [filter, seqs] of LISTS) {
  Deno.test(`listAudit: ${JSON.stringify(filter)} gives ${seqs.join(", ") || "none"}`, async () => {
    await withStore(async (db) => {
      await append(db, [
        entry(),
        entry({ action: "job.failed", atMs: 20 }),
        entry({ permitId: "q", jobId: 9, atMs: 30 }),
      ]);
      const { items } = await listAudit(db, filter, { cursor: null, limit: 10 });
      assert.deepEqual(items.map(({ seq }) => seq), seqs);
    });
  });
}

for (
  const sql of [
    "delete from audit",
    "update audit set outcome = 'done'",
    "update audit set permit_id = null",
    "insert or replace into audit select * from audit",
  ]
) {
  Deno.test(`audit: "${sql}" is refused by the database itself`, async () => {
    await withStore(async (db) => {
      await append(db, [entry()]);
      await assert.rejects(db.write((tx) => tx.run(sql, [])), {
        reason: "conflict",
        message: /audit rows are never/,
      });
    });
  });
}

Deno.test("audit: the chain's hash may be filled once, then the row is closed", async () => {
  await withStore(async (db) => {
    await append(db, [entry()]);
    const chain = (hash: string): Promise<unknown> =>
      db.write((tx) => tx.run("update audit set prev_hash = 'x', hash = ?", [hash]));
    await chain("first");
    await assert.rejects(chain("second"), { reason: "conflict" });
  });
});

Deno.test("outbox: pending in order, by topic, until delivered", async () => {
  await withStore(async (db) => {
    const message = (
      key: string,
      topic = "workspace.events",
    ): Parameters<typeof appendOutbox>[1][number] => ({
      topic,
      key,
      permitId: "p",
      payload: { status: "RUNNING", list: [1, null] },
    });
    await db.write((tx) => appendOutbox(tx, [message("a"), message("b", "audit.events"), message("c")], 10));
    const pending = async (topic: string | null, limit = 10): Promise<string[]> =>
      (await pendingOutbox(db, topic, limit)).map(({ key }) => key);
    assert.deepEqual(await pending(null), ["a", "b", "c"]);
    assert.deepEqual(await pending("workspace.events"), ["a", "c"]);
    assert.deepEqual(await pending(null, 1), ["a"]);
    const [first] = await pendingOutbox(db, null, 1);
    assert.deepEqual(first, { id: 1, createdAtMs: 10, ...message("a") });
    await db.write((tx) => markDelivered(tx, [1, 2], 20));
    assert.deepEqual(await pending(null), ["c"]);
  });
});
