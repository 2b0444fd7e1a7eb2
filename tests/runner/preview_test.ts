/** `wps plan` tells beforehand what the runner then does. */
import assert from "node:assert/strict";
import type { SupposedEvent } from "../../src/api/deps.ts";
import { makePlanFor } from "../../src/app/plan.ts";
import { EVENT_TYPES } from "../../src/core/event.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Plan } from "../../src/core/step.ts";
import { builtInPhases, SITE } from "../core/plan_fixture.ts";
import { PERMIT, type Stage, WAITS, withStage } from "./stage.ts";

const phases = await builtInPhases();
const SITE_WITH_WAITS = { ...SITE, waits: WAITS };
const NEVER = new AbortController().signal;

async function preview({ db, driver, clock }: Stage, supposed: SupposedEvent | null): Promise<Plan> {
  const makePlan = makePlanFor({ db, driver, phases, site: SITE_WITH_WAITS, clock });
  return (await makePlan(PERMIT, supposed, NEVER)).plan;
}

/** What acts, by id: waits are told in a plan, and recorded, under names of their own. */
function acts(steps: readonly { kind: string; target: string }[]): string[] {
  const ids = steps.filter(({ kind }) => !kind.startsWith("await-")).map(({ kind, target }) =>
    `${kind} ${target}`
  );
  return [...new Set(ids)].sort();
}

/** Every type that the intake accepts, among statuses that make it matter. */
const LIFE: SupposedEvent[] = [
  { type: "permit.ingress.initiated", status: null },
  ...["DATA_PREPARATION_PENDING", "WORKSPACE_SETUP_PENDING", "ANALYSIS_ACTIVE"].map((status) => ({
    type: "permit.status.updated",
    status,
  })),
  { type: "permit.workspace.stop_requested", status: null },
  { type: "permit.workspace.start_requested", status: null },
  { type: "permit.halted", status: null },
  { type: "permit.halted", status: null },
  { type: "permit.resumed", status: null },
  { type: "permit.ingress.initiated", status: "AWAITING_INGRESS" },
  { type: "permit.deleted", status: null },
];

Deno.test("preview: of every event that the intake accepts, it is what the runner then does", async () => {
  const untried = EVENT_TYPES.filter((type) => !LIFE.some((event) => event.type === type));
  assert.deepEqual(untried, []);
  await withStage(async (stage) => {
    await stage.job((await stage.status("AWAITING_INGRESS")).jobId, "succeeded");
    for (const supposed of LIFE) {
      const { type, status } = supposed;
      const foreseen = await preview(stage, supposed);
      const { jobId } = await stage.send(type, status === null ? {} : { status });
      await stage.job(jobId, "succeeded");
      const label = `${type} ${status ?? ""}`;
      assert.deepEqual(acts(await stage.steps(jobId)), acts(foreseen.steps), label);
      assert.deepEqual((await preview(stage, null)).steps, [], `${label}: then nothing is left to do`);
      if (type === "permit.ingress.initiated") {
        const path = "/uploads/hospital-a/rows.csv";
        assert.ok(stage.inside.writeInside(PERMIT, "airlock/hospital-a", path, "1"));
      }
    }
  }, { withoutDrift: true });
});

Deno.test("preview: of a job that waits for its turn, it is the plan with which that job begins", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    // Halted and cut: only a job of the kind `halt` cuts and stops once more.
    await stage.job((await stage.send("permit.halted")).jobId, "succeeded");
    let foreseen: Plan | null = null;
    let jobId = 0;
    await stage.halted(async () => {
      jobId = (await stage.send("permit.halted")).jobId;
      foreseen = await preview(stage, null);
    });
    await stage.job(jobId, "succeeded");
    assert.ok(foreseen !== null);
    const done = acts(await stage.steps(jobId));
    assert.deepEqual(done, acts((foreseen as Plan).steps)); // as: assigned in the callback
    assert.ok(done.length > 0);
  }, { withoutDrift: true });
});

Deno.test("preview: an event that would not count is refused, and says why", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    const refusal = (supposed: SupposedEvent): Promise<string> =>
      preview(stage, supposed).then(
        () => "planned",
        (thrown) => thrown instanceof Fault ? `${thrown.reason}: ${thrown.message}` : String(thrown),
      );
    assert.equal(
      await refusal({ type: "permit.analysis.approved", status: null }),
      "invalid: Cannot plan for permit.analysis.approved: it is not an event that WPS acts on",
    );
    assert.match(
      await refusal({ type: "permit.status.updated", status: "NONSENSE" }),
      /^invalid: .*rejected: no phase/,
    );
    await stage.job((await stage.send("permit.deleted")).jobId, "succeeded");
    assert.equal(
      await refusal({ type: "permit.workspace.start_requested", status: null }),
      "conflict: Cannot plan for permit.workspace.start_requested: it would be stale: The permit was deleted; nothing changes it any more",
    );
  });
});
