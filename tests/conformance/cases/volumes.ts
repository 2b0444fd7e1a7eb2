/** Volumes: made, bound, marked, kept. */
import assert from "node:assert/strict";
import { volumeName } from "../../../src/core/names.ts";
import type { DriverCase } from "../case.ts";
import { FS_GROUP, MEMBER_ID, volume } from "../fixtures.ts";
import { findVolume } from "../observation.ts";

/** Anyone may read it: what matters is that it stays. */
const OWNER = { uid: MEMBER_ID, gid: FS_GROUP, mode: 0o660 };

/** Cases of ensure-volume, retain-volume, taint-volume and rebind-volume. */
export const VOLUME_CASES: readonly DriverCase[] = [
  {
    name: "ensure-volume makes a claim that gets bound without a consumer",
    why: "volumes-usable must come true before compute is written (invariant 2: storage before compute)",
    run: async (trial) => {
      await trial.scope();
      const prepared = volume("prepared");
      await trial.apply({ kind: "ensure-volume", volume: prepared, seen: null });
      const observed = await trial.until(
        "it is bound",
        (seen) => findVolume(seen, prepared.key)?.state === "bound",
      );
      const bound = findVolume(observed, prepared.key) ?? assert.fail();
      assert.deepEqual(bound.id, prepared.id);
      assert.equal(bound.name, volumeName(prepared.key));
      assert.equal(bound.size, prepared.size);
      assert.equal(bound.tainted, false);
      assert.ok(bound.seen !== null);
    },
  },
  {
    name: "ensure-volume again changes nothing",
    why: "a crash after the write repeats the step; data must not be touched",
    needs: "files",
    run: async (trial) => {
      await trial.scope();
      const home = volume("home/j.virtanen");
      await trial.volumes(home);
      await trial.backend.outside.writeFile(trial.permitId, home.key, "notes.txt", "kept", OWNER);
      const { seen } = await trial.volume(home.key);
      await trial.repeated({ kind: "ensure-volume", volume: home, seen });
      const file = await trial.backend.outside.readFile(trial.permitId, home.key, "notes.txt");
      assert.equal(file?.text, "kept");
    },
  },
  {
    name: "owners and generations are volumes of their own",
    why: "invariant 3: fresh means a new generation, the old one stays listed",
    run: async (trial) => {
      await trial.scope();
      const keys = ["home/j.virtanen", "home/j.virtanen@2", "home/j-virtanen", "project"];
      await trial.volumes(...keys.map((key) => volume(key)));
      const { volumes } = await trial.observe();
      assert.deepEqual(volumes.map(({ key }) => key).sort(), [...keys].sort());
      assert.equal(new Set(volumes.map(({ name }) => name)).size, keys.length);
    },
  },
  {
    name: "retain-volume is read back and may be repeated",
    why: "DESIGN 8: a bound data volume's backing is set to Retain before data comes",
    run: async (trial) => {
      await trial.scope();
      await trial.volumes(volume("raw"));
      const bound = await trial.volume("raw");
      assert.equal(bound.retained, false, "what storage made does not retain by itself");
      await trial.apply({ kind: "retain-volume", volume: bound });
      await trial.until("it is retained", (seen) => findVolume(seen, "raw")?.retained === true);
      await trial.repeated({ kind: "retain-volume", volume: bound });
    },
  },
  {
    name: "taint-volume is read back, and ensure-volume never takes it off",
    why: "invariant 3: for good; the mark on the volume counts although the store may say otherwise",
    run: async (trial) => {
      await trial.scope();
      const project = volume("project");
      await trial.volumes(project);
      const { seen } = await trial.volume(project.key);
      const taint = { kind: "taint-volume", volume: { ...project, sensitive: true }, seen } as const;
      await trial.apply(taint);
      await trial.until("it is tainted", (observed) => findVolume(observed, project.key)?.tainted === true);
      await trial.repeated(taint);
      const marked = await trial.volume(project.key);
      await trial.repeated({ kind: "ensure-volume", volume: project, seen: marked.seen });
      assert.equal((await trial.volume(project.key)).tainted, true);
    },
  },
  {
    name: "a volume that is sensitive from the start is born with the mark",
    why: "invariant 3: the mark is written before the first mount",
    run: async (trial) => {
      await trial.scope();
      await trial.volumes(volume("project", { sensitive: true }));
      assert.equal((await trial.volume("project")).tainted, true);
    },
  },
  {
    name: "taint-volume of an earlier volume does not hit its successor",
    why: "invariant 9: the uid that was observed is part of the write",
    run: async (trial) => {
      await trial.scope();
      const project = volume("project");
      await trial.volumes(project);
      const seen = { uid: "00000000-0000-4000-8000-000000000000", version: "1" };
      await trial.refused(
        { kind: "taint-volume", volume: { ...project, sensitive: true }, seen },
        { reason: "conflict", disposition: "retry" },
      );
      assert.equal((await trial.volume(project.key)).tainted, false);
    },
  },
  {
    name: "a retained volume whose claim vanished is released, and rebind-volume brings its data back",
    why: "DESIGN 8: one left Released by a vanished claim is rebound",
    needs: "files",
    run: async (trial) => {
      const { outside } = trial.backend;
      await trial.scope();
      const prepared = volume("prepared", { sensitive: true });
      await trial.volumes(prepared);
      await trial.retain(prepared.key);
      await outside.writeFile(trial.permitId, prepared.key, "a/table.csv", "1,2,3", OWNER);
      await outside.deleteClaim(trial.permitId, prepared.key);
      await trial.until("it is released", (seen) => findVolume(seen, prepared.key)?.state === "released");
      const released = await trial.volume(prepared.key);
      assert.deepEqual(released.id, prepared.id, "who the data belongs to is still known");
      assert.equal(released.retained, true);
      const rebind = { kind: "rebind-volume", volume: prepared, seen: released.seen } as const;
      await trial.apply(rebind);
      await trial.until("it is bound again", (seen) => findVolume(seen, prepared.key)?.state === "bound");
      const bound = await trial.volume(prepared.key);
      assert.equal(bound.tainted, true, "the mark is written with the new claim");
      assert.equal(bound.retained, true);
      const file = await outside.readFile(trial.permitId, prepared.key, "a/table.csv");
      assert.equal(file?.text, "1,2,3");
      await trial.repeated(rebind);
    },
  },
  {
    name: "ensure-volume never makes an empty volume beside a released one",
    why: "a known volume is never replaced by an empty one (DESIGN 8, invariant 4)",
    run: async (trial) => {
      const { outside } = trial.backend;
      await trial.scope();
      const raw = volume("raw");
      await trial.volumes(raw);
      await trial.retain(raw.key);
      await outside.deleteClaim(trial.permitId, raw.key);
      await trial.until("it is released", (seen) => findVolume(seen, raw.key)?.state === "released");
      await trial.refused({ kind: "ensure-volume", volume: raw, seen: null }, { reason: "conflict" });
      assert.equal((await trial.volume(raw.key)).state, "released");
    },
  },
  {
    name: "a claim whose backing is gone is lost",
    why: "the planner stalls with volume-lost and makes nothing in its place",
    run: async (trial) => {
      await trial.scope();
      await trial.volumes(volume("prepared"));
      await trial.backend.outside.loseBacking(trial.permitId, "prepared");
      const observed = await trial.until(
        "it is lost",
        (seen) => findVolume(seen, "prepared")?.state === "lost",
      );
      assert.ok(findVolume(observed, "prepared")?.detail, "what is missing is named");
    },
  },
];
