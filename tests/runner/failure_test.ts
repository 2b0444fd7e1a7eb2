import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { listAudit } from "../../src/store/audit.ts";
import { pendingOutbox } from "../../src/store/outbox.ts";
import { PERMIT, type Stage, WAITS, withStage } from "./stage.ts";

const away = (retryAfterMs?: number): Fault =>
  new Fault("retry", "unavailable", "Cannot reach the API server", { retryAfterMs });

async function news(stage: Stage, key: string): Promise<string[]> {
  return (await pendingOutbox(stage.db, "workspace.events", 500)).filter((message) => message.key === key)
    .map(({ payload }) => `${Reflect.get(payload, "workspace")}`).sort();
}

Deno.test("failure: attempts are spaced by doubling delays, half of it jitter, and are bounded", async () => {
  await withStage(async (stage) => {
    stage.driver.before = () => {
      throw away();
    };
    const { jobId } = await stage.status("WORKSPACE_SETUP_PENDING");
    for (const [index, doubledMs] of [2_000, 4_000, 8_000].entries()) {
      const queued = await stage.until("it is queued again", async () => {
        const job = await stage.latest("queued");
        return job.attempt === index + 1 && job;
      });
      const delayMs = queued.runAtMs - stage.clock.now();
      assert.ok(
        delayMs > doubledMs / 2 - 1_500 && delayMs <= doubledMs,
        `attempt ${index + 1}: ${delayMs} ms`,
      );
      assert.deepEqual([queued.reason, queued.message], ["unavailable", "Cannot reach the API server"]);
    }
    const failed = await stage.job(jobId, "failed");
    assert.equal(failed.attempt, 4);
  }, { withoutDrift: true });
});

Deno.test("failure: a server's Retry-After is obeyed", async () => {
  await withStage(async (stage) => {
    let refused = false;
    stage.driver.before = () => {
      if (refused) return;
      refused = true;
      throw away(90_000);
    };
    const beganMs = stage.clock.now();
    const { jobId } = await stage.status("WORKSPACE_SETUP_PENDING");
    await stage.job(jobId, "succeeded");
    assert.ok(stage.clock.now() - beganMs >= 90_000);
  });
});

Deno.test("failure: what a failed provisioning half made is stopped, the rest and all volumes stay", async () => {
  await withStage(async (stage) => {
    const one = { researchers: [{ username: "j.virtanen", uid: 21001, gid: 21001 }] };
    const two = { researchers: [...one.researchers, { username: "l.maes", uid: 21002, gid: 21002 }] };
    const begin = await stage.send("permit.status.updated", { status: "ANALYSIS_ACTIVE", ...one });
    await stage.job(begin.jobId, "succeeded");
    const [serving] = stage.truth().pods;
    stage.driver.before = ({ kind, target }) => {
      if (kind !== "prove-isolation" || target !== "research/l.maes") return;
      throw new Fault("stalled", "isolation-unproven", "Cannot show that research/l.maes is isolated", {
        advice: "Look at the policies",
      });
    };
    const { jobId } = await stage.send("permit.status.updated", two);
    const failed = await stage.job(jobId, "failed");
    assert.deepEqual([failed.reason, failed.advice, failed.attempt], [
      "isolation-unproven",
      "Look at the policies",
      1,
    ]);
    await stage.clock.sleep(2_000);
    const { pods, volumes } = stage.truth();
    assert.deepEqual(pods.map(({ uid, of, enters }) => [uid, of, enters]), [
      [serving?.uid, "research/j.virtanen", ["gateway"]],
    ], "who works is not disturbed");
    assert.ok(volumes.some(({ key }) => key === "home/l.maes"), "no volume is touched");
    const { status, rows } = await stage.snapshot();
    assert.equal(status, "FAILED");
    assert.deepEqual(rows.map(({ key, status }) => [key, status]), [
      ["research/j.virtanen", "RUNNING"],
      ["research/l.maes", "FAILED"],
    ]);
    assert.deepEqual(await news(stage, "workspace.failed"), ["research/l.maes"], "others are told");
    const { items } = await listAudit(stage.db, { jobId, action: "job.failed" }, { cursor: null, limit: 10 });
    assert.equal(items[0]?.reason, failed.message);
  }, { withoutDrift: true });
});

