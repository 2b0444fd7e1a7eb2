/** consolidate.sh under BusyBox, as an account without rights, on folders as volumes are. */
import assert from "node:assert/strict";
import { sha256Hex } from "../../src/core/sha256.ts";
import {
  BUSYBOX,
  consolidate,
  exists,
  filesBelow,
  FOLDER,
  folder,
  GROUP,
  HOLDER,
  ignore,
  tmpfsOn,
  upload,
  type Volumes,
  volumes,
} from "./consolidation_volumes.ts";

const NAMES: Record<string, string> = {
  "plain.csv": "1,2\n",
  "with blank 'and\" quotes": "a",
  "-rf": "a dash",
  "--help": "two",
  ".hidden": "a dot",
  "ünïcode/患者.txt": "text",
  "tab\there": "b",
  "back\\slash": "c",
  "deep/er/and/deeper": "d",
  "*?[x]": "a pattern",
  "$(reboot)": "a command",
  "empty": "",
  "two\nlines": "e",
  "ends with a line\n": "f",
  "\n": "only a line feed",
  "returns\r\nto": "g",
  "folder of\ntwo lines/back\\slash\nn/x": "h",
  "-n\\n\n -> x": "i",
  [`${"é".repeat(127)}x`]: "255 bytes",
  [`${"d".repeat(255)}/${"e".repeat(255)}`]: "twice",
};

/** As sha256sum writes a name. */
function escaped(path: string): string {
  return path.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
}

Deno.test(
  "consolidate.sh: copies whatever names there are, with hash, owner and mode, and leaves the uploads",
  { ignore },
  async () => {
    await using given = await volumes();
    for (const [path, text] of Object.entries(NAMES)) await upload(given, path, text);
    await Deno.mkdir(`${given.uploads}/empty folder`);
    const { code, report } = await consolidate(given);
    assert.equal(code, 0, report);
    const batch = `${given.raw}/${FOLDER}`;
    assert.deepEqual(await filesBelow(batch), await filesBelow(given.uploads));
    for (const [path, text] of Object.entries(NAMES)) {
      assert.equal(await Deno.readTextFile(`${batch}/${path}`), text, path);
      const { uid, gid, mode } = await Deno.stat(`${batch}/${path}`);
      assert.deepEqual([uid, gid, (mode ?? 0) & 0o777], [HOLDER, GROUP, 0o640], path);
    }
    for (const folder of ["", "/deep", "/empty folder"]) {
      const { gid, mode } = await Deno.stat(batch + folder);
      assert.deepEqual([gid, (mode ?? 0) & 0o777], [GROUP, 0o750], folder);
    }
    const manifest = await Deno.readTextFile(`${batch}.sha256`);
    const expected = Object.entries(NAMES).map(([path, text]) =>
      `${escaped(path) === path ? "" : "\\"}${sha256Hex(text)}  ./${escaped(path)}`
    );
    assert.deepEqual(manifest.trimEnd().split("\n").sort(), expected.sort());
    const bytes = Object.values(NAMES).reduce((sum, text) => sum + new TextEncoder().encode(text).length, 0);
    assert.deepEqual(JSON.parse(report), {
      files: Object.keys(NAMES).length,
      bytes,
      manifest: sha256Hex(manifest),
      leftOut: 0,
    });
    assert.deepEqual(
      (await filesBelow(`${given.raw}/hospital-a`)).filter((path) => /partial/.test(path)),
      [],
    );
  },
);

Deno.test("consolidate.sh: its manifest is what sha256sum -c reads", { ignore }, async () => {
  await using given = await volumes();
  for (const [path, text] of Object.entries(NAMES)) await upload(given, path, text);
  await consolidate(given);
  const check = await new Deno.Command("/usr/bin/sha256sum", {
    args: ["--check", "--quiet", "--strict", "../batch-1.sha256"],
    cwd: `${given.raw}/${FOLDER}`,
    stdout: "piped",
    stderr: "piped",
  }).output();
  assert.equal(
    check.code,
    0,
    new TextDecoder().decode(check.stdout) + new TextDecoder().decode(check.stderr),
  );
});

