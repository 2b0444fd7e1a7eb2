import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { permitName, workspaceName } from "../../src/core/names.ts";
import { MEMBERS } from "../core/plan_fixture.ts";
import { PERMIT, type Stage, withStage } from "./stage.ts";

const MINE = "research/j.virtanen", OTHER = "research/l.maes";
/** Within this, whoever loses access has lost it, whatever else fails: no drift pass and no second job is needed. */
const SOON_MS = 60_000;

async function inAnalysis(stage: Stage): Promise<void> {
  await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
}

function refuse(stage: Stage, kind: string, target?: string): void {
  stage.driver.before = (asked) => {
    if (asked.kind !== kind || (target !== undefined && asked.target !== target)) return;
    throw new Fault("stalled", "denied", "admission refuses it");
  };
}

/** As somebody does who edits a backing volume. */
function unretain(stage: Stage): void {
  stage.cluster.write(null, (world) => {
    const backing = Object.values(world.state.backings)[0] ?? assert.fail("no volume");
    backing.reclaim = "Delete";
    world.moved();
  });
}

const REFUSALS: { why: string; refused: string; prepare(stage: Stage): void }[] = [
  { why: "a volume that cannot be retained", refused: "retain-volume", prepare: unretain },
  {
    why: "a guard that cannot be healed",
    refused: "ensure-scope",
    prepare: (stage) => {
      stage.operator.weakenDefaultDeny(PERMIT);
      stage.forgive();
    },
  },
];

Deno.test("taking: what is to be secured first and cannot be, keeps nobody's access", async () => {
  for (const type of ["permit.halted", "permit.workspace.stop_requested"]) {
    for (const { why, refused, prepare } of REFUSALS) {
      await withStage(async (stage) => {
        await inAnalysis(stage);
        refuse(stage, refused);
        prepare(stage);
        await stage.send(type);
        const label = `${type}, ${why}`;
        await stage.until(`all are stopped: ${label}`, () => stage.truth().pods.length === 0, SOON_MS);
        assert.ok(stage.driver.asked.some(({ kind }) => kind === refused), label);
        stage.forgive();
      }, { withoutDrift: true });
    }
  }
});

Deno.test("taking: who is dismissed loses access although a volume cannot be retained", async () => {
  await withStage(async (stage) => {
    const status = "WORKSPACE_SETUP_PENDING";
    await stage.job((await stage.status(status)).jobId, "succeeded");
    unretain(stage);
    refuse(stage, "retain-volume");
    await stage.send("permit.status.updated", { status, researchers: MEMBERS.researchers.slice(0, 1) });
    await stage.until("only one still works", () => stage.truth().pods.length === 1, SOON_MS);
    assert.deepEqual(stage.truth().pods.map(({ of }) => of), [MINE]);
  }, { withoutDrift: true });
});

Deno.test("taking: one workspace whose cut is refused is stopped, and so are the others; the refusal is told", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    refuse(stage, "cut-network", MINE);
    const { jobId } = await stage.send("permit.halted");
    await stage.until("all are stopped", () => stage.truth().pods.length === 0, SOON_MS);
    const taken = stage.driver.kinds();
    assert.ok(taken.indexOf(`cut-network ${OTHER}`) < taken.indexOf(`stop ${OTHER}`), taken.join(", "));
    assert.ok(taken.indexOf(`cut-network ${MINE}`) < taken.indexOf(`stop ${MINE}`), taken.join(", "));
    const failed = (await stage.steps(jobId)).filter(({ outcome }) => outcome === "failed");
    assert.ok(failed.some(({ kind, target }) => kind === "cut-network" && target === MINE));
    stage.driver.before = () => {};
  });
});

Deno.test("taking: nothing is given as long as a network cannot be cut, although its pod is gone", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
    stage.driver.before = ({ kind }) => {
      if (kind === "cut-network") throw new Fault("retry", "unavailable", "the webhook is down");
    };
    const before = stage.driver.asked.length;
    await stage.status("ANALYSIS_ACTIVE");
    await stage.until("all are stopped", () => stage.truth().pods.length === 0, SOON_MS);
    await stage.clock.sleep(60 * 60_000);
    const kinds = new Set(stage.driver.asked.slice(before).map(({ kind }) => kind));
    assert.deepEqual([...kinds].sort(), ["cut-network", "stop"]);
    stage.driver.before = () => {};
    await stage.until("both work with data", () => {
      const { pods } = stage.truth();
      return pods.length === 2 &&
        pods.every(({ enters, leaves }) => enters.length > 0 && leaves.length === 0);
    });
  });
});

Deno.test("taking: a workspace that a person scaled to zero with its network open does not block a halt", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    stage.cluster.write(permitName(PERMIT), (world) => {
      const compute = world.state.scopes[permitName(PERMIT)]?.computes[workspaceName(MINE)];
      assert.ok(compute !== undefined);
      compute.replicas = 0;
      world.bump(compute);
    });
    const { jobId } = await stage.send("permit.halted");
    await stage.job(jobId, "succeeded", SOON_MS);
    assert.deepEqual(stage.truth().pods, []);
  }, { withoutDrift: true });
});