Deno.test("failure: a way back that fails too is told, and the failure stands", async () => {
  await withStage(async (stage) => {
    stage.driver.before = ({ kind }) => {
      if (kind === "prove-isolation") throw new Fault("stalled", "isolation-unproven", "Cannot prove it");
      if (kind === "stop") throw away();
    };
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    const failed = await stage.job(jobId, "failed");
    assert.equal(failed.reason, "isolation-unproven");
    assert.ok(stage.log.some((line) => line.includes("half-made compute could not be taken back")));
    assert.ok(stage.truth().pods.every(({ enters }) => enters.length === 0), "the network stays shut");
  }, { withoutDrift: true });
});

Deno.test("failure: a deadline names what was waited for, and what to do", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    const failed = await stage.job(jobId, "failed");
    const tookMs = (failed.endedAtMs ?? 0) - (failed.startedAtMs ?? 0);
    assert.ok(tookMs >= WAITS.readyMs && tookMs < WAITS.readyMs + 30_000, `${tookMs} ms`);
    assert.equal(failed.reason, "image-unavailable");
    assert.match(failed.message ?? "", /^Waited too long: pod research-j-virtanen-\w+-0 is .*ImagePull/);
    assert.match(failed.advice ?? "", /image/);
    assert.doesNotMatch(
      failed.advice ?? "",
      /by itself/,
      "its workspace was stopped: nothing pulls any more",
    );
    const waits = (await stage.steps(jobId)).filter(({ kind }) => kind === "await-ready");
    assert.deepEqual(waits.map(({ target, outcome }) => [target, outcome]).sort(), [
      ["research/j.virtanen", "failed"],
      ["research/l.maes", "abandoned"],
    ]);
  }, { settings: { brokenKinds: ["research"] }, withoutDrift: true });
});

Deno.test("failure: two waits beside each other each have their own deadline", async () => {
  await withStage(async (stage) => {
    // One pod comes up late: the other's wait must not inherit its beginning, nor end with it.
    stage.driver.hold(({ kind, target }) => kind === "start" && target === "research/l.maes");
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.until("it is held", () => stage.driver.waiting > 0);
    stage.driver.open();
    const { waitingFor } = await stage.until("both are named", async () => {
      const job = await stage.job(jobId, "running");
      return job.waitingFor !== null && job;
    });
    assert.match(waitingFor ?? "", /j[.-]virtanen.*; .*l[.-]maes/);
    await stage.job(jobId, "succeeded");
    const waits = (await stage.steps(jobId)).filter(({ kind }) => kind === "await-ready");
    assert.ok(waits.length >= 2 && waits.every(({ outcome }) => outcome === "waited"), JSON.stringify(waits));
  }, { settings: { readyMs: 30_000 } });
});

Deno.test("failure: halt and deletion never give up, whatever the fault", async () => {
  for (const type of ["permit.halted", "permit.deleted"]) {
    await withStage(async (stage) => {
      await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
      // An attempt asks ten times: two cuts, then twice the cuts again with two stops.
      let refusals = 60;
      stage.driver.before = () => {
        if (refusals-- > 0) throw new Fault("stalled", "denied", "Cannot do that: RBAC says no");
      };
      const { jobId } = await stage.send(type);
      const done = await stage.job(jobId, "succeeded");
      assert.ok(done.attempt > 4, `${type}: ${done.attempt} attempts`);
    });
  }
});

Deno.test("failure: an observation that the platform puts off is a named wait", async () => {
  await withStage(async (stage) => {
    let puts = 3;
    stage.driver.beforeObserve = () => {
      if (puts-- > 0) throw new Fault("wait", "terminating", `Cannot look: the namespace is going (${puts})`);
    };
    const { jobId } = await stage.status("WORKSPACE_SETUP_PENDING");
    await stage.until("it is named", async () => {
      return (await stage.job(jobId, "running")).waitingFor?.startsWith(
        "Cannot look: the namespace is going",
      );
    });
    await stage.job(jobId, "succeeded");
    const [wait] = (await stage.steps(jobId)).filter(({ target }) => target === "platform");
    assert.deepEqual([wait?.kind, wait?.outcome], ["await-gone", "waited"]);
  });
});

