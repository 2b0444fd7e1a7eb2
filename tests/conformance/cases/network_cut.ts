/** Networks: shut by default, cut for good. Judged by packets, not by what is written. */
import assert from "node:assert/strict";
import type { DriverCase } from "../case.ts";
import { neverSeen, workspace } from "../fixtures.ts";
import { find } from "../observation.ts";
import { packets } from "../packets.ts";

/** Cases of cut-network. */
export const CUT_CASES: readonly DriverCase[] = [
  {
    name: "cut-network shuts an open network both ways and is safe to repeat",
    why: "invariant 2: cut comes first, and a crash repeats it",
    run: async (trial) => {
      const research = workspace("research/j.virtanen", { posture: "proxied" });
      await trial.scope();
      await trial.start(research);
      await trial.open(research);
      await packets(trial, research.key, ["proxy"], ["gateway"]);
      const open = await trial.workspace(research.key);
      await trial.apply({ kind: "cut-network", workspace: open });
      assert.equal((await trial.workspace(research.key)).network.state, "shut");
      await packets(trial, research.key, [], []);
      await trial.apply({ kind: "cut-network", workspace: open });
      assert.equal((await trial.workspace(research.key)).network.state, "shut");
    },
  },
  {
    name: "cut-network works although the rules' version moved",
    why: "a cut must not fail because something else changed",
    run: async (trial) => {
      const research = workspace("research/j.virtanen", { posture: "proxied" });
      await trial.scope();
      await trial.start(research);
      await trial.open(research);
      const late = await trial.workspace(research.key);
      await trial.backend.outside.touch(trial.permitId, { kind: "network", key: research.key });
      await trial.apply({ kind: "cut-network", workspace: late });
      assert.equal((await trial.workspace(research.key)).network.state, "shut");
    },
  },
  {
    name: "cut-network of a workspace that is not there does not fail",
    why: "halt and deletion cut first, from any state",
    run: async (trial) => {
      await trial.scope();
      await trial.apply({ kind: "cut-network", workspace: neverSeen("research/j.virtanen") });
      const left = find(await trial.observe(), "research/j.virtanen");
      assert.equal(left?.network.state ?? "shut", "shut");
    },
  },
  {
    name: "cut-network without a scope does not fail and makes none",
    why: "halt and deletion cut first, from any state",
    run: async (trial) => {
      await trial.apply({ kind: "cut-network", workspace: neverSeen("research/j.virtanen") });
      assert.equal((await trial.observe()).scope.state, "absent");
    },
  },
  {
    name: "a late open cannot undo a cut of an open network",
    why: "invariant 9: a late writer cannot undo a cut",
    run: async (trial) => {
      const research = workspace("research/j.virtanen", { posture: "proxied" });
      await trial.scope();
      const { uid: instanceUid } = await trial.start(research);
      await trial.open(research);
      const { network } = await trial.workspace(research.key);
      await trial.apply({ kind: "cut-network", workspace: await trial.workspace(research.key) });
      await trial.refused({ kind: "open-network", workspace: research, instanceUid, seen: network.seen }, {
        reason: "conflict",
        disposition: "retry",
      });
      assert.equal((await trial.workspace(research.key)).network.state, "shut");
      await packets(trial, research.key, [], []);
    },
  },
  {
    name: "a late open cannot undo a cut of a network that was shut already",
    why:
      "invariant 9: a cut moves the version even where it finds nothing to shut, or halt could be overtaken",
    run: async (trial) => {
      const research = workspace("research/j.virtanen", { posture: "proxied" });
      await trial.scope();
      const { uid: instanceUid } = await trial.start(research);
      const never = await trial.workspace(research.key);
      await trial.apply({ kind: "cut-network", workspace: never });
      const refusal = { reason: "conflict", disposition: "retry" } as const;
      const open = { kind: "open-network", workspace: research, instanceUid } as const;
      await trial.refused({ ...open, seen: never.network.seen }, refusal);
      const cut = await trial.workspace(research.key);
      await trial.apply({ kind: "cut-network", workspace: cut });
      await trial.refused({ ...open, seen: cut.network.seen }, refusal);
      assert.equal((await trial.workspace(research.key)).network.state, "shut");
    },
  },
  {
    name: "a network opens again after a cut, with what was seen since",
    why: "a cut is not the end of a workspace",
    run: async (trial) => {
      const research = workspace("research/j.virtanen", { posture: "proxied" });
      await trial.scope();
      await trial.start(research);
      await trial.open(research);
      await trial.apply({ kind: "cut-network", workspace: await trial.workspace(research.key) });
      await trial.open(research);
      await packets(trial, research.key, ["proxy"], ["gateway"]);
    },
  },
];
