/** Consolidation: a holder's uploads copied, listed with their hashes, verified, and left where they were. */
import assert from "node:assert/strict";
import type { ObservedTask } from "../../../src/core/observed.ts";
import { sha256Hex } from "../../../src/core/sha256.ts";
import { manifestPath } from "../../../src/core/step.ts";
import type { DriverCase } from "../case.ts";
import { consolidation, FS_GROUP, MEMBER_ID, mount, volume, workspace } from "../fixtures.ts";
import { findTask } from "../observation.ts";
import type { Trial } from "../trial.ts";

/** As a holder's SFTP session leaves them. */
const UPLOADED = { uid: MEMBER_ID, gid: MEMBER_ID, mode: 0o640 };
/** What the holder's account may not read. */
const UNREADABLE = { uid: 0, gid: 0, mode: 0o600 };

/** Names that a shell script must not trip over. */
const FILES: Record<string, string> = {
  "cohort.csv": "id,age\n1,44\n",
  "scans/a b's.dcm": "binary-ish \u0001\u0002",
  "scans/-rf": "a dash",
  "données/été.txt": "unicode",
  "empty": "",
};

/** A scope with an uploads volume of `files` and an empty raw. */
async function uploaded(trial: Trial, key: string, files: Record<string, string>): Promise<void> {
  await trial.scope();
  await trial.volumes(volume(key, { sensitive: true }), volume("raw", { sensitive: true }));
  for (const [path, text] of Object.entries(files)) {
    await trial.backend.outside.writeFile(trial.permitId, key, path, text, UPLOADED);
  }
}

async function finished(trial: Trial, key: string, state: "succeeded" | "failed"): Promise<void> {
  await trial.until(`the task of ${key} ${state}`, (seen) => {
    const task = findTask(seen, key);
    assert.ok(task?.state === "running" || task?.state === state, `the task of ${key}: ${task?.message}`);
    return task.state === state;
  });
}