Deno.test("consolidate.sh: again verifies and changes nothing; a copy that changed is reported by name", {
  ignore,
}, async () => {
  await using given = await volumes();
  await upload(given, "a.csv", "1");
  const first = await consolidate(given);
  const before = await Deno.stat(`${given.raw}/${FOLDER}/a.csv`);
  assert.deepEqual(await consolidate(given), first);
  assert.deepEqual((await Deno.stat(`${given.raw}/${FOLDER}/a.csv`)).mtime, before.mtime);
  await Deno.writeTextFile(`${given.raw}/${FOLDER}/a.csv`, "2");
  const spoilt = await consolidate(given);
  assert.equal(spoilt.code, 3);
  assert.match(spoilt.report, /exists and differs from the uploads; nothing is overwritten: .*a\.csv/);
  assert.equal(await Deno.readTextFile(`${given.raw}/${FOLDER}/a.csv`), "2");
});

const BATCHES: { why: string; spoil: (batch: string) => Promise<void>; report: RegExp }[] = [
  {
    why: "of another manifest, though its files are the same",
    spoil: async (batch) => {
      const text = await Deno.readTextFile(`${batch}.sha256`);
      await Deno.writeTextFile(`${batch}.sha256`, text.replace(/^../, text.startsWith("00") ? "11" : "00"));
    },
    report:
      /manifest hospital-a\/batch-1\.sha256 is not that of the uploads; they are kept, nothing is overwritten: .*a\.csv/,
  },
  {
    why: "of a manifest that names fewer files",
    spoil: async (batch) => {
      const [first] = (await Deno.readTextFile(`${batch}.sha256`)).split("\n");
      await Deno.writeTextFile(`${batch}.sha256`, `${first}\n`);
    },
    report: /manifest hospital-a\/batch-1\.sha256 is not that of the uploads/,
  },
];

for (const { why, spoil, report } of BATCHES) {
  Deno.test(`consolidate.sh: a batch ${why} is refused, and stays`, { ignore }, async () => {
    await using given = await volumes();
    await upload(given, "a.csv", "1");
    await upload(given, "b.csv", "2");
    assert.equal((await consolidate(given)).code, 0);
    await spoil(`${given.raw}/${FOLDER}`);
    const before = await filesBelow(given.raw);
    const refused = await consolidate(given);
    assert.equal(refused.code, 3);
    assert.match(refused.report, report);
    assert.deepEqual(await filesBelow(given.raw), before);
    assert.deepEqual(await filesBelow(given.uploads), ["a.csv", "b.csv"]);
  });
}

Deno.test("consolidate.sh: a batch that a crash kept from its manifest gets it, once it is verified", {
  ignore,
}, async () => {
  await using given = await volumes();
  await upload(given, "a.csv", "1");
  const first = await consolidate(given);
  const manifest = `${given.raw}/${FOLDER}.sha256`;
  const text = await Deno.readTextFile(manifest);
  await Deno.remove(manifest);
  assert.deepEqual(await consolidate(given), first);
  assert.equal(await Deno.readTextFile(manifest), text);
  const { gid, mode } = await Deno.stat(manifest);
  assert.deepEqual([gid, (mode ?? 0) & 0o777], [GROUP, 0o640]);
  await Deno.remove(manifest);
  await Deno.writeTextFile(`${given.raw}/${FOLDER}/a.csv`, "2");
  assert.match((await consolidate(given)).report, /exists and differs from the uploads/);
  assert.ok(!exists(manifest));
});

Deno.test(
  "consolidate.sh: a manifest of other uploads keeps a batch from being made",
  { ignore },
  async () => {
    await using given = await volumes();
    await upload(given, "a.csv", "1");
    const parent = await folder(`${given.raw}/hospital-a`, HOLDER, GROUP, 0o750);
    await Deno.writeTextFile(`${parent}/batch-1.sha256`, `${"0".repeat(64)}  ./b.csv\n`);
    await Deno.chown(`${parent}/batch-1.sha256`, HOLDER, GROUP);
    const { code, report } = await consolidate(given);
    assert.equal(code, 3);
    assert.match(
      report,
      /manifest hospital-a\/batch-1\.sha256 is not that of the uploads; .*: \.\/a\.csv\n\.\/b\.csv/,
    );
    assert.deepEqual(await filesBelow(given.raw), ["hospital-a/", "hospital-a/batch-1.sha256"]);
  },
);

