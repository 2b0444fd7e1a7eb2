/**
 * Several pods of one consolidation at once: one that is stopped within any of its system calls, of which the cluster
 * believes that it is gone, beside its successor (DESIGN 4, invariant 4).
 */
import assert from "node:assert/strict";
import { callsThatMatter, canStop, podVolumes, startPod } from "./consolidation_pod.ts";
import {
  consolidate,
  exists,
  filesBelow,
  FOLDER,
  folder,
  GROUP,
  HOLDER,
  ignore as noVolumes,
  type Outcome,
  upload,
  type Volumes,
  volumes,
} from "./consolidation_volumes.ts";

const ignore = noVolumes || !canStop;
/** What a pod may say: done, refused, overtaken. */
const CODES = [0, 3, 4];
/** Beyond what is sooner copied again than compared. */
const LARGE_BYTES = 1_100_000;

const UPLOADS: Record<string, string> = {
  one: "1".repeat(LARGE_BYTES),
  "sub/two\nlines": "2",
  "sub/-three": "3",
};

async function given(): Promise<Volumes> {
  const made = await volumes();
  for (const [path, text] of Object.entries(UPLOADS)) await upload(made, path, text);
  return made;
}

/** All that a reader of the batch can tell of it, and whether it is the same file. */
async function photograph({ raw }: Volumes): Promise<unknown[]> {
  const paths = (await filesBelow(raw)).filter((path) => path.startsWith(FOLDER));
  return await Promise.all([FOLDER, ...paths].map(async (path) => {
    const { ino, uid, gid, mode, mtime, isFile } = await Deno.lstat(`${raw}/${path}`);
    const text = isFile ? await Deno.readTextFile(`${raw}/${path}`) : null;
    return [path, ino, uid, gid, mode, mtime?.getTime(), text];
  }));
}

/** The batch is whole, though the uploads may be gone. */
async function assertWhole({ raw }: Volumes, why: string): Promise<void> {
  const batch = `${raw}/${FOLDER}`;
  assert.deepEqual(await filesBelow(batch), ["one", "sub/", "sub/-three", "sub/two\nlines"], why);
  for (const [path, text] of Object.entries(UPLOADS)) {
    assert.ok(await Deno.readTextFile(`${batch}/${path}`) === text, `${why}: ${path}`);
  }
  const manifest = await Deno.readTextFile(`${batch}.sha256`);
  assert.equal(manifest.split("\n").length, 4, why);
}

function hidden(paths: string[]): string[] {
  return paths.filter((path) => path.includes("/."));
}

/** What WPS does once a consolidation has succeeded. */
async function destroyUploads({ uploads }: Volumes): Promise<void> {
  for (const name of ["one", "sub"]) await Deno.remove(`${uploads}/${name}`, { recursive: true });
}

async function solo(): Promise<number[]> {
  await using made = await given();
  return await callsThatMatter(made);
}

/** Every how many-th of the points: all of them take minutes. */
const STRIDE = Number(Deno.env.get("WPS_TEST_STRIDE") ?? "15");
/** Points at the end, where the batch and its manifest appear: they are taken more closely. */
const PUBLISHING = 30, PUBLISHING_STRIDE = Math.min(3, STRIDE);

function sample(points: number[], from: number): number[] {
  return points.filter((_, index) =>
    index < points.length - PUBLISHING
      ? index % STRIDE === from % STRIDE
      : index % PUBLISHING_STRIDE === from % PUBLISHING_STRIDE
  );
}

Deno.test("consolidate.sh: a pod that stopped anywhere changes nothing of what its successor published", {
  ignore,
}, async () => {
  for (const at of sample(await solo(), 0)) {
    for (const uploadsGo of [true, false]) {
      const why = `stopped after call ${at}, uploads ${uploadsGo ? "destroyed" : "there"}`;
      await using made = await given();
      await using first = startPod(await podVolumes(made, "first"), at);
      await first.held;
      const second = await consolidate(made);
      assert.equal(second.code, 0, `${why}: ${second.report}`);
      await assertWhole(made, why);
      const before = await photograph(made);
      if (uploadsGo) await destroyUploads(made);
      const { code, report } = await first.goOn();
      assert.deepEqual(await photograph(made), before, `${why}: ${report}`);
      assert.ok((uploadsGo ? CODES : [0, 4]).includes(code), `${why}: ${code} ${report}`);
      assert.deepEqual(hidden(await filesBelow(made.raw)), [], `${why}: nothing is left over`);
    }
  }
});

Deno.test("consolidate.sh: a pod that dies anywhere costs its successor nothing", { ignore }, async () => {
  for (const at of sample(await solo(), 1)) {
    const why = `killed after call ${at}`;
    await using made = await given();
    await using first = startPod(await podVolumes(made, "first"), at);
    await first.held;
    await first.kill();
    const second = await consolidate(made);
    assert.equal(second.code, 0, `${why}: ${second.report}`);
    await assertWhole(made, why);
    assert.deepEqual(hidden(await filesBelow(made.raw)), [], `${why}: nothing is left over`);
    const before = await photograph(made);
    assert.deepEqual(await consolidate(made), second, `${why}: again only verifies`);
    assert.deepEqual(await photograph(made), before, why);
  }
});

Deno.test(
  "consolidate.sh: of two pods stopped anywhere, what one has published stays",
  { ignore },
  async () => {
    const points = await solo();
    let published = 0;
    for (const [index, at] of sample(points, 2).entries()) {
      const other = points[(index * 7 + 3) % points.length] ?? 1;
      const why = `stopped after calls ${at} and ${other}`;
      await using made = await given();
      await using first = startPod(await podVolumes(made, "first"), at);
      await first.held;
      await using second = startPod(await podVolumes(made, "second"), other);
      await second.held;
      let before: unknown[] | null = null;
      for (const pod of index % 2 === 0 ? [first, second] : [second, first]) {
        const { code, report }: Outcome = await pod.goOn();
        assert.ok([0, 4].includes(code), `${why}: ${code} ${report}`);
        if (before !== null) assert.deepEqual(await photograph(made), before, why);
        if (code === 0) {
          await assertWhole(made, why);
          before = await photograph(made);
          published += 1;
        }
      }
      const third = await consolidate(made);
      assert.equal(third.code, 0, `${why}: ${third.report}`);
      await assertWhole(made, why);
      assert.deepEqual(hidden(await filesBelow(made.raw)), [], why);
    }
    assert.ok(published > 0);
  },
);

Deno.test("consolidate.sh: goes on with a large file of a pod that was stopped in its verification", {
  ignore,
}, async () => {
  await using made = await given();
  const parent = await folder(`${made.raw}/hospital-a`, HOLDER, GROUP, 0o750);
  const left = await folder(`${parent}/.batch-1.partial.aaaaaa`, HOLDER, GROUP, 0o700);
  await Deno.writeTextFile(`${left}/one`, UPLOADS.one ?? "");
  await Deno.chown(`${left}/one`, HOLDER, GROUP);
  await Deno.chmod(`${left}/one`, 0o640);
  const { ino } = await Deno.stat(`${left}/one`);
  assert.equal((await consolidate(made)).code, 0);
  await assertWhole(made, "taken over");
  assert.equal((await Deno.stat(`${made.raw}/${FOLDER}/one`)).ino, ino);
  assert.ok(!exists(left));
});