Deno.test("failure: a permit whose wish cannot be computed stalls, and takes nothing along", async () => {
  await withStage(async (stage) => {
    await stage.status("ANALYSIS_ACTIVE");
    await stage.latest("succeeded");
    await stage.db.write((tx) =>
      tx.run("update permits set accounts = '{}' where permit_id = ?", [PERMIT]).then(() => {})
    );
    const other = await stage.status("ANALYSIS_ACTIVE", "permit-002");
    await stage.db.write(async (tx) => {
      await tx.run(
        `insert into jobs (permit_id, kind, state, priority, version, run_at_ms, created_at_ms)
         values (?, 'reconcile', 'queued', 50, 1, 0, 0)`,
        [PERMIT],
      );
    });
    stage.wake();
    const failed = await stage.latest("failed");
    assert.match(failed.message ?? "", /has no account/);
    await stage.job(other.jobId, "succeeded");
    assert.equal(stage.truth().pods.length, 2, "who works goes on working");
  }, { withoutDrift: true });
});

/** Nobody of the permit has an account any more: nothing that runs can be worked out. */
const loseAccounts = (stage: Stage): Promise<unknown> =>
  stage.db.write((tx) => tx.run("update permits set accounts = '{}' where permit_id = ?", [PERMIT]));

const TAKING: [what: string, type: string, data: Record<string, unknown>, state: "failed" | "succeeded"][] = [
  ["a stop", "permit.workspace.stop_requested", {}, "failed"],
  ["a phase that names nothing", "permit.status.updated", { status: "ARCHIVED" }, "succeeded"],
  ["a phase with another network", "permit.status.updated", { status: "WORKSPACE_SETUP_PENDING" }, "failed"],
  ["a phase of other people", "permit.status.updated", { status: "DATA_PREPARATION_PENDING" }, "failed"],
];
for (const [what, type, data, state] of TAKING) {
  Deno.test(`failure: ${what} takes access away also where the wish cannot be worked out, and says why`, async () => {
    await withStage(async (stage) => {
      await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
      // What the event writes, without the accounts that it would settle anew.
      await stage.db.write((tx) =>
        tx.script(
          "create trigger forget after update of version on permits begin update permits set accounts = '{}'; end",
        )
      );
      const { jobId } = await stage.send(type, data);
      const ended = await stage.job(jobId, state);
      assert.deepEqual(stage.truth().pods, [], "nothing runs");
      if (state === "succeeded") return;
      assert.match(ended.message ?? "", /has no account/);
      assert.equal((await stage.snapshot()).status, "FAILED");
    }, { withoutDrift: true });
  });
}

Deno.test("failure: halt and deletion need no wish that can be worked out", async () => {
  for (const [type, word] of [["permit.halted", "HALTED"], ["permit.deleted", "DESTROYED"]] as const) {
    await withStage(async (stage) => {
      await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
      await loseAccounts(stage);
      const { jobId } = await stage.send(type);
      await stage.job(jobId, "succeeded");
      assert.deepEqual(stage.truth().pods, []);
      assert.equal((await stage.snapshot()).status, word);
    });
  }
});

Deno.test("failure: a status without a phase file gives nobody access, told and mended by the file", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    const setStatus = (status: string): Promise<unknown> =>
      stage.db.write((tx) => tx.run("update permits set status = ? where permit_id = ?", [status, PERMIT]));
    await setStatus("SITE_OWN");
    await stage.until("the drift pass has taken it away", () => stage.truth().pods.length === 0);
    const failed = await stage.latest("failed");
    assert.match(failed.message ?? "", /no phase file describes status SITE_OWN/);
    assert.match(failed.advice ?? "", /wps phases check/);
    const { status, rows } = await stage.snapshot();
    assert.deepEqual([status, [...new Set(rows.map((row) => row.status))]], ["FAILED", ["FAILED"]]);
    await setStatus("ANALYSIS_ACTIVE");
    await stage.until("it is given back", async () => (await stage.snapshot()).status === "RUNNING");
  });
});