Deno.test("consolidate.sh: what an interrupted run left is no obstacle", { ignore }, async () => {
  await using given = await volumes();
  await upload(given, "a.csv", "1");
  const partial = `${given.raw}/hospital-a/.batch-1.partial`;
  await Deno.mkdir(partial, { recursive: true });
  await Deno.chown(`${given.raw}/hospital-a`, HOLDER, GROUP);
  await Deno.writeTextFile(`${partial}/half`, "x");
  await Deno.chown(partial, HOLDER, GROUP);
  await Deno.chown(`${partial}/half`, HOLDER, GROUP);
  assert.equal((await consolidate(given)).code, 0);
  assert.deepEqual(await filesBelow(given.raw), [
    "hospital-a/",
    "hospital-a/batch-1.sha256",
    "hospital-a/batch-1/",
    "hospital-a/batch-1/a.csv",
  ]);
});

/** Uploads whose copy nobody may write into or list, folder in folder: BusyBox's cp keeps their modes. */
async function closedFolders(given: Volumes): Promise<void> {
  await upload(given, "closed/inner/b.csv", "2".repeat(3_000_000));
  await upload(given, "closed/inner/c.csv", "3");
  for (const folder of ["closed/inner", "closed"]) await Deno.chmod(`${given.uploads}/${folder}`, 0o500);
}

Deno.test(
  "consolidate.sh: read-only folders that an interrupted run left are no obstacle",
  { ignore },
  async () => {
    await using given = await volumes();
    await closedFolders(given);
    const partial = `${given.raw}/hospital-a/.batch-1.partial`;
    const folders = [`${given.raw}/hospital-a`, partial, `${partial}/closed`, `${partial}/closed/inner`];
    for (const folder of folders) {
      await Deno.mkdir(folder);
      await Deno.chown(folder, HOLDER, GROUP);
    }
    await Deno.writeTextFile(`${partial}/closed/inner/b.csv`, "half");
    await Deno.chown(`${partial}/closed/inner/b.csv`, HOLDER, GROUP);
    await Deno.chmod(`${partial}/closed/inner`, 0o500);
    await Deno.chmod(`${partial}/closed`, 0o000);
    const { code, report } = await consolidate(given);
    assert.equal(code, 0, report);
    assert.deepEqual(await filesBelow(given.raw), [
      "hospital-a/",
      "hospital-a/batch-1.sha256",
      "hospital-a/batch-1/",
      "hospital-a/batch-1/closed/",
      "hospital-a/batch-1/closed/inner/",
      "hospital-a/batch-1/closed/inner/b.csv",
      "hospital-a/batch-1/closed/inner/c.csv",
    ]);
  },
);

Deno.test("consolidate.sh: a full volume keeps nothing of read-only folders", { ignore }, async () => {
  await using given = await volumes();
  await closedFolders(given);
  {
    await using _small = await tmpfsOn(given.raw, "1m");
    for (const attempt of ["first", "second"]) {
      const { code, report } = await consolidate(given);
      assert.equal(code, 3);
      assert.match(report, /Cannot copy the uploads: .*No space left/, attempt);
      assert.deepEqual(await filesBelow(given.raw), ["hospital-a/"], attempt);
    }
  }
});

Deno.test("consolidate.sh: another batch and another holder stay as they are", { ignore }, async () => {
  await using given = await volumes();
  await upload(given, "a.csv", "1");
  assert.equal((await consolidate(given)).code, 0);
  await upload(given, "a.csv", "2");
  assert.equal((await consolidate(given, "hospital-a/batch-2")).code, 0);
  assert.equal((await consolidate(given, "hospital-b/batch-1")).code, 0);
  const read = (path: string): Promise<string> => Deno.readTextFile(`${given.raw}/${path}/a.csv`);
  assert.deepEqual(
    await Promise.all(["hospital-a/batch-1", "hospital-a/batch-2", "hospital-b/batch-1"].map(read)),
    ["1", "2", "2"],
  );
});

