import assert from "node:assert/strict";
import { PERMIT, type Stage, withStage } from "./stage.ts";

async function ingress(stage: Stage): Promise<void> {
  await stage.job((await stage.status("AWAITING_INGRESS")).jobId, "succeeded");
  await stage.job((await stage.send("permit.ingress.initiated")).jobId, "succeeded");
}

function upload(stage: Stage, text: string): void {
  for (const holder of ["hospital-a", "hospital-b"]) {
    assert.ok(
      stage.inside.writeInside(
        PERMIT,
        `airlock/${holder}`,
        `/uploads/${holder}/rows.csv`,
        `${text} ${holder}`,
      ),
    );
  }
}

const rawFiles = (stage: Stage): string[] =>
  (stage.truth().volumes.find(({ key }) => key === "raw")?.files ?? []).map(({ path }) => path).sort();

const BATCH = (n: number): string[] =>
  ["hospital-a", "hospital-b"].flatMap((holder) => [
    `${holder}/batch-${n}.sha256`,
    `${holder}/batch-${n}/rows.csv`,
  ]);

Deno.test("volumes: uploads that were destroyed after their copy do not stand in the way of a second ingress", async () => {
  await withStage(async (stage) => {
    await ingress(stage);
    upload(stage, "first");
    await stage.job((await stage.status("DATA_PREPARATION_PENDING")).jobId, "succeeded");
    assert.deepEqual(rawFiles(stage), BATCH(1));
    await ingress(stage);
    upload(stage, "second");
    await stage.job((await stage.status("DATA_PREPARATION_PENDING")).jobId, "succeeded");
    assert.deepEqual(rawFiles(stage), [...BATCH(1), ...BATCH(2)].sort(), "nothing there is overwritten");
    const first = stage.truth().volumes.find(({ key }) => key === "raw")?.files
      .find(({ path }) => path === "hospital-a/batch-1/rows.csv");
    assert.equal(first?.text, "first hospital-a");
    const uploads = (await stage.volumes()).filter(({ key }) => key.startsWith("uploads/"));
    assert.deepEqual(uploads.map(({ key, destroyed }) => [key, destroyed]), [
      ["uploads/hospital-a", true],
      ["uploads/hospital-a@2", true],
      ["uploads/hospital-b", true],
      ["uploads/hospital-b@2", true],
    ]);
    assert.ok(stage.truth().volumes.every(({ key }) => !key.startsWith("uploads/")));
  });
});

Deno.test("volumes: a crash between the intention to destroy uploads and the deed is made good", async () => {
  await withStage(async (stage) => {
    await ingress(stage);
    upload(stage, "rows");
    stage.driver.hold(({ kind }) => kind === "destroy-volume");
    const { jobId } = await stage.status("DATA_PREPARATION_PENDING");
    await stage.until("it is about to destroy", () => stage.driver.waiting === 2);
    const marked = (await stage.volumes()).filter(({ destroyed }) => destroyed).map(({ key }) => key);
    assert.deepEqual(
      marked,
      ["uploads/hospital-a", "uploads/hospital-b"],
      "the intention is on record before the deed",
    );
    stage.driver.failHeld(new Error("the process dies here"));
    await stage.restart();
    await stage.job(jobId, "succeeded");
    assert.ok(stage.truth().volumes.every(({ key }) => !key.startsWith("uploads/")));
    assert.deepEqual(rawFiles(stage), BATCH(1));
  });
});

Deno.test("volumes: one that vanished stalls what would mount it, with advice, and disturbs nothing else", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    const other = await stage.status("ANALYSIS_ACTIVE", "permit-002");
    await stage.job(other.jobId, "succeeded");
    await stage.job((await stage.send("permit.workspace.stop_requested")).jobId, "succeeded");
    const before = stage.truth().volumes.map(({ key }) => key);
    stage.operator.deleteClaim(PERMIT, "prepared");
    stage.operator.loseBacking(PERMIT, "prepared");
    await stage.clock.sleep(1_000);
    const asked = stage.driver.asked.length;
    const { jobId } = await stage.send("permit.workspace.start_requested");
    const failed = await stage.job(jobId, "failed");
    assert.deepEqual([failed.reason, failed.attempt], ["volume-lost", 1]);
    assert.match(failed.message ?? "", /^Cannot mount prepared: the volume existed and is no longer there/);
    assert.match(failed.advice ?? "", /restore it from backup/);
    assert.deepEqual(
      stage.driver.asked.slice(asked).map(({ kind }) => kind),
      [],
      "nothing is made in its place",
    );
    assert.deepEqual(stage.truth().volumes.map(({ key }) => key), before.filter((key) => key !== "prepared"));
    assert.equal((await stage.snapshot()).status, "FAILED");
    assert.equal((await stage.snapshot("permit-002")).status, "RUNNING");
    await stage.job((await stage.send("permit.deleted")).jobId, "succeeded");
    assert.equal(stage.truth().scope, "absent", "a deletion does not mind");
  }, { withoutDrift: true });
});

Deno.test("volumes: whose claim somebody deleted is bound again to its data, without a job of anybody's", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    assert.ok(stage.inside.writeInside(PERMIT, "research/l.maes", "/data/outputs/result", "42"));
    await stage.job((await stage.send("permit.workspace.stop_requested")).jobId, "succeeded");
    stage.operator.deleteClaim(PERMIT, "outputs");
    await stage.clock.sleep(1_000);
    await stage.job((await stage.send("permit.workspace.start_requested")).jobId, "succeeded");
    assert.equal(stage.inside.readInside(PERMIT, "research/l.maes", "/data/outputs/result"), "42");
  });
});

Deno.test("volumes: taint is on record before the mount, and a way back to setup gets fresh ones", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
    stage.driver.before = async ({ kind }) => {
      if (kind !== "start") return;
      const tainted = (await stage.volumes()).filter((volume) => volume.tainted).map(({ key }) => key);
      const taintable = tainted.filter((key) => key !== "outputs" && key !== "prepared");
      assert.deepEqual(taintable, ["home/j.virtanen", "home/l.maes", "project"]);
    };
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    stage.driver.before = () => {};
    await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
    const mounted = stage.truth().pods.flatMap(({ mounts }) => mounts.map(({ volumeKey }) => volumeKey));
    assert.deepEqual([...new Set(mounted)].sort(), ["home/j.virtanen@2", "home/l.maes@2", "project@2"]);
  });
});

Deno.test("volumes: passwords go with the stop, and each start has its own", async () => {
  await withStage(async (stage) => {
    const hashes = (): (string | null)[] => stage.truth().identities.map(({ passwordHash }) => passwordHash);
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    const first = hashes();
    assert.equal(await stage.passwords(), 2);
    let lost = 2;
    // The stop is done, and the answer is lost: what was seen stopped counts.
    stage.driver.after = ({ kind }) => {
      if (kind === "stop" && lost-- > 0) throw new Error("the answer is lost");
    };
    await stage.job((await stage.send("permit.workspace.stop_requested")).jobId, "succeeded");
    assert.equal(await stage.passwords(), 0);
    await stage.job((await stage.send("permit.workspace.start_requested")).jobId, "succeeded");
    assert.equal(await stage.passwords(), 2);
    assert.ok(hashes().every((hash) => hash !== null && !first.includes(hash)));
  });
});
