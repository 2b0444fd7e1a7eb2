/** The end of a volume: only when claim and backing are gone, and only the one that was meant. */
import assert from "node:assert/strict";
import { volumeName } from "../../../src/core/names.ts";
import type { DriverCase } from "../case.ts";
import { FS_GROUP, MEMBER_ID, mount, volume, workspace } from "../fixtures.ts";
import { findVolume } from "../observation.ts";
import type { Trial } from "../trial.ts";

const OWNER = { uid: MEMBER_ID, gid: FS_GROUP, mode: 0o660 };

/** A bound, retained volume with one file. */
async function filled(trial: Trial, key: string): Promise<void> {
  await trial.volumes(volume(key));
  await trial.retain(key);
  await trial.backend.outside.writeFile(trial.permitId, key, "file.txt", "data", OWNER);
}

function isAbsent(key: string): (observed: Parameters<typeof findVolume>[0]) => boolean {
  return (observed) => findVolume(observed, key) === undefined;
}

/** Cases of destroy-volume. */
export const VOLUME_END_CASES: readonly DriverCase[] = [
  {
    name: "destroy-volume of a retained volume ends claim, backing and data",
    why: "invariant 4 and DESIGN 8: gone means that both are absent",
    needs: "files",
    run: async (trial) => {
      await trial.scope();
      await filled(trial, "uploads/hospital-a");
      const bound = await trial.volume("uploads/hospital-a");
      await trial.destroy(bound.key);
      await trial.until("it is gone", isAbsent(bound.key));
      assert.equal(await trial.backend.outside.listFiles(trial.permitId, bound.key), null);
      await trial.repeated({ kind: "destroy-volume", volume: bound });
    },
  },
  {
    name: "destroy-volume leaves the other volumes alone",
    why: "invariant 4: the uploads alone go earlier",
    needs: "files",
    run: async (trial) => {
      await trial.scope();
      await filled(trial, "uploads/hospital-a");
      await filled(trial, "uploads/hospital-b");
      await trial.destroy("uploads/hospital-a");
      await trial.until("a is gone", isAbsent("uploads/hospital-a"));
      assert.equal((await trial.volume("uploads/hospital-b")).state, "bound");
      assert.deepEqual(await trial.backend.outside.listFiles(trial.permitId, "uploads/hospital-b"), [
        "file.txt",
      ]);
    },
  },
  {
    name: "destroy-volume of a released volume ends its data",
    why: "deletion works from any state (invariant 7)",
    needs: "files",
    run: async (trial) => {
      await trial.scope();
      await filled(trial, "raw");
      await trial.backend.outside.deleteClaim(trial.permitId, "raw");
      await trial.until("it is released", (seen) => findVolume(seen, "raw")?.state === "released");
      await trial.destroy("raw");
      await trial.until("it is gone", isAbsent("raw"));
    },
  },
  {
    name: "destroy-volume of an earlier volume does not hit its successor",
    why: "invariant 9: a late delete carries what it observed",
    needs: "files",
    run: async (trial) => {
      await trial.scope();
      await filled(trial, "uploads/hospital-a");
      const late = await trial.volume("uploads/hospital-a");
      await trial.destroy(late.key);
      await trial.until("it is gone", isAbsent(late.key));
      await filled(trial, late.key);
      await trial.refused({ kind: "destroy-volume", volume: late }, {
        reason: "conflict",
        disposition: "retry",
      });
      assert.deepEqual(await trial.backend.outside.listFiles(trial.permitId, late.key), ["file.txt"]);
      assert.equal((await trial.volume(late.key)).state, "bound");
    },
  },
  {
    name: "a volume in use stays, terminating, until its last pod is gone",
    why: "the wait names who holds it; nothing is forced (DESIGN 8)",
    run: async (trial) => {
      await trial.scope();
      await trial.volumes(volume("project"));
      const research = workspace("research/j.virtanen", { mounts: [mount("project", "rw")] });
      const instance = await trial.start(research);
      await trial.destroy("project");
      const observed = await trial.until(
        "it is terminating",
        (seen) => findVolume(seen, "project")?.state === "terminating",
      );
      const { detail } = findVolume(observed, "project") ?? assert.fail();
      assert.ok(detail?.includes(instance.name), `the pod is named: ${detail}`);
      assert.equal((await trial.workspace(research.key)).instances[0]?.uid, instance.uid);
      await trial.stop(research.key);
      await trial.until("it is gone", isAbsent("project"));
    },
  },
  {
    name: "a claim with a stuck finalizer is named",
    why: "a stuck object becomes a named wait that says which",
    run: async (trial) => {
      const { outside } = trial.backend;
      await trial.scope();
      await trial.volumes(volume("raw"));
      await outside.stick(trial.permitId, { kind: "volume", key: "raw" });
      await trial.destroy("raw");
      const observed = await trial.until(
        "it is terminating",
        (seen) => findVolume(seen, "raw")?.state === "terminating",
      );
      const { detail } = findVolume(observed, "raw") ?? assert.fail();
      assert.ok(detail?.includes(volumeName("raw")) && /finalizer/i.test(detail), `it is named: ${detail}`);
      await outside.unstick(trial.permitId, { kind: "volume", key: "raw" });
      await trial.until("it is gone", isAbsent("raw"));
    },
  },
  {
    name: "a backing that stays keeps the volume terminating, by name",
    why: "DESIGN 8: a PV that stays stalls the job by name",
    run: async (trial) => {
      const { outside } = trial.backend;
      await trial.scope();
      await trial.volumes(volume("raw"));
      await outside.stick(trial.permitId, { kind: "backing", key: "raw" });
      await trial.destroy("raw");
      const observed = await trial.until("only the backing is left", (seen) => {
        const left = findVolume(seen, "raw");
        return left?.state === "terminating" && /finalizer/i.test(left.detail ?? "");
      });
      assert.ok(findVolume(observed, "raw")?.detail, "it is named");
      await outside.unstick(trial.permitId, { kind: "backing", key: "raw" });
      await trial.until("it is gone", isAbsent("raw"));
    },
  },
  {
    name: "destroy-scope leaves a retained volume's data released, never destroyed",
    why: "invariant 4: volumes go by their own step; a namespace that goes must not take data along",
    needs: "files",
    run: async (trial) => {
      await trial.scope();
      await filled(trial, "prepared");
      const { scope } = await trial.observe();
      await trial.apply({ kind: "destroy-scope", seen: scope.state === "absent" ? null : scope.seen });
      await trial.until("the scope is absent", (seen) => seen.scope.state === "absent");
      await trial.until("the data is released", (seen) => findVolume(seen, "prepared")?.state === "released");
      assert.deepEqual(await trial.backend.outside.listFiles(trial.permitId, "prepared"), ["file.txt"]);
      await trial.destroy("prepared");
      await trial.until("it is gone", isAbsent("prepared"));
    },
  },
];
