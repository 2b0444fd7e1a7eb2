/** Invariant 8: what does not carry our mark for this permit is named, and never touched. */
import assert from "node:assert/strict";
import { volumeName, workspaceName } from "../../../src/core/names.ts";
import type { ForeignSpec } from "../backend.ts";
import type { DriverCase } from "../case.ts";
import { FS_GROUP, neverSeen, scopeName, volume, workspace } from "../fixtures.ts";
import { find, findVolume } from "../observation.ts";
import type { Trial } from "../trial.ts";

const STALLED = { reason: "foreign-object", disposition: "stalled" } as const;

/** Adds it and waits until the driver names it. */
async function intrude(trial: Trial, object: ForeignSpec, name: string): Promise<void> {
  await trial.backend.outside.addForeign(trial.permitId, object);
  await trial.until(
    `${name} is listed as foreign`,
    ({ foreign }) => foreign.some((entry) => entry.object.includes(name) && entry.why.length > 0),
  );
}

async function assertIntact(trial: Trial, object: ForeignSpec): Promise<void> {
  assert.equal(
    await trial.backend.outside.foreignIntact(trial.permitId, object),
    true,
    "the foreign object changed",
  );
}

/** Cases of objects without our mark. */
export const FOREIGN_CASES: readonly DriverCase[] = [
  {
    name: "a scope of our name that is not ours is named and not touched",
    why: "invariant 8; the planner turns it into an obstacle",
    run: async (trial) => {
      const object = { kind: "scope" } as const;
      await intrude(trial, object, scopeName(trial.permitId));
      const { scope } = await trial.observe();
      assert.equal(scope.state, "absent", "it is not this permit's scope");
      const fault = await trial.refused(
        { kind: "ensure-scope", fsGroup: FS_GROUP, members: 2, seen: null },
        STALLED,
      );
      assert.ok(fault.advice !== null, "it says what to do");
      await trial.apply({ kind: "cut-network", workspace: neverSeen("research/j.virtanen") });
      await trial.apply({ kind: "stop", workspace: neverSeen("research/j.virtanen") });
      await assertIntact(trial, object);
    },
  },
  {
    name: "compute of our name that is not ours is named and not touched",
    why: "invariant 8: neither started, stopped nor removed",
    run: async (trial) => {
      const research = workspace("research/j.virtanen");
      const object = { kind: "workspace", key: research.key } as const;
      await trial.scope();
      await intrude(trial, object, workspaceName(research.key));
      const observed = await trial.observe();
      assert.equal(find(observed, research.key)?.compute ?? null, null, "it is not this workspace's compute");
      await trial.refused({ kind: "start", workspace: research, seen: null }, STALLED);
      await trial.apply({ kind: "stop", workspace: neverSeen(research.key) });
      await trial.apply({ kind: "remove-workspace", workspace: neverSeen(research.key) });
      await assertIntact(trial, object);
    },
  },
  {
    name: "a claim of our name that is not ours is named and not touched",
    why: "invariant 8: neither taken for the volume nor destroyed",
    run: async (trial) => {
      const project = volume("project");
      const object = { kind: "volume", key: project.key } as const;
      await trial.scope();
      await intrude(trial, object, volumeName(project.key));
      assert.equal(findVolume(await trial.observe(), project.key), undefined, "it is not this volume");
      await trial.refused({ kind: "ensure-volume", volume: project, seen: null }, STALLED);
      await trial.refused({ kind: "taint-volume", volume: project, seen: null }, STALLED);
      await assertIntact(trial, object);
    },
  },
  {
    name: "destroy-scope is refused while somebody else's claim lies in it",
    why: "a namespace that goes takes everything along (invariant 8)",
    run: async (trial) => {
      const object = { kind: "claim", name: "operators-scratch" } as const;
      await trial.scope();
      await intrude(trial, object, object.name);
      const { scope } = await trial.observe();
      const seen = scope.state === "absent" ? null : scope.seen;
      const fault = await trial.refused({ kind: "destroy-scope", seen }, STALLED);
      assert.ok(fault.message.includes(object.name), `it is named: ${fault.message}`);
      await assertIntact(trial, object);
      await trial.backend.outside.removeForeign(trial.permitId, object);
      await trial.until("nothing foreign is left", ({ foreign }) => foreign.length === 0);
      const after = await trial.observe();
      await trial.apply({
        kind: "destroy-scope",
        seen: after.scope.state === "absent" ? null : after.scope.seen,
      });
      await trial.until("the scope is gone", (observed) => observed.scope.state === "absent");
    },
  },
];