/** Fails unless the manifest lists exactly the copies of `files` with their hashes. */
async function assertCopied(trial: Trial, folder: string, files: Record<string, string>): Promise<void> {
  const { outside } = trial.backend;
  const manifest = await outside.readFile(trial.permitId, "raw", manifestPath(folder));
  const lines = Object.entries(files).map(([path, text]) => `${sha256Hex(text)}  ${path}`).sort();
  const listed = (manifest?.text ?? "").split("\n").filter((line) => line !== "");
  assert.deepEqual(listed.map((line) => line.replace(/^([0-9a-f]{64} {2})\.\//, "$1")).sort(), lines);
  for (const [path, text] of Object.entries(files)) {
    const copy = await outside.readFile(trial.permitId, "raw", `${folder}/${path}`);
    assert.deepEqual(copy, { text, uid: MEMBER_ID, gid: FS_GROUP, mode: 0o640 }, path);
  }
}

function listHash(lines: string[]): string {
  return sha256Hex(lines.map((line) => `${line}\n`).join(""));
}

/** Consolidates hospital-a's uploads after `before`, with `accepted`; it must be refused with exactly this list. */
async function refusedTask(
  trial: Trial,
  before: ObservedTask | null,
  accepted: string | null,
  lines: string[],
): Promise<ObservedTask> {
  const work = consolidation("hospital-a", 1, { accepted });
  await trial.apply({ kind: "consolidate", consolidation: work, task: before });
  const seen = await trial.until(
    "the task is refused",
    ({ tasks }) =>
      tasks.some(({ key, state, refused }) =>
        key === work.fromKey && state === "failed" && refused?.listHash === listHash(lines)
      ),
  );
  const task = findTask(seen, work.fromKey) ?? assert.fail();
  assert.deepEqual(task.refused, { count: lines.length, shown: lines, listHash: listHash(lines) });
  return task;
}

/** Cases of consolidate and remove-task. */
export const TASK_CASES: readonly DriverCase[] = [
  {
    name: "consolidate copies every file with its hash for the permit's group, uploads untouched",
    why: "DESIGN 4: consolidation; consolidated is what the destruction of uploads waits for",
    needs: "files",
    run: async (trial) => {
      await uploaded(trial, "uploads/hospital-a", FILES);
      const work = consolidation("hospital-a");
      await trial.apply({ kind: "consolidate", consolidation: work, task: null });
      await finished(trial, work.fromKey, "succeeded");
      await assertCopied(trial, work.folder, FILES);
      const { outside } = trial.backend;
      assert.deepEqual(await outside.listFiles(trial.permitId, work.fromKey), Object.keys(FILES).sort());
      for (const [path, text] of Object.entries(FILES)) {
        const upload = await outside.readFile(trial.permitId, work.fromKey, path);
        assert.deepEqual(upload, { text, ...UPLOADED }, path);
      }
    },
  },
  {
    name: "consolidate of an empty upload succeeds with an empty manifest",
    why: "a holder who sent nothing must not block the others",
    needs: "files",
    run: async (trial) => {
      await uploaded(trial, "uploads/hospital-a", {});
      const work = consolidation("hospital-a");
      await trial.apply({ kind: "consolidate", consolidation: work, task: null });
      await finished(trial, work.fromKey, "succeeded");
      await assertCopied(trial, work.folder, {});
    },
  },
  {
    name: "consolidate again changes nothing, while it runs and after it",
    why: "a crash after the write repeats the step; safe to repeat (DESIGN 4)",
    needs: "files",
    run: async (trial) => {
      await uploaded(trial, "uploads/hospital-a", FILES);
      const work = consolidation("hospital-a");
      await trial.apply({ kind: "consolidate", consolidation: work, task: null });
      await trial.backend.driver.apply(
        { kind: "consolidate", consolidation: work, task: null },
        trial.context(),
      ).catch((fault) => assert.equal(fault.reason, "conflict"));
      assert.equal((await trial.observe()).tasks.length, 1);
      await finished(trial, work.fromKey, "succeeded");
      const task = findTask(await trial.observe(), work.fromKey) ?? null;
      await trial.repeated({ kind: "consolidate", consolidation: work, task });
      await assertCopied(trial, work.folder, FILES);
    },
  },
  {
    name: "a removed task may run again over its own copies",
    why: "the store may forget what the volume remembers; safe to repeat",
    needs: "files",
    run: async (trial) => {
      await uploaded(trial, "uploads/hospital-a", FILES);
      const work = consolidation("hospital-a");
      for (let round = 0; round < 2; round++) {
        await trial.apply({ kind: "consolidate", consolidation: work, task: null });
        await finished(trial, work.fromKey, "succeeded");
        const task = findTask(await trial.observe(), work.fromKey) ?? assert.fail();
        await trial.apply({ kind: "remove-task", task });
        await trial.until("the task is gone", ({ tasks }) => tasks.length === 0);
      }
      await assertCopied(trial, work.folder, FILES);
    },
  },
  {
    name: "a failed consolidation says why, and one made after it succeeds",
    why: "consolidation-failed tells a person what to do; jobs retry then starts a new task",
    needs: "files",
    run: async (trial) => {
      const { outside } = trial.backend;
      await uploaded(trial, "uploads/hospital-a", { "good.csv": "1" });
      await outside.writeFile(trial.permitId, "uploads/hospital-a", "secret.csv", "2", UNREADABLE);
      const work = consolidation("hospital-a");
      await trial.apply({ kind: "consolidate", consolidation: work, task: null });
      await finished(trial, work.fromKey, "failed");
      const failed = findTask(await trial.observe(), work.fromKey) ?? assert.fail();
      assert.ok(failed.message?.includes("secret.csv"), `it names the file: ${failed.message}`);
      await outside.writeFile(trial.permitId, work.fromKey, "secret.csv", "2", UPLOADED);
      await trial.apply({ kind: "consolidate", consolidation: work, task: failed });
      await trial.until(
        "the new task succeeded",
        (seen) => findTask(seen, work.fromKey)?.state === "succeeded",
      );
      await assertCopied(trial, work.folder, { "good.csv": "1", "secret.csv": "2" });
    },
  },
  {
    name: "a later batch leaves the first one alone",
    why: "DESIGN 4: a later ingress adds a new batch to raw; nothing there is overwritten",
    needs: "files",
    run: async (trial) => {
      await uploaded(trial, "uploads/hospital-a", { "cohort.csv": "first" });
      const first = consolidation("hospital-a");
      await trial.apply({ kind: "consolidate", consolidation: first, task: null });
      await finished(trial, first.fromKey, "succeeded");
      await uploaded(trial, "uploads/hospital-a@2", { "cohort.csv": "second" });
      const second = consolidation("hospital-a", 2);
      await trial.apply({ kind: "consolidate", consolidation: second, task: null });
      await finished(trial, second.fromKey, "succeeded");
      await assertCopied(trial, first.folder, { "cohort.csv": "first" });
      await assertCopied(trial, second.folder, { "cohort.csv": "second" });
    },
  },
  {
    name: "a file in the way that differs fails the task and is not overwritten",
    why: "DESIGN 4: nothing there is overwritten; a person must look",
    needs: "files",
    run: async (trial) => {
      const { outside } = trial.backend;
      await uploaded(trial, "uploads/hospital-a", { "cohort.csv": "new" });
      const work = consolidation("hospital-a");
      const theirs = { uid: MEMBER_ID, gid: FS_GROUP, mode: 0o640 };
      await outside.writeFile(trial.permitId, "raw", `${work.folder}/cohort.csv`, "old", theirs);
      await trial.apply({ kind: "consolidate", consolidation: work, task: null });
      await finished(trial, work.fromKey, "failed");
      const failed = findTask(await trial.observe(), work.fromKey);
      assert.ok(failed?.message?.includes("cohort.csv"), `it names the file: ${failed?.message}`);
      const kept = await outside.readFile(trial.permitId, "raw", `${work.folder}/cohort.csv`);
      assert.equal(kept?.text, "old");
    },
  },
  {
    name: "links are refused with their list, and left out once exactly that list is accepted",
    why:
      "DESIGN 4: nothing of the uploads is lost unless an operator agreed to it; a changed list is refused anew",
    needs: "files",
    run: async (trial) => {
      const { outside } = trial.backend;
      await uploaded(trial, "uploads/hospital-a", { "cohort.csv": "1" });
      await outside.writeLink(trial.permitId, "uploads/hospital-a", "etc", "/etc/passwd");
      let task = await refusedTask(trial, null, null, ["link ./etc -> /etc/passwd"]);
      assert.deepEqual(await outside.listFiles(trial.permitId, "raw"), [], "nothing is copied");
      const accepted = task.refused?.listHash ?? assert.fail();
      await outside.writeLink(trial.permitId, "uploads/hospital-a", "later", "etc");
      const both = ["link ./etc -> /etc/passwd", "link ./later -> etc"];
      task = await refusedTask(trial, task, accepted, both);
      assert.deepEqual(await outside.listFiles(trial.permitId, "raw"), [], "a changed list is refused anew");
      const work = consolidation("hospital-a", 1, { accepted: listHash(both) });
      await trial.applyFresh((seen) => ({
        kind: "consolidate",
        consolidation: work,
        task: findTask(seen, work.fromKey) ?? null,
      }));
      await trial.until("it succeeded", (seen) => findTask(seen, work.fromKey)?.state === "succeeded");
      const manifest = await outside.readFile(trial.permitId, "raw", manifestPath(work.folder));
      const comments = manifest?.text.trimEnd().split("\n").filter((line) => line.startsWith("#"));
      assert.deepEqual(comments, both.map((line) => `# left out: ${line}`));
      assert.deepEqual(
        await outside.listFiles(trial.permitId, "raw"),
        [`${work.folder}/cohort.csv`, manifestPath(work.folder)].sort(),
      );
    },
  },
  {
    name: "two holders are consolidated beside each other",
    why: "one task per holder, each as that holder",
    needs: "files",
    run: async (trial) => {
      await uploaded(trial, "uploads/hospital-a", { "cohort.csv": "a" });
      await uploaded(trial, "uploads/hospital-b", { "cohort.csv": "b" });
      const works = [consolidation("hospital-a"), consolidation("hospital-b")];
      for (const work of works) {
        await trial.apply({ kind: "consolidate", consolidation: work, task: null });
      }
      for (const work of works) await finished(trial, work.fromKey, "succeeded");
      await assertCopied(trial, "hospital-a/batch-1", { "cohort.csv": "a" });
      await assertCopied(trial, "hospital-b/batch-1", { "cohort.csv": "b" });
    },
  },
  {
    name: "the permit's group reads the copies, and a read-only mount keeps them",
    why: "DESIGN 4: preprocessing works on raw read-only, as another uid of the same group",
    needs: "files",
    run: async (trial) => {
      await uploaded(trial, "uploads/hospital-a", { "cohort.csv": "a" });
      const work = consolidation("hospital-a");
      await trial.apply({ kind: "consolidate", consolidation: work, task: null });
      await finished(trial, work.fromKey, "succeeded");
      const preprocessing = workspace("preprocessing/m.keller", {
        account: { username: "m.keller", uid: MEMBER_ID + 7, gid: MEMBER_ID + 7 },
        mounts: [mount("raw", "ro")],
        sensitive: true,
      });
      await trial.start(preprocessing);
      const { outside } = trial.backend;
      const inside = `/data/raw/${work.folder}/cohort.csv`;
      assert.equal(await outside.tryRead(trial.permitId, preprocessing.key, inside), "a");
      assert.equal(await outside.tryWrite(trial.permitId, preprocessing.key, `${inside}.x`), false);
    },
  },
  {
    name: "a consolidation tells its pods, what they see, and what somebody else lets it out by",
    why: "it reads sensitive uploads: a way out halts the permit as beside any workspace (invariant 1)",
    needs: "files",
    run: async (trial) => {
      const { outside } = trial.backend;
      await uploaded(trial, "uploads/hospital-a", FILES);
      const work = consolidation("hospital-a");
      await trial.apply({ kind: "consolidate", consolidation: work, task: null });
      const seen = await trial.until(
        "it has a pod",
        (observed) => (findTask(observed, work.fromKey)?.pods.length ?? 0) > 0,
      );
      const task = findTask(seen, work.fromKey) ?? assert.fail();
      assert.deepEqual(task.network, { state: "shut" });
      const [pod] = task.pods;
      const mounts = pod?.mounts.map(({ volumeKey, mode }) => `${volumeKey} ${mode}`).sort();
      assert.deepEqual([mounts, pod?.gated], [["raw rw", "uploads/hospital-a ro"], true]);
      const breachedBy = (name: string): Promise<unknown> =>
        trial.until(`${name} is a breach`, (observed) => {
          const network = findTask(observed, work.fromKey)?.network;
          return network?.state === "breached" && network.by.includes(name);
        });
      await outside.addForeignPolicy(trial.permitId, "let-me-out");
      await breachedBy("let-me-out");
      await outside.removeForeignPolicy(trial.permitId, "let-me-out");
      await outside.weakenDefaultDeny(trial.permitId);
      await breachedBy("default-deny");
      await trial.scope();
      await trial.until(
        "it is shut again",
        (observed) => findTask(observed, work.fromKey)?.network.state === "shut",
      );
    },
  },
  {
    name: "remove-task of a running task ends it and its pods",
    why: "deletion never queues behind a consolidation (DESIGN 6)",
    needs: "files",
    run: async (trial) => {
      await uploaded(trial, "uploads/hospital-a", FILES);
      const work = consolidation("hospital-a");
      await trial.apply({ kind: "consolidate", consolidation: work, task: null });
      const task = findTask(await trial.observe(), work.fromKey) ?? assert.fail();
      await trial.apply({ kind: "remove-task", task });
      await trial.until("the task is gone, and until then it says that it is going", ({ tasks }) => {
        for (const { terminating } of tasks) {
          assert.ok(terminating !== null, "it would be removed again and again");
        }
        return tasks.length === 0;
      });
      await trial.repeated({ kind: "remove-task", task });
      await trial.destroy(work.fromKey);
      await trial.until(
        "the uploads are gone",
        ({ volumes }) => volumes.every(({ key }) => key !== work.fromKey),
      );
    },
  },
];
