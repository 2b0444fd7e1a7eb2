import assert from "node:assert/strict";
import { z } from "zod";
import { Fault } from "../../src/core/fault.ts";
import { listAudit } from "../../src/store/audit.ts";
import { countJobs } from "../../src/store/job_counts.ts";
import { getJob } from "../../src/store/jobs.ts";
import { PERMIT, type Stage, WAITS, withStage } from "./stage.ts";

const conflict = (): Fault => new Fault("retry", "conflict", "Cannot write statefulset x: it changed");

/** Lets the first `times` actions of a kind fail. */
function failing(stage: Stage, kind: string, times: number, fault: () => Fault): { left: number } {
  const counter = { left: times };
  stage.driver.before = (asked) => {
    if (asked.kind !== kind || counter.left === 0) return;
    counter.left--;
    throw fault();
  };
  return counter;
}

Deno.test("attempt: a wait costs few looks, however long it lasts", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.until(
      "it waits",
      async () => (await stage.steps(jobId)).some(({ kind }) => kind === "await-ready"),
    );
    const before = stage.driver.observed.get(PERMIT) ?? 0;
    await stage.clock.sleep(5 * 60_000);
    const looks = (stage.driver.observed.get(PERMIT) ?? 0) - before;
    assert.ok(looks > 55 && looks < 75, `${looks} looks in five minutes, one each 5 s is asked for`);
  }, { settings: { readyMs: 600_000 }, withoutDrift: true });
});

Deno.test("attempt: a conflict is answered by looking again, within the same attempt", async () => {
  await withStage(async (stage) => {
    failing(stage, "start", 3, conflict);
    const { jobId } = await stage.status("WORKSPACE_SETUP_PENDING");
    const job = await stage.job(jobId, "succeeded");
    assert.equal(job.attempt, 1);
    const failed = (await stage.steps(jobId)).filter(({ outcome }) => outcome === "failed");
    assert.ok(failed.length === 3 && failed.every(({ detail }) => detail?.includes("it changed")));
  });
});

Deno.test("attempt: conflicts without end are a fault, and the job is retried", async () => {
  await withStage(async (stage) => {
    failing(stage, "start", 20, conflict);
    const { jobId } = await stage.status("WORKSPACE_SETUP_PENDING");
    const queued = await stage.retry(jobId);
    assert.deepEqual([queued.attempt, queued.reason], [1, "conflict"]);
    assert.equal((await stage.job(jobId, "succeeded")).attempt, 2);
  });
});

Deno.test("attempt: what the platform puts off is a named wait with a deadline, and gives its slot back", async () => {
  await withStage(async (stage) => {
    const text = "Cannot start research/l.maes: pod x is still there";
    failing(stage, "start", 1_000_000, () => new Fault("wait", "terminating", text));
    const { jobId } = await stage.status("WORKSPACE_SETUP_PENDING");
    await stage.until("it waits", async () => (await stage.job(jobId, "running")).waitingFor === text);
    assert.equal(stage.runner.health().working, 0);
    const other = await stage.status("ARCHIVED", "permit-002");
    await stage.job(other.jobId, "succeeded", 1_000);
    const failed = await stage.job(jobId, "failed");
    assert.deepEqual([failed.reason, failed.attempt, failed.message], [
      "terminating",
      1,
      `Waited too long: ${text}`,
    ]);
    const waitedMs = (failed.endedAtMs ?? 0) - (failed.startedAtMs ?? 0);
    assert.ok(waitedMs >= WAITS.goneMs && waitedMs < WAITS.goneMs + 60_000, `after ${waitedMs} ms`);
  }, { limits: { parallelPermits: 1 } });
});

