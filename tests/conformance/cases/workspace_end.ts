/** Workspaces: stop, replacement, removal. */
import assert from "node:assert/strict";
import { identityHash, specHash } from "../../../src/core/workspace.ts";
import type { DriverCase } from "../case.ts";
import { mount, neverSeen, volume, workspace } from "../fixtures.ts";
import { find } from "../observation.ts";

/** Cases of stop, replace-instance and remove-workspace. */
export const WORKSPACE_END_CASES: readonly DriverCase[] = [
  {
    name: "stop ends the instance and keeps identity and storage",
    why: "DESIGN 4: stopped means compute gone, identity and storage kept",
    needs: "files",
    run: async (trial) => {
      await trial.scope();
      await trial.volumes(volume("home/j.virtanen"));
      const research = workspace("research/j.virtanen", { mounts: [mount("home/j.virtanen", "rw")] });
      await trial.start(research);
      assert.equal(
        await trial.backend.outside.tryWrite(trial.permitId, research.key, "/data/home/kept"),
        true,
      );
      const running = await trial.workspace(research.key);
      const stopped = await trial.stop(research.key);
      assert.equal(stopped.power, "stopped");
      assert.equal(stopped.specHash, specHash(research));
      assert.equal(stopped.identityHash, identityHash(research));
      assert.equal((await trial.volume("home/j.virtanen")).state, "bound");
      await trial.repeated({ kind: "stop", workspace: running });
      await trial.start(research);
      assert.deepEqual(await trial.backend.outside.listFiles(trial.permitId, "home/j.virtanen"), ["kept"]);
    },
  },
  {
    name: "stop works although the object's version moved",
    why: "taking away must not fail because something else changed",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen");
      await trial.start(research);
      const late = await trial.workspace(research.key);
      await trial.backend.outside.touch(trial.permitId, { kind: "compute", key: research.key });
      await trial.apply({ kind: "stop", workspace: late });
      await trial.until("nothing runs", (seen) => find(seen, research.key)?.instances.length === 0);
    },
  },
  {
    name: "a late start cannot undo a stop of what was stopped already",
    why: "invariant 9: a stop moves the version also where it finds power off, or a halt could be overtaken",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen");
      await trial.start(research);
      await trial.stop(research.key);
      await trial.settled();
      const late = await trial.workspace(research.key);
      await trial.apply({ kind: "stop", workspace: late });
      await trial.refused({ kind: "start", workspace: research, seen: late.compute }, {
        reason: "conflict",
        disposition: "retry",
      });
      assert.equal((await trial.workspace(research.key)).power, "stopped");
    },
  },
  {
    name: "stop of a workspace that is not there makes nothing",
    why: "a deletion that runs twice must not bring objects back",
    run: async (trial) => {
      await trial.scope();
      await trial.repeated({ kind: "stop", workspace: neverSeen("research/j.virtanen") });
      assert.equal((await trial.observe()).workspaces.length, 0);
    },
  },
  {
    name: "an instance that does not go stays terminating and is never forced",
    why: "invariant 2: pods are never force-deleted; a pod that stays counts as running",
    run: async (trial) => {
      const { outside } = trial.backend;
      await trial.scope();
      const research = workspace("research/j.virtanen");
      const instance = await trial.start(research);
      await outside.stick(trial.permitId, { kind: "pod", name: instance.name });
      const running = await trial.workspace(research.key);
      await trial.apply({ kind: "stop", workspace: running });
      await trial.until("it terminates", (seen) => {
        const [left] = find(seen, research.key)?.instances ?? [];
        return left?.uid === instance.uid && left.state === "terminating";
      });
      await trial.repeated({ kind: "stop", workspace: running });
      const twin = workspace("research/twin");
      await trial.start(twin);
      await trial.stop(twin.key);
      const left = await trial.workspace(research.key);
      assert.deepEqual(left.instances.map(({ uid, state }) => [uid, state]), [[instance.uid, "terminating"]]);
      const refusal = await trial.refused({ kind: "remove-workspace", workspace: left }, {
        reason: "terminating",
        disposition: "wait",
      });
      assert.ok(refusal.message.includes(instance.name), `the pod is named: ${refusal.message}`);
      await outside.unstick(trial.permitId, { kind: "pod", name: instance.name });
      await trial.until("it is gone", (seen) => find(seen, research.key)?.instances.length === 0);
    },
  },
  {
    name: "an instance on a node that does not answer is unreachable, stays, and comes back",
    why: "invariant 2: a pod on an unreachable node counts as running",
    needs: "loseNode",
    run: async (trial) => {
      const { outside } = trial.backend;
      await trial.scope();
      const research = workspace("research/j.virtanen");
      const instance = await trial.start(research);
      await outside.loseNode?.(trial.permitId, instance.name);
      await trial.until("it is unreachable", (seen) => {
        const [left] = find(seen, research.key)?.instances ?? [];
        return left?.uid === instance.uid && left.state === "unreachable" && !left.ready;
      });
      await trial.apply({ kind: "stop", workspace: await trial.workspace(research.key) });
      const { instances } = await trial.workspace(research.key);
      assert.deepEqual(instances.map(({ uid, state }) => [uid, state]), [[instance.uid, "unreachable"]]);
      await outside.restoreNode?.(trial.permitId, instance.name);
      await trial.until("it is gone", (seen) => find(seen, research.key)?.instances.length === 0);
    },
  },
  {
    name: "a never-ready instance of an old template stays until replace-instance removes it",
    why: "DESIGN 8: a never-ready pod pinned to an old template is removed by WPS",
    run: async (trial) => {
      await trial.scope();
      await trial.volumes(volume("project"));
      const old = workspace("research/j.virtanen", { mounts: [mount("home/j.virtanen", "rw")] });
      await trial.write(old);
      await trial.until("it waits", (seen) => find(seen, old.key)?.instances.length === 1);
      const renewed = workspace("research/j.virtanen", { mounts: [mount("project", "rw")] });
      await trial.write(renewed);
      const seen = await trial.workspace(old.key);
      assert.equal(seen.specHash, specHash(renewed));
      const [pinned] = seen.instances;
      assert.equal(pinned?.specHash, specHash(old), "the instance tells its own spec, not the template's");
      await trial.refused({ kind: "replace-instance", workspace: seen, instanceUid: crypto.randomUUID() }, {
        reason: "conflict",
        disposition: "retry",
      });
      assert.equal((await trial.workspace(old.key)).instances[0]?.uid, pinned?.uid);
      await trial.apply({ kind: "replace-instance", workspace: seen, instanceUid: pinned?.uid ?? "" });
      const instance = await trial.ready(old.key);
      assert.notEqual(instance.uid, pinned?.uid);
      assert.equal(instance.specHash, specHash(renewed));
    },
  },
  {
    name: "remove-workspace is refused while an instance stands",
    why: "invariant 2: what runs is stopped and gone before anything of it is taken away",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen");
      const instance = await trial.start(research);
      const running = await trial.workspace(research.key);
      await trial.refused({ kind: "remove-workspace", workspace: running }, { reason: "terminating" });
      assert.deepEqual((await trial.workspace(research.key)).instances.map(({ uid }) => uid), [instance.uid]);
    },
  },
  {
    name: "remove-workspace leaves nothing of it, and the volumes",
    why: "what a phase does not name is absent; volumes are never deleted by omission",
    run: async (trial) => {
      await trial.scope();
      await trial.volumes(volume("project"));
      const research = workspace("research/j.virtanen", { mounts: [mount("project", "rw")] });
      await trial.start(research);
      await trial.open(research);
      const stopped = await trial.stop(research.key);
      await trial.remove(research.key);
      assert.equal((await trial.volume("project")).state, "bound");
      await trial.repeated({ kind: "remove-workspace", workspace: stopped });
    },
  },
  {
    name: "remove-workspace leaves what is not its own",
    why: "one researcher's end is nobody else's",
    run: async (trial) => {
      await trial.scope();
      const one = workspace("research/j.virtanen");
      const other = workspace("research/l.moreau");
      await trial.start(one);
      const kept = await trial.start(other);
      await trial.stop(one.key);
      await trial.remove(one.key);
      assert.equal((await trial.ready(other.key)).uid, kept.uid);
    },
  },
  {
    name: "remove-workspace with what was seen before somebody's write is refused",
    why: "invariant 9: a write that deletes carries the version that this attempt observed",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen");
      await trial.start(research);
      const late = await trial.stop(research.key);
      await trial.start(research);
      await trial.stop(research.key);
      await trial.refused({ kind: "remove-workspace", workspace: late }, {
        reason: "conflict",
        disposition: "retry",
      });
      assert.equal((await trial.workspace(research.key)).power, "stopped");
    },
  },
  {
    name: "remove-workspace that saw no compute leaves one that has come since",
    why: "invariant 9: an absent object is an observation too, and a late remove must not hit its successor",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen");
      await trial.apply({ kind: "ensure-identity", workspace: research, rotate: true });
      const late = await trial.workspace(research.key);
      await trial.start(research);
      await trial.stop(research.key);
      await trial.refused({ kind: "remove-workspace", workspace: late }, {
        reason: "conflict",
        disposition: "retry",
      });
      assert.equal((await trial.workspace(research.key)).power, "stopped");
    },
  },
  {
    name: "leftovers of a workspace without compute are listed and removed",
    why: "plans start from any partially built state (identity written, compute not)",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen");
      await trial.apply({ kind: "ensure-identity", workspace: research, rotate: true });
      const leftover = await trial.workspace(research.key);
      assert.equal(leftover.compute, null);
      await trial.remove(research.key);
    },
  },
];
