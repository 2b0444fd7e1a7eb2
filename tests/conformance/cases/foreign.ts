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

/** What would go along with the permit's space. */
const DOOMED: { what: string; object: ForeignSpec; name: string }[] = [
  { what: "claim", object: { kind: "claim", name: "operators-scratch" }, name: "operators-scratch" },
  {
    what: "compute of a name that WPS derives",
    object: { kind: "workspace", key: "research/j.virtanen" },
    name: workspaceName("research/j.virtanen"),
  },
  { what: "settings", object: { kind: "settings", name: "operators-notes" }, name: "operators-notes" },
];

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
  ...DOOMED.map(({ what, object, name }): DriverCase => ({
    name: `destroy-scope is refused while somebody else's ${what} lies in it`,
    why: "a namespace that goes takes everything along (invariant 8)",
    run: async (trial) => {
      await trial.scope();
      await trial.backend.outside.addForeign(trial.permitId, object);
      const { scope } = await trial.observe();
      const seen = scope.state === "absent" ? null : scope.seen;
      const fault = await trial.refused({ kind: "destroy-scope", seen }, STALLED);
      assert.ok(fault.message.includes(name), `it is named: ${fault.message}`);
      assert.ok(fault.advice?.includes(name), `and what to do about it: ${fault.advice}`);
      await assertIntact(trial, object);
      await trial.backend.outside.removeForeign(trial.permitId, object);
      await trial.until("nothing foreign is left", ({ foreign }) => foreign.length === 0);
      await trial.applyFresh(({ scope }) => ({
        kind: "destroy-scope",
        seen: scope.state === "absent" ? null : scope.seen,
      }));
      await trial.until("the scope is gone", (observed) => observed.scope.state === "absent");
    },
  })),
];