Deno.test("attempt: steps that are acknowledged again and again without effect are no endless loop", async () => {
  await withStage(async (stage) => {
    const apply = stage.driver.apply.bind(stage.driver);
    stage.driver.apply = (action, context) =>
      action.kind === "start" ? Promise.resolve({ detail: "of course" }) : apply(action, context);
    const { jobId } = await stage.status("WORKSPACE_SETUP_PENDING");
    const failed = await stage.job(jobId, "failed");
    assert.match(
      failed.message ?? "",
      /^Cannot settle ensure-identity \S+: acknowledged \d times, yet nothing changed$/,
    );
    const asked = (await stage.steps(jobId)).filter(({ kind, attempt }) => kind === "start" && attempt === 1);
    // Two researchers; the first rounds also make and retain volumes.
    assert.ok(asked.length <= 2 * 10, `${asked.length} times`);
  });
});

Deno.test("attempt: a consolidation that fails ends the attempt with its words, and is tried again later", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("AWAITING_INGRESS")).jobId, "succeeded");
    await stage.job((await stage.send("permit.ingress.initiated")).jobId, "succeeded");
    const file = { text: "rows", uid: 1, gid: 1, mode: 0o600 };
    stage.inside.writeFile(PERMIT, "uploads/hospital-a", "unreadable.csv", file);
    const { jobId } = await stage.status("DATA_PREPARATION_PENDING");
    const queued = await stage.retry(jobId);
    assert.deepEqual([queued.reason, queued.attempt], ["consolidation-failed", 1]);
    assert.match(queued.message ?? "", /^Cannot consolidate uploads\/hospital-a: Cannot read unreadable.csv/);
    assert.match(queued.advice ?? "", /^The uploads are untouched/);
    stage.inside.writeFile(PERMIT, "uploads/hospital-a", "unreadable.csv", { ...file, mode: 0o644 });
    assert.equal((await stage.job(jobId, "succeeded")).attempt, 2);
    const started = (await stage.steps(jobId)).filter(({ kind }) => kind === "consolidate");
    assert.equal(started.length, 3, "one each, and the failed one once more");
  });
});

Deno.test("attempt: an obstacle stalls the job by name, and takes away all the same", async () => {
  await withStage(async (stage) => {
    const observe = stage.driver.observe.bind(stage.driver);
    await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
    const uids = stage.truth().pods.map(({ uid }) => uid);
    stage.driver.observe = async (permitId, signal) => {
      const observed = await observe(permitId, signal);
      return { ...observed, foreign: [{ object: "Secret x", why: "it is not ours" }] };
    };
    const before = stage.driver.asked.length;
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    const failed = await stage.job(jobId, "failed");
    assert.equal(failed.reason, "foreign-object");
    assert.ok(
      !stage.truth().pods.some(({ uid }) => uids.includes(uid)),
      "what had to go is gone all the same",
    );
    const kinds = new Set(stage.driver.asked.slice(before).map(({ kind }) => kind));
    assert.deepEqual([...kinds].sort(), ["cut-network", "stop"]);
  });
});

Deno.test("attempt: without an audit row nothing is done (invariant 6)", async () => {
  await withStage(async (stage) => {
    await stage.db.write((tx) =>
      tx.script(
        `create trigger no_audit before insert on audit when new.action like 'step.%'
         begin select raise(abort, 'the audit is away'); end`,
      )
    );
    const { jobId } = await stage.status("WORKSPACE_SETUP_PENDING");
    await stage.job(jobId, "failed");
    assert.deepEqual(stage.driver.asked, []);
    assert.deepEqual(await stage.steps(jobId), [], "a step that could not be audited has not begun");
  });
});

Deno.test("attempt: each action has an audit row of its intention before it, and one of its outcome", async () => {
  await withStage(async (stage) => {
    const rows = async (outcome: string): Promise<string[]> => {
      const { items } = await listAudit(stage.db, {}, { cursor: null, limit: 500 });
      return items.filter((row) => row.action.startsWith("step.") && row.outcome === outcome)
        .map(({ action, target }) => `${action.slice(5)} ${target}`).reverse();
    };
    stage.driver.before = async ({ kind, target }) => {
      assert.ok(
        (await rows("intended")).includes(`${kind} ${target}`),
        `${kind} ${target} was not audited before`,
      );
    };
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    assert.deepEqual((await rows("intended")).sort(), stage.driver.kinds().sort());
    assert.deepEqual((await rows("done")).sort(), stage.driver.kinds().sort());
  });
});

