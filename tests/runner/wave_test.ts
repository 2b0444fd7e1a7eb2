import assert from "node:assert/strict";
import type { ApplyContext, ApplyResult, Driver } from "../../src/core/driver.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Observed } from "../../src/core/observed.ts";
import type { Action, ApplyStep, Condition } from "../../src/core/step.ts";
import type { Vault } from "../../src/runner/vault.ts";
import { applyWave, type StepResult } from "../../src/runner/wave.ts";
import { UNASKED } from "../core/paper_platform.ts";
import { FakeClock } from "../fake_clock.ts";
import { proofOf } from "../isolation_evidence.ts";

const OBSERVED: Observed = {
  permitId: "p",
  scope: { state: "absent" },
  workspaces: [],
  volumes: [],
  tasks: [],
  foreign: [{ object: "Secret x", why: "it is not ours" }],
  objects: [],
  canaries: UNASKED,
  atMs: 0,
};
const never = new AbortController().signal;

function step(index: number, before: Condition[] = []): ApplyStep {
  const action: Action = { kind: "destroy-scope", seen: { uid: `${index}`, version: "1" } };
  return {
    do: "apply",
    id: `destroy-scope ${index}`,
    kind: "destroy-scope",
    target: `${index}`,
    why: "",
    wave: 1,
    before,
    after: [],
    action,
  };
}

async function run(
  steps: ApplyStep[],
  apply: (action: Action, context: ApplyContext) => Promise<ApplyResult>,
): Promise<StepResult[]> {
  const refuse = (): never => assert.fail("not asked for");
  const driver: Driver = {
    name: "paper",
    observe: refuse,
    apply,
    probe: refuse,
    watch: refuse,
    check: refuse,
    list: refuse,
    close: refuse,
  };
  const vault: Vault = { password: () => Promise.resolve("secret"), hostKey: () => Promise.resolve("key") };
  const begun = steps.map((each, index) => ({ recordId: index, step: each }));
  return await applyWave(
    { driver, clock: new FakeClock(), vault },
    { permitId: "p", priority: 10 },
    begun,
    OBSERVED,
    never,
  );
}

Deno.test("wave: a step whose condition does not hold never reaches the platform", async () => {
  const asked: string[] = [];
  const results = await run([step(1, [{ is: "nothing-foreign" }]), step(2)], (action) => {
    asked.push("seen" in action ? action.seen?.uid ?? "" : "");
    return Promise.resolve({ detail: "done" });
  });
  assert.deepEqual(asked, ["2"]);
  const [refused] = results.filter(({ fault }) => fault !== null);
  assert.deepEqual([refused?.recordId, refused?.fault?.reason, refused?.fault?.message], [
    0,
    "invariant",
    "Cannot destroy-scope 1: Secret x: it is not ours",
  ]);
});

Deno.test("wave: each call says how urgent its job is", async () => {
  const priorities: unknown[] = [];
  await run([step(1), step(2)], (_action, { priority }) => {
    priorities.push(priority);
    return Promise.resolve({ detail: "done" });
  });
  assert.deepEqual(priorities, [10, 10]);
});

Deno.test("wave: steps go side by side, up to sixteen, and each ends for itself", async () => {
  let [now, most] = [0, 0];
  const results = await run(Array.from({ length: 40 }, (_, index) => step(index)), async (action) => {
    most = Math.max(most, ++now);
    await Promise.resolve();
    now--;
    if ("seen" in action && action.seen?.uid === "7") {
      throw new Fault("retry", "conflict", "Cannot: it moved");
    }
    if ("seen" in action && action.seen?.uid === "8") throw new TypeError("a defect");
    return { detail: "done" };
  });
  assert.equal(most, 16);
  assert.equal(results.length, 40);
  assert.equal(results.filter(({ fault }) => fault === null).length, 38);
  const faults = results.flatMap(({ fault }) => fault === null ? [] : [fault]);
  assert.deepEqual(faults.map(({ disposition, reason }) => [disposition, reason]), [
    ["retry", "conflict"],
    ["retry", "internal"],
  ]);
});

Deno.test("wave: a proof that cannot be kept is none", async () => {
  const results = await run(
    [step(1)],
    () => Promise.resolve({ detail: "", evidence: proofOf(4097) }),
  );
  assert.equal(results[0]?.fault?.reason, "isolation-unproven");
  assert.equal(results[0]?.fault?.disposition, "stalled");
  const kept = await run(
    [step(1)],
    () => Promise.resolve({ detail: "", evidence: proofOf(4096) }),
  );
  assert.equal(kept[0]?.fault, null);
});