const REFUSED: { why: string; spoil: (given: Volumes) => Promise<void>; report: RegExp }[] = [
  {
    why: "a file that the holder may not read",
    spoil: async ({ uploads }) => {
      await Deno.writeTextFile(`${uploads}/secret.csv`, "x");
      await Deno.chmod(`${uploads}/secret.csv`, 0o600);
    },
    report: /Cannot read the uploads: .*secret\.csv.*Permission denied/,
  },
  {
    why: "a folder that the holder may not enter",
    spoil: async ({ uploads }) => {
      await Deno.mkdir(`${uploads}/closed`);
      await Deno.chmod(`${uploads}/closed`, 0o700);
    },
    report: /closed.*Permission denied/,
  },
  {
    why: "a raw volume that cannot be written",
    spoil: ({ raw }) => Deno.chmod(raw, 0o500),
    report: /Cannot make .*Permission denied/,
  },
];

for (const { why, spoil, report } of REFUSED) {
  Deno.test(`consolidate.sh: refuses ${why}, says so, and leaves nothing behind`, { ignore }, async () => {
    await using given = await volumes();
    await upload(given, "a.csv", "1");
    await spoil(given);
    const before = await filesBelow(given.uploads);
    const outcome = await consolidate(given);
    assert.equal(outcome.code, 3, outcome.report);
    assert.match(outcome.report, report);
    assert.ok(new TextEncoder().encode(outcome.report).length <= 4096);
    assert.deepEqual(await filesBelow(given.uploads), before);
    assert.deepEqual((await filesBelow(given.raw)).filter((path) => path.includes("batch")), []);
  });
}

Deno.test("consolidate.sh: a full volume is reported, nothing half-made shows, and the uploads stay", {
  ignore,
}, async () => {
  await using given = await volumes();
  await upload(given, "big.bin", "x".repeat(3_000_000));
  await upload(given, "small.csv", "1");
  await Deno.symlink("/a", `${given.uploads}/link`);
  const before = await filesBelow(given.uploads);
  {
    await using _small = await tmpfsOn(given.raw, "1m");
    // With an entry left out it is copied file by file, otherwise at once.
    for (const accepted of [listHash(["link ./link -> /a"]), ""]) {
      const { code, report } = await consolidate(given, FOLDER, accepted);
      assert.equal(code, 3);
      assert.match(report, /Cannot copy the uploads: .*No space left/);
      assert.deepEqual(await filesBelow(given.raw), ["hospital-a/"]);
      assert.deepEqual(
        (await filesBelow(given.uploads)).sort(),
        before.filter((path) => accepted || path !== "link"),
      );
      assert.equal(await Deno.readTextFile(`${given.uploads}/big.bin`), "x".repeat(3_000_000));
      if (accepted !== "") await Deno.remove(`${given.uploads}/link`);
    }
  }
  const { code, report } = await consolidate(given);
  assert.equal(code, 0, `with room it goes through: ${report}`);
});

/** Entries that are never copied, as the script lists them. */
const ODD: { why: string; make: (given: Volumes) => Promise<Disposable | void>; lines: string[] }[] = [
  {
    why: "a symbolic link",
    make: ({ uploads }) => Deno.symlink("/etc/passwd", `${uploads}/link`),
    lines: ["link ./link -> /etc/passwd"],
  },
  {
    why: "a link to a folder, and one to nowhere",
    make: async ({ uploads }) => {
      await Deno.symlink("/", `${uploads}/all`);
      await Deno.symlink("nowhere", `${uploads}/none`);
    },
    lines: ["link ./all -> /", "link ./none -> nowhere"],
  },
  {
    why: "links whose names and targets hold line feeds and backslashes",
    make: async ({ uploads }) => {
      await Deno.symlink("x\ny\n", `${uploads}/a\nb`);
      await Deno.symlink("b\\", `${uploads}/c\\ -> d`);
    },
    lines: ["link ./a\\nb -> x\\ny\\n", "link ./c\\\\ -> d -> b\\\\"],
  },
  {
    why: "a named pipe, which would be read for ever, and a socket",
    make: async (given) => {
      await upload(given, "deep/er/x", "1");
      await new Deno.Command(BUSYBOX, { args: ["mkfifo", `${given.uploads}/deep/pipe`] }).output();
      // Its name goes with it.
      return Deno.listen({ transport: "unix", path: `${given.uploads}/sock` });
    },
    lines: ["pipe ./deep/pipe", "socket ./sock"],
  },
  {
    why: "a device",
    make: async ({ uploads }) => {
      await new Deno.Command(BUSYBOX, { args: ["mknod", `${uploads}/null`, "c", "1", "3"] }).output();
    },
    lines: ["device ./null"],
  },
];