Deno.test("attempt: one whose claim is lost does nothing more and writes no outcome of the job", async () => {
  await withStage(async (stage) => {
    stage.driver.hold(({ kind }) => kind === "ensure-identity");
    const { jobId } = await stage.status("WORKSPACE_SETUP_PENDING");
    await stage.until("it works", () => stage.driver.waiting > 0);
    const done = (await stage.job(jobId, "running")).stepsDone;
    // What another instance's claim would do.
    await stage.db.write((tx) =>
      tx.run("update jobs set fence = fence + 1, boot_epoch = 'rival' where id = ?", [jobId]).then(() => {})
    );
    const before = stage.driver.asked.length;
    stage.driver.open();
    await stage.clock.sleep(60_000);
    assert.deepEqual(stage.driver.kinds().slice(before), [], "nothing is applied without the claim");
    const job = await stage.job(jobId, "running");
    assert.deepEqual([job.bootEpoch, job.stepsDone, job.reason], ["rival", done, null]);
    assert.equal(stage.runner.health().open, 0);
    const { items } = await listAudit(stage.db, { jobId }, { cursor: null, limit: 100 });
    const ended = items.filter(({ outcome }) => outcome === "done").map(({ action }) => action);
    assert.ok(ended.includes("step.ensure-identity"), "what was done was done, and is told");
    assert.ok(!ended.some((action) => action.startsWith("job.")));
  }, { withoutDrift: true });
});

Deno.test("attempt: a claim lost while it waits ends the wait", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.until("it waits", async () => (await stage.job(jobId, "running")).waitingFor !== null);
    await stage.db.write((tx) =>
      tx.run("update jobs set fence = fence + 1 where id = ?", [jobId]).then(() => {})
    );
    await stage.clock.sleep(10_000);
    assert.equal(stage.runner.health().open, 0);
  }, { settings: { readyMs: 600_000 }, withoutDrift: true });
});

Deno.test("attempt: progress never goes back, and ends at 100 %", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    const seen: { done: number; total: number }[] = [];
    await stage.until("it ends", async () => {
      const job = await getJob(stage.db, jobId);
      if (job !== null) seen.push({ done: job.stepsDone, total: job.stepsTotal });
      return job?.state === "succeeded";
    });
    for (const [index, { done, total }] of seen.entries()) {
      assert.ok(done <= total, JSON.stringify(seen));
      assert.ok(done >= (seen[index - 1]?.done ?? 0), `done falls: ${JSON.stringify(seen)}`);
    }
    const last = seen.at(-1);
    assert.ok(last !== undefined && last.done === last.total && last.total > 8, JSON.stringify(last));
    const totals = [...new Set(seen.map(({ total }) => total).filter((total) => total > 0))];
    assert.equal(totals.length, 1, `the total is known from the first plan on: ${totals}`);
  });
});

Deno.test("attempt: only one job of a permit runs at a time", async () => {
  await withStage(async (stage) => {
    await stage.db.write((tx) =>
      tx.script(
        `create table running_at_once (many integer);
         create trigger watch_running after update of state on jobs when new.state = 'running' begin
           insert into running_at_once select count(*) from jobs where state = 'running' and permit_id = new.permit_id;
         end`,
      )
    );
    for (const word of ["WORKSPACE_SETUP_PENDING", "ANALYSIS_ACTIVE", "ARCHIVED", "ANALYSIS_ACTIVE"]) {
      await stage.status(word);
      await stage.clock.sleep(100);
    }
    await stage.latest("succeeded");
    const [most] = await stage.db.read(
      "select max(many) as most from running_at_once",
      [],
      z.object({ most: z.number() }),
    );
    assert.equal(most?.most, 1);
    const counts = await countJobs(stage.db);
    assert.deepEqual([counts.queued, counts.running, counts.failed], [0, 0, 0]);
  });
});
