import assert from "node:assert/strict";
import {
  type Evidence,
  EVIDENCE_MAX_BYTES,
  latestEvidence,
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
