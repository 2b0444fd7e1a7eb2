import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { PERMIT, withStage } from "./stage.ts";

Deno.test("a job's log: each step with job, permit, step and target, its failure at warn, what it waits for", async () => {
  await withStage(async (stage) => {
    let refusals = 1;
    stage.driver.before = ({ kind }) => {
      if (kind !== "start" || refusals-- <= 0) return;
      throw new Fault("retry", "unavailable", "Cannot reach the API server", { advice: "Look at it" });
    };
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.job(jobId, "succeeded");
    const lines = stage.log.filter((line) => line.includes(" step=") && line.includes(`job=${jobId} `));
    const told = (level: string, message: string, step: string): string[] =>
      lines.filter((line) =>
        line.includes(`${level.padEnd(5)} ${message} `) && line.includes(` step=${step} `)
      );
    const [failed, ...others] = told("WARN", "step failed", "start");
    assert.deepEqual(others, []);
    for (
      const part of [`permit=${PERMIT}`, "target=research/", "reason=unavailable", "advice=", "attempt=1"]
    ) {
      assert.ok(failed?.includes(part), `${part}: ${failed}`);
    }
    assert.ok(told("DEBUG", "step begins", "start").length > told("INFO", "step done", "start").length);
    const steps = await stage.steps(jobId);
    for (const { kind, target, outcome } of steps) {
      const message = outcome === "done" ? ["INFO", "step done"] as const : null;
      if (message === null) continue;
      assert.ok(
        told(message[0], message[1], kind).some((line) => line.includes(`target=${target}`)),
        `${kind} ${target} ${outcome}`,
      );
    }
    const waits = told("INFO", "waits", "await-ready");
    assert.ok(waits.length > 0 && waits.every((line) => line.includes("waitingFor=")), "what, by name");
    assert.equal(told("DEBUG", "wait is over", "await-ready").length, waits.length);
  });
});