function listHash(lines: string[]): string {
  return sha256Hex(lines.map((line) => `${line}\n`).join(""));
}

for (const { why, make, lines } of ODD) {
  Deno.test(`consolidate.sh: refuses ${why} until exactly that list is accepted`, { ignore }, async () => {
    await using given = await volumes();
    await upload(given, "a.csv", "1");
    using _held = await make(given) ?? null;
    const before = await filesBelow(given.uploads);
    const list = listHash(lines);
    for (const accepted of ["", "0".repeat(64), list.slice(1)]) {
      const refused = await consolidate(given, FOLDER, accepted);
      assert.equal(refused.code, 3, refused.report);
      const [head = "", ...shown] = refused.report.trimEnd().split("\n");
      assert.deepEqual(JSON.parse(head), { refused: lines.length, list });
      assert.deepEqual(shown, lines);
      assert.deepEqual(await filesBelow(given.raw), [], "nothing is copied, not even in part");
    }
    const done = await consolidate(given, FOLDER, list);
    assert.equal(done.code, 0, done.report);
    assert.equal(JSON.parse(done.report).leftOut, lines.length);
    assert.deepEqual(await filesBelow(given.uploads), before, "the uploads stay as they were");
    const copied = await filesBelow(`${given.raw}/${FOLDER}`);
    assert.deepEqual(copied, copied.filter((path) => before.includes(path)));
    assert.ok(copied.includes("a.csv"));
    assert.equal(before.length - copied.length, lines.length);
    const manifest = await Deno.readTextFile(`${given.raw}/${FOLDER}.sha256`);
    assert.deepEqual(
      manifest.trimEnd().split("\n").filter((line) => line.startsWith("#")),
      lines.map((line) => `# left out: ${line}`),
    );
    const check = await new Deno.Command("/usr/bin/sha256sum", {
      args: ["--check", "--quiet", "--strict", "../batch-1.sha256"],
      cwd: `${given.raw}/${FOLDER}`,
    }).output();
    assert.equal(check.code, 0, new TextDecoder().decode(check.stderr));
    assert.deepEqual(await consolidate(given, FOLDER, list), done, "again only verifies");
  });
}

Deno.test(
  "consolidate.sh: an accepted list that has grown or changed since is refused anew",
  { ignore },
  async () => {
    await using given = await volumes();
    await upload(given, "a.csv", "1");
    await Deno.symlink("/a", `${given.uploads}/link`);
    const list = listHash(["link ./link -> /a"]);
    await Deno.remove(`${given.uploads}/link`);
    await Deno.symlink("/b", `${given.uploads}/link`);
    const changed = await consolidate(given, FOLDER, list);
    assert.equal(changed.code, 3, changed.report);
    assert.deepEqual(JSON.parse(changed.report.split("\n")[0] ?? "").list, listHash(["link ./link -> /b"]));
    await Deno.remove(`${given.uploads}/link`);
    const gone = await consolidate(given, FOLDER, list);
    assert.equal(gone.code, 0, "nothing is left to be refused");
  },
);

Deno.test(
  "consolidate.sh: a long list is shown in part, within what Kubernetes keeps",
  { ignore },
  async () => {
    await using given = await volumes();
    for (let n = 0; n < 60; n++) await Deno.symlink(`${n}`, `${given.uploads}/${n}${"ü".repeat(120)}\u0007`);
    const { code, report } = await consolidate(given);
    assert.equal(code, 3);
    const [head = "", ...shown] = report.trimEnd().split("\n");
    assert.equal(JSON.parse(head).refused, 60);
    assert.equal(shown.length, 20);
    assert.ok(shown.every((line) => line.startsWith("link ./") && /^[ -~]*\.\.\.$/.test(line)), report);
    assert.ok(new TextEncoder().encode(report).length <= 4096);
  },
);

