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
