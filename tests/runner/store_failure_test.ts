import assert from "node:assert/strict";
import { z } from "zod";
import { listAudit } from "../../src/store/audit.ts";
import type { Db } from "../../src/store/db.ts";
import { MEMBERS } from "../core/plan_fixture.ts";
import { FlakyDb } from "./flaky_db.ts";
import { type Stage, withStage } from "./stage.ts";

const NONE = (): boolean => false;

/** One permit to analysis and back to setup on a store that fails as `fails` says; returns the number of commits. */
async function journeyOn(
  fails: (commit: number) => boolean,
  loses: (commit: number) => boolean = NONE,
): Promise<number> {
  let flaky: FlakyDb | null = null;
  const wrap = (db: Db): Db => flaky = new FlakyDb(db);
  let commits = 0;
  await withStage(async (stage) => {
    assert.ok(flaky !== null);
    flaky.fails = fails;
    flaky.loses = loses;
    for (const word of ["ANALYSIS_ACTIVE", "WORKSPACE_SETUP_PENDING"]) {
      await stage.status(word);
      await stage.latest("succeeded");
    }
    flaky.fails = flaky.loses = () => false;
    commits = flaky.commits;
    if (loses === NONE) assertExactRows(stage, await stepRows(stage));
    await judge(stage);
  }, { wrap, withoutDrift: true });
  return commits;
}

type StepRows = (outcomes: string[]) => string[];

/** Audited steps by outcome, as "start research/a". */
async function stepRows(stage: Stage): Promise<StepRows> {
  const { items } = await listAudit(stage.db, {}, { cursor: null, limit: 500 });
  return (outcomes) =>
    items.filter(({ action, outcome }) => action.startsWith("step.") && outcomes.includes(outcome))
      .map(({ action, target }) => `${action.slice(5)} ${target}`).sort();
}

/** A transaction that was rolled back after the intention was written leaves neither row nor action. */
function assertExactRows(stage: Stage, rows: StepRows): void {
  const asked = stage.driver.kinds().sort();
  assert.deepEqual(rows(["intended"]), asked, "each action was intended on record, and nothing else was");
  assert.deepEqual(rows(["done", "failed"]), asked, "and each has its outcome");
}

/** Everything that was done is on record, and nothing hangs. */
async function judge(stage: Stage): Promise<void> {
  const rows = await stepRows(stage);
  const intended = new Set(rows(["intended"]));
  assert.deepEqual(stage.driver.kinds().filter((kind) => !intended.has(kind)), [], "no row, no action");
  const open = await stage.db.read(
    "select id from steps where outcome = 'running'",
    [],
    z.object({ id: z.number() }),
  );
  assert.deepEqual(open, [], "no step is left running");
  const { runner } = stage;
  // Whoever was told that the end was not written writes it once more.
  await stage.until("no slot is lost", () => runner.health().working === 0 && runner.health().open === 0);
  const snapshot = await stage.snapshot();
  assert.equal(snapshot.status, "RUNNING");
  assert.deepEqual(
    snapshot.rows.map(({ status }) => status),
    ["RUNNING", "RUNNING"],
    "the rows are the last ones seen",
  );
  for (const { key, instanceUid } of snapshot.rows) {
    assert.ok(stage.truth().pods.some(({ of, uid }) => of === key && uid === instanceUid), key);
  }
}

Deno.test("runner: a disk that is full at any single commit loses nothing and is recovered from", async () => {
  const commits = await journeyOn(() => false);
  assert.ok(commits > 15, `${commits} commits`);
  for (let nth = 1; nth <= commits; nth++) await journeyOn((commit) => commit === nth);
});

Deno.test("runner: a commit whose answer is lost leaves no job that nobody works on", async () => {
  const commits = await journeyOn(() => false);
  for (let nth = 1; nth <= commits; nth++) {
    await journeyOn(() => false, (commit) => commit === nth);
  }
});

Deno.test("runner: a disk that stays full for a while at any commit neither", async () => {
  for (let nth = 1; nth <= 30; nth += 3) await journeyOn((commit) => commit >= nth && commit < nth + 4);
});

Deno.test("runner: what the store refuses for good does not keep a job from ending", async () => {
  await withStage(async (stage) => {
    await stage.db.write((tx) =>
      tx.script(
        `create trigger no_outcome before insert on audit when new.action = 'step.start' and new.outcome = 'done'
         begin select raise(abort, 'never'); end`,
      )
    );
    const { jobId } = await stage.status("WORKSPACE_SETUP_PENDING");
    const job = await stage.job(jobId, "succeeded");
    assert.equal(job.attempt, 2, "the attempt ended with a fault, and the next found it done");
    assert.ok(
      stage.log.some((line) => /ERROR cannot record how the attempt ended .*never/.test(line)),
      "it is told",
    );
    assert.equal(stage.runner.health().open, 0);
  }, { withoutDrift: true });
});

Deno.test("runner: says in its health that the store fails, and goes on by itself", async () => {
  let flaky: FlakyDb | null = null;
  const wrap = (db: Db): Db => flaky = new FlakyDb(db);
  await withStage(async (stage) => {
    assert.ok(flaky !== null);
    flaky.fails = () => true;
    const { jobId } = await stage.status("ARCHIVED");
    await stage.until("it says so", () => stage.runner.health().state === "failing");
    assert.match(stage.runner.health().lastError ?? "", /the disk is full/);
    flaky.fails = () => false;
    await stage.job(jobId, "succeeded");
    assert.deepEqual([stage.runner.health().state, stage.runner.health().lastError], ["running", null]);
  }, { wrap, withoutDrift: true });
});

for (const fullMs of [33_000, 65_000]) {
  Deno.test(`runner: a halt that a disk took after ${fullMs / 1000} s of being full is carried out at once`, async () => {
    let flaky: FlakyDb | null = null;
    const wrap = (db: Db): Db => flaky = new FlakyDb(db);
    await withStage(async (stage) => {
      assert.ok(flaky !== null);
      await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
      await stage.send("permit.status.updated", {
        researchers: [...MEMBERS.researchers, { username: "n.new", uid: 21077, gid: 21077 }],
      });
      await stage.clock.sleep(30);
      flaky.fails = () => true;
      await stage.clock.sleep(fullMs);
      flaky.fails = () => false;
      const [begunMs, asked] = [stage.clock.now(), stage.driver.asked.length];
      await stage.send("permit.halted");
      const cut = await stage.until(
        "cut",
        () => stage.driver.asked.slice(asked).find(({ kind }) => kind === "cut-network"),
      );
      assert.ok(cut.atMs - begunMs < 1_000, `${cut.atMs - begunMs} ms after the halt`);
    }, { wrap });
  });
}
