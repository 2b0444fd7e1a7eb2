import assert from "node:assert/strict";
import { PERMIT, withStage } from "./stage.ts";

Deno.test("runner: a permit's whole life ends with nothing left, and no invariant broken", async () => {
  await withStage(async (stage) => {
    const { status, send, job, truth, inside } = stage;
    await job((await status("AWAITING_INGRESS")).jobId, "succeeded");
    await job((await send("permit.ingress.initiated")).jobId, "succeeded");
    for (const holder of ["hospital-a", "hospital-b"]) {
      assert.ok(inside.writeInside(PERMIT, `airlock/${holder}`, `/uploads/${holder}/rows.csv`, holder));
    }
    for (
      const word of [
        "DATA_PREPARATION_PENDING",
        "DATA_PREPARATION_REVIEW_PENDING",
        "DATA_PREPARATION_REWORK",
        "WORKSPACE_SETUP_PENDING",
        "WORKSPACE_SETUP_REVIEW_PENDING",
        "ANALYSIS_ACTIVE",
        "ARCHIVED",
      ]
    ) {
      const { jobId } = await status(word);
      const done = await job(jobId, "succeeded");
      assert.equal(done.stepsDone, done.stepsTotal, word);
    }
    const { jobId } = await send("permit.deleted");
    await job(jobId, "succeeded");
    assert.deepEqual([truth().scope, truth().volumes, truth().pods], ["absent", [], []]);
    assert.equal((await stage.snapshot()).status, "DESTROYED");
  });
});
