import assert from "node:assert/strict";
import { Fault } from "../../../src/core/fault.ts";
import { LabCluster } from "../../../src/drivers/lab/cluster.ts";
import { LabDriver } from "../../../src/drivers/lab/driver.ts";
import { LabInside } from "../../../src/drivers/lab/inside.ts";
import { keepLab, loadLab, snapshotAt, type SnapshotFile } from "../../../src/drivers/lab/persist.ts";
import { DEFAULT_LAB_SETTINGS } from "../../../src/drivers/lab/settings.ts";
import { FS_GROUP, mount, volume, workspace } from "../../conformance/fixtures.ts";
import { FakeClock } from "../../fake_clock.ts";

/** A file in memory that counts its writes. */
function memoryFile(text: string | null = null): SnapshotFile & { text: string | null; writes: number } {
  return {
    name: "memory",
    text,
    writes: 0,
    read(): Promise<string | null> {
      return Promise.resolve(this.text);
    },
    write(given: string): Promise<void> {
      this.text = given;
      this.writes++;
      return Promise.resolve();
    },
  };
}

async function open(
  file: SnapshotFile,
  clock: FakeClock,
): Promise<{ cluster: LabCluster; driver: LabDriver }> {
  const state = await loadLab(file);
  const cluster = new LabCluster({
    clock,
    settings: DEFAULT_LAB_SETTINGS,
    ...(state === null ? {} : { state }),
  });
  return { cluster, driver: new LabDriver({ cluster, clock, persist: keepLab(cluster, file) }) };
}

/** Namespace, a volume and a workspace that is still starting; no close, as after SIGKILL. */
async function begin(driver: LabDriver, permitId = "p"): Promise<void> {
  const context = {
    permitId,
    signal: new AbortController().signal,
    password: () => Promise.resolve("secret-password"),
    hostKey: () => Promise.resolve("secret-key"),
  };
  const research = workspace("research/a", { mounts: [mount("project", "rw")] });
  await driver.apply({ kind: "ensure-scope", fsGroup: FS_GROUP, members: 2, seen: null }, context);
  await driver.apply({ kind: "ensure-volume", volume: volume("project"), seen: null }, context);
  await driver.apply({ kind: "ensure-identity", workspace: research, rotate: true }, context);
  await driver.apply({ kind: "start", workspace: research, seen: null }, context);
}

Deno.test("keepLab: what was acknowledged is found again, and goes on where it was", async () => {
  const clock = new FakeClock({ auto: true });
  const file = memoryFile();
  const first = await open(file, clock);
  await begin(first.driver);
  assert.ok(!file.text?.includes("secret-"), "no secret is in the file");
  const second = await open(file, clock);
  assert.equal(second.cluster.toJson(), first.cluster.toJson());
  await clock.sleep(10_000);
  const { workspaces, volumes } = await second.driver.observe("p", new AbortController().signal);
  assert.deepEqual(workspaces.map(({ key, instances }) => [key, instances[0]?.ready]), [[
    "research/a",
    true,
  ]]);
  assert.deepEqual(volumes.map(({ key, state }) => [key, state]), [["project", "bound"]]);
  clock.stop();
});

Deno.test("keepLab: a real file is replaced whole and readable by its owner only", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const clock = new FakeClock({ auto: true });
    const path = `${directory}/lab.json`;
    const first = await open(snapshotAt(path), clock);
    await begin(first.driver);
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o077, 0);
    const names = [...Deno.readDirSync(directory)].map(({ name }) => name);
    assert.deepEqual(names, ["lab.json"]);
    const second = await open(snapshotAt(path), clock);
    await clock.sleep(1_000);
    new LabInside(second.cluster).writeFile("p", "project", "x", { text: "1", uid: 1, gid: 1, mode: 0o600 });
    await second.driver.close();
    const third = await open(snapshotAt(path), clock);
    assert.equal(new LabInside(third.cluster).files("p", "project")?.["x"]?.text, "1");
    clock.stop();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("keepLab: many changes at once share a write", async () => {
  const clock = new FakeClock({ auto: true });
  const file = memoryFile();
  const cluster = new LabCluster({ clock, settings: DEFAULT_LAB_SETTINGS });
  const persist = keepLab(cluster, file);
  await Promise.all(Array.from({ length: 50 }, () => persist()));
  assert.equal(file.writes, 1);
  await persist();
  assert.equal(file.writes, 2);
});

Deno.test("keepLab: a change that cannot be kept is not acknowledged, and the next one may be", async () => {
  const clock = new FakeClock({ auto: true });
  const file = memoryFile();
  let full = true;
  const { driver } = await open({
    name: "full",
    read: () => file.read(),
    write: (text) => full ? Promise.reject(new Error("no space")) : file.write(text),
  }, clock);
  await assert.rejects(
    begin(driver),
    (thrown) =>
      thrown instanceof Fault && thrown.disposition === "retry" && thrown.reason === "unavailable" &&
      thrown.message.includes("full"),
  );
  full = false;
  await begin(driver, "q");
  assert.ok(file.text?.includes('"permitId":"q"'));
  clock.stop();
});

Deno.test("loadLab: refuses what is not a lab, and says which file", async () => {
  const cases: [string, RegExp, string][] = [
    ["{", /not JSON/, "a torn file"],
    ["{}", /format/, "another program's file"],
    ['{"format":2}', /format/, "a newer format"],
  ];
  for (const [text, message, why] of cases) {
    await assert.rejects(loadLab(memoryFile(text)), (thrown) => {
      assert.ok(thrown instanceof Fault && thrown.disposition === "stalled", why);
      assert.match(thrown.message, message);
      assert.match(thrown.message, /memory/);
      assert.ok(thrown.advice?.includes("memory"));
      return true;
    }, why);
  }
  assert.equal(await loadLab(memoryFile()), null, "no file: an empty lab");
});
