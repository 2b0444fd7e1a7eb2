import assert from "node:assert/strict";
import {
  type Evidence,
  EVIDENCE_MAX_BYTES,
  latestEvidence,
  listEvidence,
  provenInstances,
  saveEvidence,
} from "../../src/store/evidence.ts";
import { PROOF, proofOf } from "../isolation_evidence.ts";
import { addPermit, withStore } from "./fixture.ts";

const proof = (change: Partial<Evidence> = {}): Evidence => ({
  permitId: "p",
  workspaceKey: "research/a",
  instanceUid: "uid-1",
  atMs: 10,
  evidence: PROOF,
  ...change,
});

Deno.test("latestEvidence: the newest of exactly this instance; a new instance is unproven", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    await db.write(async (tx) => {
      await saveEvidence(tx, proof());
      await saveEvidence(tx, proof({ atMs: 20 }));
      await saveEvidence(tx, proof({ workspaceKey: "research/b", instanceUid: "uid-2", atMs: 30 }));
    });
    assert.deepEqual(await latestEvidence(db, "p", "research/a", "uid-1"), proof({ atMs: 20 }));
    assert.equal(await latestEvidence(db, "p", "research/a", "uid-2"), null);
    assert.equal(await latestEvidence(db, "q", "research/a", "uid-1"), null);
    assert.deepEqual(await provenInstances(db, "p"), new Set(["uid-1", "uid-2"]));
    assert.deepEqual(await provenInstances(db, "q"), new Set());
  });
});

for (const [length, kept] of [[EVIDENCE_MAX_BYTES, true], [EVIDENCE_MAX_BYTES + 1, false]] as const) {
  Deno.test(`saveEvidence: ${length} bytes are ${kept ? "kept" : "refused"}, counted as UTF-8`, async () => {
    await withStore(async (db) => {
      await addPermit(db, "p");
      const save = db.write((tx) => saveEvidence(tx, proof({ evidence: proofOf(length, "é") })));
      if (kept) await save;
      else await assert.rejects(save, { name: "Fault", reason: "invalid" });
    });
  });
}

Deno.test("listEvidence: newest first, page by page, of one workspace where it is named", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    await addPermit(db, "q");
    const all = [
      proof({ atMs: 10 }),
      proof({ workspaceKey: "research/b", instanceUid: "uid-2", atMs: 20 }),
      proof({ instanceUid: "uid-3", atMs: 30 }),
    ];
    await db.write(async (tx) => {
      for (const one of all) await saveEvidence(tx, one);
      await saveEvidence(tx, proof({ permitId: "q", atMs: 40 }));
    });
    const first = await listEvidence(db, { permitId: "p" }, { cursor: null, limit: 2 });
    assert.deepEqual(first.items, [all[2], all[1]]);
    const rest = await listEvidence(db, { permitId: "p" }, { cursor: first.next, limit: 2 });
    assert.deepEqual(rest, { items: [all[0]], next: null });
    const named = await listEvidence(db, { permitId: "p", workspaceKey: "research/a" }, {
      cursor: null,
      limit: 9,
    });
    assert.deepEqual(named.items, [all[2], all[0]]);
  });
});
