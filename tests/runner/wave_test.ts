import assert from "node:assert/strict";
import type { ApplyContext, ApplyResult, Driver } from "../../src/core/driver.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Observed } from "../../src/core/observed.ts";
import type { Action, ApplyStep, Condition } from "../../src/core/step.ts";
import type { Precedence } from "../../src/runner/precedence.ts";
import type { Vault } from "../../src/runner/vault.ts";
import { applyWave, isBrokenOff, type StepResult } from "../../src/runner/wave.ts";
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
/** Nobody goes first. */
const ALONE: Precedence = {
  heed: (work) => work(new AbortController().signal),
  orLeave: (work) => work,
  stopping: new AbortController().signal,
  isOvertaken: () => false,
  goesOn: () => Promise.resolve(true),
  close: () => {},
};

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
  precedence: Precedence = ALONE,
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
    { driver, clock: new FakeClock(), vault, precedence },
    { permitId: "p", priority: 10 },
    begun,
    OBSERVED,
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

/** Of another kind, as far as a wave heeds it. */
const as = (kind: ApplyStep["kind"], given: ApplyStep): ApplyStep => ({
  ...given,
  kind,
  id: `${kind} ${given.target}`,
});

Deno.test("wave: a step beyond the first sixteen is not begun once nobody wants the wave, unless it takes access away", async () => {
  let isWanted = true;
  const asked: string[] = [];
  const steps = Array.from(
    { length: 40 },
    (_, index) => as(index < 30 ? "open-network" : "stop", step(index)),
  );
  const results = await run(steps, (action) => {
    asked.push("seen" in action ? action.seen?.uid ?? "" : "");
    isWanted = false;
    return Promise.resolve({ detail: "done" });
  }, { ...ALONE, goesOn: () => Promise.resolve(isWanted) });
  const begun = results.filter(({ fault }) => fault === null).map(({ step: { target } }) => Number(target));
  assert.deepEqual(begun.sort((a, b) => a - b), [
    ...Array.from({ length: 16 }, (_, index) => index),
    ...Array.from({ length: 10 }, (_, index) => 30 + index),
  ]);
  assert.equal(asked.length, 26);
  const left = results.filter(isBrokenOff);
  assert.equal(left.length, 14, "each has an outcome");
  assert.match(left[0]?.fault?.message ?? "", /^Cannot finish open-network \d+: something newer goes first/);
});

Deno.test("wave: what gives is broken off for who goes first, what takes away is let finish", async () => {
  const breaking = new AbortController();
  const precedence = {
    ...ALONE,
    heed: <T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> => work(breaking.signal),
    isOvertaken: () => breaking.signal.aborted,
  };
  const results = await run(
    [as("prove-isolation", step(1)), as("cut-network", step(2)), step(3)],
    async (_action, { signal }) => {
      await Promise.resolve();
      breaking.abort();
      signal.throwIfAborted();
      return { detail: "done" };
    },
    precedence,
  );
  const ends = results.map((result) => [result.step.kind, result.fault?.reason ?? "done"]).sort();
  assert.deepEqual(ends, [["cut-network", "done"], ["destroy-scope", "done"], [
    "prove-isolation",
    "superseded",
  ]]);
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