Deno.test("consolidate.sh: goes on with whole files of an interrupted run and does not copy them again", {
  ignore,
}, async () => {
  await using given = await volumes();
  const large = (digit: string): string => digit.repeat(1_100_000);
  await upload(given, "whole/a.csv", large("1"));
  await upload(given, "whole/two\nlines", large("2"));
  await upload(given, "half.csv", large("3"));
  await upload(given, "not closed.csv", large("5"));
  await upload(given, "other.csv", large("6"));
  await upload(given, "missing.csv", "4");
  const partial = `${given.raw}/hospital-a/.batch-1.partial`;
  const put = async (path: string, text: string, mode = 0o640): Promise<number | null> => {
    await Deno.writeTextFile(`${partial}/${path}`, text);
    await Deno.chown(`${partial}/${path}`, HOLDER, GROUP);
    await Deno.chmod(`${partial}/${path}`, mode);
    return (await Deno.stat(`${partial}/${path}`)).ino;
  };
  for (const folder of [`${given.raw}/hospital-a`, partial, `${partial}/whole`, `${partial}/stray`]) {
    await Deno.mkdir(folder);
    await Deno.chown(folder, HOLDER, GROUP);
  }
  const kept = [await put("whole/a.csv", large("1")), await put("whole/two\nlines", large("2"))];
  await put("half.csv", large("3").slice(1));
  const open = await put("not closed.csv", large("5"), 0o600);
  const other = await put("other.csv", large("7"));
  await put("stray/x", "not of the uploads");
  await Deno.symlink("/etc/passwd", `${partial}/link`);
  // held open, so that no other file is given their numbers once they are removed
  using _open = await Deno.open(`${partial}/not closed.csv`);
  using _other = await Deno.open(`${partial}/other.csv`);
  const { code, report } = await consolidate(given);
  assert.equal(code, 0, report);
  const batch = `${given.raw}/${FOLDER}`;
  assert.deepEqual(await filesBelow(batch), await filesBelow(given.uploads));
  assert.ok(await Deno.readTextFile(`${batch}/half.csv`) === large("3"));
  assert.ok(await Deno.readTextFile(`${batch}/other.csv`) === large("6"));
  const now = await Promise.all(
    ["whole/a.csv", "whole/two\nlines"].map((path) => Deno.stat(`${batch}/${path}`)),
  );
  assert.deepEqual(now.map(({ ino }) => ino), kept);
  const anew = await Promise.all(
    ["not closed.csv", "other.csv"].map((path) => Deno.stat(`${batch}/${path}`)),
  );
  assert.ok(
    anew.every(({ ino }) => ino !== open && ino !== other),
    "somebody may still write to it, or it differs",
  );
  assert.deepEqual((await filesBelow(given.raw)).filter((path) => path.includes("partial")), []);
});

/** Of 2^31 zero bytes and one 7, by another program. */
const SPARSE_SHA256 = "ac5c096114f5c7cac51b76e3e8674dbfa6dba69beec9a308aea9f9fb99b85498";

Deno.test(
  "consolidate.sh: files of mode 0600, empty, sparse and beyond 2 GiB arrive whole",
  { ignore },
  async () => {
    await using given = await volumes();
    await upload(given, "closed.csv", "mine", 0o600);
    await upload(given, "empty", "", 0o400);
    await upload(given, "sparse.bin", "");
    const sizeBytes = 2 ** 31 + 1;
    const file = await Deno.open(`${given.uploads}/sparse.bin`, { write: true });
    await file.truncate(sizeBytes);
    await file.seek(sizeBytes - 1, Deno.SeekMode.Start);
    await file.write(new Uint8Array([7]));
    file.close();
    const { code, report } = await consolidate(given);
    assert.equal(code, 0, report);
    const { files, bytes } = JSON.parse(report);
    assert.deepEqual([files, bytes], [3, sizeBytes + 4]);
    const batch = `${given.raw}/${FOLDER}`;
    using sparse = await Deno.open(`${batch}/sparse.bin`);
    await sparse.seek(-1, Deno.SeekMode.End);
    const last = new Uint8Array(1);
    await sparse.read(last);
    assert.deepEqual([(await sparse.stat()).size, ...last], [sizeBytes, 7]);
    const manifest = await Deno.readTextFile(`${batch}.sha256`);
    assert.ok(manifest.includes(`${SPARSE_SHA256}  ./sparse.bin\n`), manifest);
    for (const path of ["closed.csv", "empty"]) {
      const { uid, gid, mode } = await Deno.stat(`${batch}/${path}`);
      assert.deepEqual([uid, gid, (mode ?? 0) & 0o777], [HOLDER, GROUP, 0o640], path);
    }
  },
);
