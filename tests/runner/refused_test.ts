import assert from "node:assert/strict";
import { retryNow } from "../../src/store/job_transitions.ts";
import { acceptRefused, refusedUploads } from "../../src/store/refused_uploads.ts";
import { PERMIT, type Stage, withStage } from "./stage.ts";

const KEY = "uploads/hospital-a";
const OWNED = { uid: 1, gid: 1, mode: 0o644 };
const ANNA = { kind: "operator", id: "anna" } as const;

/** A permit whose uploads hold a file and a link, and the job that was refused because of it. */
async function refused(stage: Stage): Promise<number> {
  await stage.job((await stage.status("AWAITING_INGRESS")).jobId, "succeeded");
  await stage.job((await stage.send("permit.ingress.initiated")).jobId, "succeeded");
  stage.inside.writeFile(PERMIT, KEY, "table.csv", { text: "rows", ...OWNED });
  stage.inside.writeFile(PERMIT, KEY, "link", { text: "", ...OWNED, link: "/etc/passwd" });
  const { jobId } = await stage.status("DATA_PREPARATION_PENDING");
  const job = await stage.job(jobId, "failed");
  assert.equal(job.reason, "consolidation-refused");
  assert.match(
    job.message ?? "",
    /^Cannot consolidate uploads\/hospital-a: 1 entry is neither file nor folder/,
  );
  return jobId;
}

async function accept(stage: Stage, jobId: number): Promise<string> {
  const [list] = await refusedUploads(stage.db, PERMIT);
  assert.ok(list !== undefined);
  await stage.db.write(async (tx) => {
    await acceptRefused(tx, PERMIT, list.key, list.listHash, ANNA, stage.clock.now());
    await retryNow(tx, jobId, stage.clock.now());
  });
  stage.wake();
  return list.listHash;
}

/** What raw holds of the refused holder. */
const raw = (stage: Stage): string[] =>
  Object.keys(stage.inside.files(PERMIT, "raw") ?? {}).filter((path) => path.startsWith("hospital-a/"))
    .sort();

Deno.test("attempt: refused uploads stay, nobody gets them, until their list is accepted; then they go", () =>
  withStage(async (stage) => {
    const jobId = await refused(stage);
    assert.deepEqual(Object.keys(stage.inside.files(PERMIT, KEY) ?? {}).sort(), ["link", "table.csv"]);
    const workspaces = stage.truth().pods.filter(({ kind }) => kind === "workspace");
    assert.deepEqual([raw(stage), workspaces], [[], []]);
    await accept(stage, jobId);
    await stage.latest("succeeded");
    assert.deepEqual(raw(stage), ["hospital-a/batch-1.sha256", "hospital-a/batch-1/table.csv"]);
    const manifest = stage.inside.files(PERMIT, "raw")?.["hospital-a/batch-1.sha256"]?.text ?? "";
    assert.match(manifest, /\n# left out: link \.\/link -> \/etc\/passwd\n$/);
    assert.equal(stage.inside.files(PERMIT, KEY), null, "only now they are destroyed");
    assert.deepEqual(stage.truth().pods.map(({ of, ready }) => [of, ready]), [[
      "preprocessing/m.keller",
      true,
    ]]);
    assert.deepEqual(await refusedUploads(stage.db, PERMIT), []);
  }));

Deno.test("attempt: an accepted list that has changed since is refused anew, with the new list", () =>
  withStage(async (stage) => {
    const jobId = await refused(stage);
    stage.inside.writeFile(PERMIT, KEY, "another", { text: "", ...OWNED, link: "x" });
    const accepted = await accept(stage, jobId);
    const job = await stage.until("it is refused anew", async () => {
      const job = await stage.latest("failed");
      return job.id > jobId && job;
    });
    assert.equal(job.reason, "consolidation-refused");
    const [list] = await refusedUploads(stage.db, PERMIT);
    assert.deepEqual([list?.count, list?.acceptedAtMs], [2, null]);
    assert.notEqual(list?.listHash, accepted);
    assert.deepEqual(raw(stage), []);
    await accept(stage, job.id);
    await stage.latest("succeeded");
    assert.deepEqual(raw(stage), ["hospital-a/batch-1.sha256", "hospital-a/batch-1/table.csv"]);
  }, { withoutDrift: true }));

Deno.test("attempt: entries that were removed need nobody's word: the next attempt looks anew", () =>
  withStage(async (stage) => {
    const jobId = await refused(stage);
    stage.inside.writeFile(PERMIT, KEY, "link", { text: "what it pointed to", ...OWNED });
    const again = await stage.db.write((tx) => retryNow(tx, jobId, stage.clock.now()));
    stage.wake();
    await stage.job(again, "succeeded");
    assert.deepEqual(raw(stage), [
      "hospital-a/batch-1.sha256",
      "hospital-a/batch-1/link",
      "hospital-a/batch-1/table.csv",
    ]);
  }));

Deno.test("attempt: a refused job starts its consolidation once, however long it is left", () =>
  withStage(async (stage) => {
    const jobId = await refused(stage);
    const steps = (await stage.steps(jobId)).filter(({ kind }) => kind === "consolidate");
    assert.equal(steps.length, 2, "one for each holder");
  }, { withoutDrift: true }));

Deno.test("attempt: one refused holder holds up the other only as long as nobody decides", () =>
  withStage(async (stage) => {
    const jobId = await refused(stage);
    const other = "uploads/hospital-b";
    assert.equal(stage.truth().tasks.find(({ key }) => key === other)?.state, "succeeded");
    assert.notEqual(stage.inside.files(PERMIT, other), null);
    await accept(stage, jobId);
    await stage.latest("succeeded");
    assert.equal(stage.inside.files(PERMIT, other), null);
    assert.ok("hospital-b/batch-1.sha256" in (stage.inside.files(PERMIT, "raw") ?? {}));
  }));
