/** consolidate.sh on a disk that takes no more, or forgets: what was not written is never reported as kept. */
import assert from "node:assert/strict";
import { canStop, STRACE } from "./consolidation_pod.ts";
import {
  asPod,
  consolidate,
  exists,
  filesBelow,
  FOLDER,
  GROUP,
  ignore as noVolumes,
  tmpfsOn,
  upload,
  type Volumes,
  volumes,
} from "./consolidation_volumes.ts";

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, `${program}: ${new TextDecoder().decode(stderr)}`);
}

/** A file system of 64 MiB on a loop device whose backing has no room for data: writes end in the page cache. */
async function forgetfulDisk({ root, raw }: Volumes): Promise<AsyncDisposable> {
  const backing = `${root}/backing`;
  await Deno.mkdir(backing);
  const memory = await tmpfsOn(backing, "4m");
  const image = await Deno.open(`${backing}/image`, { write: true, create: true });
  await image.truncate(2 ** 26);
  image.close();
  await run(
    "/usr/sbin/mkfs.ext2",
    "-q",
    "-F",
    "-E",
    "lazy_itable_init=0,nodiscard",
    "-N",
    "256",
    `${backing}/image`,
  );
  await run("/bin/mount", "-o", "loop", `${backing}/image`, raw);
  await Deno.chown(raw, 0, GROUP);
  await Deno.chmod(raw, 0o2770);
  await run("/bin/sync");
  return {
    [Symbol.asyncDispose]: async () => {
      await run("/bin/umount", raw);
      await memory[Symbol.asyncDispose]();
    },
  };
}

Deno.test("consolidate.sh: a disk that fails behind the page cache is told, and nothing is published", {
  ignore: noVolumes || !exists("/usr/sbin/mkfs.ext2") || !exists("/dev/loop-control"),
}, async () => {
  await using given = await volumes();
  await upload(given, "big.bin", "x".repeat(12_000_000));
  {
    await using _disk = await forgetfulDisk(given);
    const { code, report } = await consolidate(given);
    assert.equal(code, 3, report);
    assert.match(report, /Cannot write the copies to disk: .*(Input\/output error|No space left)/);
    assert.ok(!exists(`${given.raw}/${FOLDER}`));
  }
  assert.deepEqual(await filesBelow(given.uploads), ["big.bin"]);
  assert.equal((await consolidate(given)).code, 0, "on a good disk it goes through");
});

for (const published of [false, true]) {
  const what = published ? "batch" : "copies";
  Deno.test(`consolidate.sh: ${what} of which a file or folder cannot be written to disk are not reported`, {
    ignore: noVolumes || !canStop,
  }, async () => {
    await using given = await volumes();
    for (const name of ["a.csv", "-b", "two\nlines"]) await upload(given, name, name);
    if (published) assert.equal((await consolidate(given)).code, 0);
    for (const which of [1, 2, 3, 4]) {
      const fault = ["-e", `inject=fsync:error=EIO:when=${which}`];
      const { code } = await asPod(given, { before: [STRACE, "-f", "-qq", "-o", "/dev/null", ...fault] })
        .output();
      const report = await Deno.readTextFile(`${given.scratch}/report`);
      assert.equal(code, 3, report);
      assert.ok(report.startsWith(`Cannot write the ${what} to disk: sync: `), report);
      assert.match(report, /Input\/output error/);
      assert.equal(exists(`${given.raw}/${FOLDER}`), published);
    }
    assert.equal((await consolidate(given)).code, 0);
  });
}
