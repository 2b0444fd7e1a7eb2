/** What concerns permits as a whole: separation, odd ids, list, watch, check, cancellation. */
import assert from "node:assert/strict";
import { Fault } from "../../../src/core/fault.ts";
import type { DriverCase } from "../case.ts";
import { FS_GROUP, mount, volume, workspace } from "../fixtures.ts";
import { find, findVolume, stable } from "../observation.ts";
import { Trial } from "../trial.ts";

/** Another permit on the same platform. */
function beside(trial: Trial, label: string): Trial {
  return new Trial(trial.backend, trial.backend.permitId(label));
}

const ODD_IDS: { label: string; why: string }[] = [
  { label: "Zürich/2026 №7 – „Ö“ 患者", why: "permit ids are arbitrary text (DESIGN 3)" },
  { label: "../../etc/passwd", why: "path tricks" },
  { label: "a".repeat(300), why: "longer than any name or label may be" },
  { label: "UPPER lower", why: "case and blanks" },
  { label: "quote\"'`$(id)\\n{{x}}", why: "shell, JSON and template syntax" },
];

const ODD_CASES: readonly DriverCase[] = ODD_IDS.map(({ label, why }) => ({
  name: `a permit id may be ${label.length > 40 ? `${label.length} characters long` : JSON.stringify(label)}`,
  why,
  run: async (given) => {
    const trial = beside(given, label);
    await trial.scope();
    await trial.volumes(volume("project"));
    const research = workspace("research/j.virtanen", { mounts: [mount("project", "rw")] });
    await trial.start(research);
    assert.equal((await trial.observe()).permitId, trial.permitId);
    assert.ok((await trial.backend.driver.list(new AbortController().signal)).includes(trial.permitId));
  },
}));

/** Cases of observe, list, watch and check. */
export const PERMIT_CASES: readonly DriverCase[] = [
  {
    name: "two permits do not see each other",
    why: "permits proceed in parallel; names and marks keep them apart",
    needs: "files",
    run: async (trial) => {
      const other = beside(trial, "another permit");
      const research = workspace("research/j.virtanen", { mounts: [mount("project", "rw")] });
      for (const each of [trial, other]) {
        await each.scope();
        await each.volumes(volume("project"));
        await each.start(research);
      }
      const { outside } = trial.backend;
      assert.equal(await outside.tryWrite(trial.permitId, research.key, "/data/project/mine"), true);
      assert.deepEqual(await outside.listFiles(other.permitId, "project"), []);
      const before = await other.settled();
      await trial.stop(research.key);
      await trial.remove(research.key);
      await trial.destroy("project");
      await trial.until("the volume is gone", (seen) => findVolume(seen, "project") === undefined);
      assert.deepEqual(stable(await other.observe()), before);
    },
  },
  ...ODD_CASES,
  {
    name: "list finds the permits that have objects, and only them",
    why: "the drift pass and orphans",
    run: async (trial) => {
      const { driver } = trial.backend;
      const never = beside(trial, "never provisioned");
      await trial.scope();
      const listed = await driver.list(new AbortController().signal);
      assert.ok(listed.includes(trial.permitId) && !listed.includes(never.permitId));
      const { scope } = await trial.observe();
      await trial.apply({ kind: "destroy-scope", seen: scope.state === "absent" ? null : scope.seen });
      await trial.until("the scope is absent", (observed) => observed.scope.state === "absent");
      assert.ok(!(await driver.list(new AbortController().signal)).includes(trial.permitId));
    },
  },
  {
    name: "list finds a permit of which only a released volume is left",
    why: "data without a namespace is still that permit's",
    run: async (trial) => {
      await trial.scope();
      await trial.volumes(volume("prepared"));
      await trial.retain("prepared");
      const { scope } = await trial.observe();
      await trial.apply({ kind: "destroy-scope", seen: scope.state === "absent" ? null : scope.seen });
      await trial.until("it is released", (seen) => findVolume(seen, "prepared")?.state === "released");
      assert.ok((await trial.backend.driver.list(new AbortController().signal)).includes(trial.permitId));
    },
  },
  {
    name: "watch calls back when an instance becomes ready, and ends when aborted",
    why: "the runner's waits end at once instead of at the next periodic read",
    run: async (trial) => {
      const stop = new AbortController();
      const called: string[] = [];
      const watching = trial.backend.driver.watch((permitId) => called.push(permitId), stop.signal);
      try {
        await trial.scope();
        await trial.eventually("the scope is told", () => Promise.resolve(called.includes(trial.permitId)));
        await trial.start(workspace("research/j.virtanen"));
        called.length = 0;
        await trial.apply({ kind: "stop", workspace: await trial.workspace("research/j.virtanen") });
        await trial.until(
          "nothing runs",
          (seen) => find(seen, "research/j.virtanen")?.instances.length === 0,
        );
        await trial.eventually("the end is told", () => Promise.resolve(called.includes(trial.permitId)));
      } finally {
        stop.abort();
        await watching;
      }
    },
  },
  {
    name: "check says what it looked at, line by line",
    why: "the startup self-check",
    run: async (trial) => {
      const lines = await trial.backend.driver.check(new AbortController().signal);
      assert.ok(lines.length > 0);
      for (const line of lines) {
        assert.ok(line.check.length > 0 && line.detail.length > 0, JSON.stringify(line));
        assert.equal(line.result === "ok", line.advice === "", `only what is not ok asks for something`);
        assert.notEqual(line.result, "failed", line.detail);
      }
    },
  },
  {
    name: "an aborted call leaves as a cancelled fault",
    why: "supersession at a step boundary is no failure (DESIGN 6)",
    run: async (trial) => {
      const { driver } = trial.backend;
      const signal = AbortSignal.abort();
      const isCancelled = (thrown: unknown): boolean =>
        thrown instanceof Fault && thrown.disposition === "cancelled" && thrown.reason === "cancelled";
      await assert.rejects(driver.observe(trial.permitId, signal), isCancelled);
      await assert.rejects(
        driver.apply(
          { kind: "ensure-scope", fsGroup: FS_GROUP, members: 2, seen: null },
          trial.context(signal),
        ),
        isCancelled,
      );
      assert.equal((await trial.observe()).scope.state, "absent");
    },
  },
  {
    name: "an action in a scope that is not there is refused and makes none",
    why: "a late step after deletion must not bring the permit back",
    run: async (trial) => {
      const { driver } = trial.backend;
      const research = workspace("research/j.virtanen");
      const late = [
        { kind: "ensure-volume", volume: volume("project"), seen: null },
        { kind: "ensure-identity", workspace: research, rotate: false },
        { kind: "start", workspace: research, seen: null },
        { kind: "open-network", workspace: research, instanceUid: crypto.randomUUID(), seen: null },
      ] as const;
      for (const action of late) {
        await assert.rejects(driver.apply(action, trial.context()), Fault, action.kind);
      }
      assert.equal((await trial.observe()).scope.state, "absent");
    },
  },
];
