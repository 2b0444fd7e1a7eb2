/** The permit's own space: made whole, healed, destroyed for good. */
import assert from "node:assert/strict";
import { volumeName } from "../../../src/core/names.ts";
import type { DriverCase } from "../case.ts";
import { FS_GROUP, scopeName, volume } from "../fixtures.ts";
import { stable } from "../observation.ts";
import type { Trial } from "../trial.ts";

async function scopeSeen(trial: Trial): Promise<{ uid: string; version: string } | null> {
  const { scope } = await trial.observe();
  return scope.state === "absent" ? null : scope.seen;
}

/** Cases of ensure-scope and destroy-scope. */
export const SCOPE_CASES: readonly DriverCase[] = [
  {
    name: "observe of a permit that never was finds nothing",
    why: "the plan of a new permit starts from an absent scope and empty lists, not from an error",
    run: async (trial) => {
      const observed = await trial.observe();
      assert.deepEqual(stable(observed), {
        permitId: trial.permitId,
        scope: { state: "absent" },
        workspaces: [],
        volumes: [],
        tasks: [],
        objects: [],
        foreign: [],
      });
      assert.ok(Math.abs(observed.atMs - trial.backend.clock.now()) < trial.backend.limitMs, "atMs is now");
    },
  },
  {
    name: "ensure-scope makes an intact scope of the derived name",
    why: "scope-intact is what every later step stands on (DESIGN 8)",
    run: async (trial) => {
      await trial.apply({ kind: "ensure-scope", fsGroup: FS_GROUP, members: 2, seen: null });
      const { scope } = await trial.until("the scope is intact", ({ scope }) => scope.state === "intact");
      assert.ok(scope.state === "intact" && scope.seen !== null, "an intact scope has been seen");
      assert.equal(scope.name, scopeName(trial.permitId));
    },
  },
  {
    name: "ensure-scope again changes nothing",
    why: "a crash after the write repeats the step",
    run: async (trial) => {
      await trial.scope();
      await trial.repeated({
        kind: "ensure-scope",
        fsGroup: FS_GROUP,
        members: 2,
        seen: await scopeSeen(trial),
      });
    },
  },
  {
    name: "a weakened default-deny makes the scope incomplete, ensure-scope heals it",
    why: "level-based: a manual change in the cluster shows and heals (DESIGN 2)",
    run: async (trial) => {
      await trial.scope();
      await trial.backend.outside.weakenDefaultDeny(trial.permitId);
      const { scope } = await trial.until("it is incomplete", ({ scope }) => scope.state === "incomplete");
      assert.ok(scope.state === "incomplete" && scope.detail !== null, "the missing guard is named");
      await trial.scope();
    },
  },
  {
    name: "destroy-scope ends in absent and may be repeated",
    why: "deletion ends only when a read finds nothing (invariant 7)",
    run: async (trial) => {
      await trial.scope();
      await trial.apply({ kind: "destroy-scope", seen: await scopeSeen(trial) });
      await trial.until("the scope is absent", ({ scope }) => scope.state === "absent");
      await trial.repeated({ kind: "destroy-scope", seen: null });
    },
  },
  {
    name: "destroy-scope of an earlier scope does not hit its successor",
    why: "invariant 9: a late delete carries the uid that it observed",
    run: async (trial) => {
      await trial.scope();
      const late = await scopeSeen(trial);
      await trial.apply({ kind: "destroy-scope", seen: late });
      await trial.until("the scope is absent", ({ scope }) => scope.state === "absent");
      await trial.scope();
      await trial.refused({ kind: "destroy-scope", seen: late }, {
        reason: "conflict",
        disposition: "retry",
      });
      await trial.until("the successor stands", ({ scope }) => scope.state === "intact");
    },
  },
  {
    name: "a scope that cannot go is terminating, by name, and ensure-scope waits for it",
    why: "a namespace that is going takes nothing new; the wait says what holds it (DESIGN 8)",
    run: async (trial) => {
      const { outside } = trial.backend;
      await trial.scope();
      await trial.volumes(volume("raw"));
      await outside.stick(trial.permitId, { kind: "volume", key: "raw" });
      await trial.apply({ kind: "destroy-scope", seen: await scopeSeen(trial) });
      const { scope } = await trial.until(
        "it is terminating",
        (observed) => observed.scope.state === "terminating" && /finalizer/i.test(observed.scope.detail),
      );
      assert.ok(scope.state === "terminating" && scope.detail.includes(volumeName("raw")), "it is named");
      await trial.refused({ kind: "ensure-scope", fsGroup: FS_GROUP, members: 2, seen: scope.seen }, {
        reason: "terminating",
        disposition: "wait",
      });
      await outside.unstick(trial.permitId, { kind: "volume", key: "raw" });
      await trial.until("the scope is absent", (observed) => observed.scope.state === "absent");
    },
  },
];
