import assert from "node:assert/strict";
import type { Observed, ObservedWorkspace } from "../../src/core/observed.ts";
import type { Action, ApplyStep } from "../../src/core/step.ts";
import { parseVolumeKey } from "../../src/core/volume.ts";
import type { Mount } from "../../src/core/workspace.ts";
import { createGuard } from "../../src/runner/guard.ts";
import { taintVolumes } from "../../src/store/volumes.ts";
import {
  consolidation,
  mount,
  neverSeen,
  readyInstance,
  volume,
  workspace,
} from "../conformance/fixtures.ts";
import { UNASKED } from "../core/paper_platform.ts";
import { builtInPhases } from "../core/plan_fixture.ts";
import { PERMIT, type Stage, withStage } from "./stage.ts";

const phases = await builtInPhases();

const UPLOADS: Mount = {
  volume: parseVolumeKey("uploads/hospital-a"),
  volumeKey: "uploads/hospital-a",
  path: "",
  mode: "rw",
};

function observed(...workspaces: ObservedWorkspace[]): Observed {
  const nothing = { volumes: [], tasks: [], foreign: [], objects: [], canaries: UNASKED, atMs: 0 };
  return { permitId: PERMIT, scope: { state: "absent" }, workspaces, ...nothing };
}

/** A workspace that runs and whose network is open for its pod. */
function open(key: string, mounts: Mount[]): ObservedWorkspace {
  const pod = readyInstance({ uid: `uid-${key}`, mounts });
  return {
    ...neverSeen(key),
    network: { state: "open", posture: "inbound-allowlist", hash: "", openedFor: pod.uid, seen: null },
    instances: [pod],
  };
}

function step(action: Action): ApplyStep {
  const { kind } = action;
  return { do: "apply", id: `${kind} x`, kind, target: "x", why: "", wave: 1, before: [], after: [], action };
}

function start(key: string, mounts: Mount[]): Action {
  return { kind: "start", workspace: workspace(key, { mounts }), seen: null };
}

const CONSOLIDATE: Action = { kind: "consolidate", consolidation: consolidation("hospital-a"), task: null };
const AIRLOCK = open("airlock/hospital-a", [UPLOADS]);

const CASES: { why: string; around: ObservedWorkspace[]; actions: Action[]; refused: RegExp | null }[] = [
  {
    why: "a consolidation beside whoever may still send what it reads",
    around: [AIRLOCK],
    actions: [CONSOLIDATE],
    refused: /^Cannot go on: pod .*hospital-a .*shares uploads\/hospital-a with .*\(invariant 2\)$/,
  },
  {
    why: "a consolidation after its airlock has gone",
    around: [],
    actions: [CONSOLIDATE],
    refused: null,
  },
  {
    why: "a consolidation that comes after the stop of its airlock",
    around: [AIRLOCK],
    actions: [{ kind: "stop", workspace: AIRLOCK }, CONSOLIDATE],
    refused: null,
  },
  {
    why: "a start beside data with the network of another open",
    around: [AIRLOCK],
    actions: [start("preprocessing/m", [UPLOADS, mount("raw", "ro")])],
    refused: /\(invariant 2\)/,
  },
  {
    why: "what mounts nothing and opens nothing",
    around: [AIRLOCK],
    actions: [{ kind: "ensure-volume", volume: volume("raw", { sensitive: true }), seen: null }],
    refused: null,
  },
];

async function refusal(stage: Stage, around: ObservedWorkspace[], actions: Action[]): Promise<string | null> {
  const guard = createGuard({ db: stage.db, phases });
  return (await guard(observed(...around), actions.map(step)))?.message ?? null;
}

for (const { why, around, actions, refused } of CASES) {
  Deno.test(`createGuard: ${refused === null ? "lets through" : "refuses"} ${why}`, async () => {
    await withStage(async (stage) => {
      const found = await refusal(stage, around, actions);
      if (refused === null) assert.equal(found, null);
      else assert.match(found ?? "it went through", refused);
    }, { withoutDrift: true });
  });
}

Deno.test("createGuard: judges by the marks on record, whatever the observation says", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
    const project = mount("project", "rw");
    const around = [open("research/l.maes", [project])];
    const actions = [start("setup-review/a", [project])];
    assert.equal(await refusal(stage, around, actions), null);
    await stage.db.write((tx) => taintVolumes(tx, PERMIT, [project.volumeKey], stage.clock.now()));
    assert.match(await refusal(stage, around, actions) ?? "it went through", /\(invariant 2\)/);
  }, { withoutDrift: true });
});
