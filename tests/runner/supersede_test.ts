import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { JOB_PRIORITY } from "../../src/core/job.ts";
import { listAudit } from "../../src/store/audit.ts";
import { getJob } from "../../src/store/jobs.ts";
import type { Asked } from "./staged_driver.ts";
import { PERMIT, type Stage, withStage } from "./stage.ts";

const GIVES = new Set(["ensure-identity", "start", "open-network", "ensure-volume", "consolidate"]);

const isProof = ({ kind }: Asked): boolean => kind === "prove-isolation";

/** Counts the actions that lead from `from` to `to`. */
async function actionsOf(from: string | null, to: string): Promise<number> {
  let count = 0;
  await withStage(async (stage) => {
    if (from !== null) await stage.job((await stage.status(from)).jobId, "succeeded");
    const before = stage.driver.asked.length;
    await stage.job((await stage.status(to)).jobId, "succeeded");
    count = stage.driver.asked.length - before;
  });
  return count;
}

/** Begins a job, and lets `interrupt` come while its `nth` action is under way. */
async function interruptAt(
  nth: number,
  from: string | null,
  to: string,
  interrupt: (stage: Stage) => Promise<number>,
): Promise<void> {
  await withStage(async (stage) => {
    if (from !== null) await stage.job((await stage.status(from)).jobId, "succeeded");
    const before = stage.driver.asked.length;
    let holding: Asked | null = null;
    stage.driver.hold((asked) => {
      if (stage.driver.asked.length - before !== nth) return false;
      holding = asked;
      return true;
    });
    const { jobId } = await stage.status(to);
    await stage.until("the action is under way", () => holding !== null);
    const wave = new Set(
      (await stage.steps(jobId)).filter(({ outcome }) => outcome === "running").map((s) => s.id),
    );
    const newer = await interrupt(stage);
    const asked = stage.driver.asked.length;
    stage.driver.open();
    await stage.job(newer, "succeeded");
    const old = await getJob(stage.db, jobId);
    assert.equal(old?.state, "superseded", `interrupted at action ${nth}`);
    const late = (await stage.steps(jobId)).filter(({ id }) => !wave.has(id) && id > Math.max(...wave));
    assert.deepEqual(late, [], `the old job went on after action ${nth}: ${late.map((s) => s.kind)}`);
    const given = stage.driver.asked.slice(asked).filter(({ kind }) => GIVES.has(kind));
    // Steps of the wave that was under way when the event came may still be asked for.
    const begun = new Set((await stage.steps(jobId)).map(({ kind, target }) => `${kind} ${target}`));
    assert.ok(given.every(({ kind, target }) => begun.has(`${kind} ${target}`)), "nothing new is given");
  });
}

Deno.test("supersede: a deletion at each step of a provisioning ends it at the next boundary, and leaves nothing", async () => {
  const actions = await actionsOf(null, "ANALYSIS_ACTIVE");
  assert.ok(actions > 8, `${actions} actions`);
  for (let nth = 1; nth <= actions; nth++) {
    await interruptAt(
      nth,
      null,
      "ANALYSIS_ACTIVE",
      async (stage) => (await stage.send("permit.deleted")).jobId,
    );
  }
});

Deno.test("supersede: a halt at each step of a change of phase cuts and stops everything", async () => {
  const actions = await actionsOf("WORKSPACE_SETUP_PENDING", "ANALYSIS_ACTIVE");
  for (let nth = 1; nth <= actions; nth += 2) {
    await interruptAt(nth, "WORKSPACE_SETUP_PENDING", "ANALYSIS_ACTIVE", async (stage) => {
      const { jobId } = await stage.send("permit.halted");
      return jobId;
    });
  }
});

Deno.test("supersede: while it waits, at once", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.until("it waits", async () => (await stage.job(jobId, "running")).waitingFor !== null);
    const beganMs = stage.clock.now();
    const newer = await stage.send("permit.deleted");
    await stage.job(jobId, "superseded");
    assert.ok(stage.clock.now() - beganMs < 1_000, "no wait is waited out");
    await stage.job(newer.jobId, "succeeded");
  }, { settings: { readyMs: 600_000 } });
});

Deno.test("supersede: while it waits for a missing person", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.send("permit.status.updated", { status: "DATA_PREPARATION_PENDING" });
    const waiting = await stage.until("it waits", async () => {
      const job = await stage.job(jobId, "running");
      return job.waitingFor === "no preprocessor has been named" && job;
    });
    const sinceMs = waiting.waitingSinceMs ?? 0;
    assert.ok(sinceMs - (waiting.startedAtMs ?? 0) < 1_000);
    await stage.clock.sleep(3 * 24 * 60 * 60_000);
    assert.equal(
      (await stage.job(jobId, "running")).attempt,
      1,
      "a long wait does not use up attempts or looks",
    );
    const named = await stage.send("permit.status.updated", { preprocessor: { username: "m.keller" } });
    await stage.job(named.jobId, "succeeded", 60_000);
    await stage.job(jobId, "superseded");
    assert.equal((await stage.snapshot()).status, "RUNNING");
  });
});

Deno.test("supersede: while it queues for a slot that others hold", async () => {
  await withStage(async (stage) => {
    const waiting = await stage.status("ANALYSIS_ACTIVE");
    await stage.until(
      "it waits",
      async () => (await stage.job(waiting.jobId, "running")).waitingFor !== null,
    );
    stage.driver.hold(({ permitId }) => permitId === "permit-002");
    const busy = await stage.status("ARCHIVED", "permit-002");
    await stage.status("WORKSPACE_SETUP_PENDING", "permit-002");
    await stage.until("the only slot is held", () => stage.driver.waiting > 0);
    // The pod is ready now: the attempt wants its slot back.
    await stage.clock.sleep(5_000);
    assert.equal((await stage.job(waiting.jobId, "running")).state, "running");
    const beganMs = stage.clock.now();
    const halt = await stage.send("permit.halted");
    await stage.job(halt.jobId, "succeeded", 60_000);
    assert.ok(stage.clock.now() - beganMs < 5_000, "the halt does not stand behind its own permit's attempt");
    await stage.job(waiting.jobId, "superseded");
    stage.driver.open();
    assert.equal(busy.verdict, "accepted");
  }, { limits: { parallelPermits: 1, urgentPermits: 1 }, settings: { readyMs: 2_000 } });
});

Deno.test("supersede: during the way back of a failed provisioning", async () => {
  await withStage(async (stage) => {
    stage.driver.hold(({ kind }) => {
      if (kind === "prove-isolation") throw new Fault("stalled", "isolation-unproven", "Cannot prove it");
      return kind === "stop";
    });
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.until("it takes back", () => stage.driver.waiting > 0);
    const newer = await stage.status("ARCHIVED");
    stage.driver.open();
    await stage.job(newer.jobId, "succeeded");
    assert.equal((await getJob(stage.db, jobId))?.state, "superseded");
  });
});

Deno.test("supersede: a retry that waits for its time gives way at once", async () => {
  await withStage(async (stage) => {
    stage.driver.before = ({ kind }) => {
      if (kind === "start") {
        throw new Fault("retry", "unavailable", "Cannot reach it", { retryAfterMs: 600_000 });
      }
    };
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.retry(jobId);
    stage.driver.before = () => {};
    const newer = await stage.send("permit.deleted");
    await stage.job(newer.jobId, "succeeded", 60_000);
    assert.equal((await getJob(stage.db, jobId))?.state, "superseded");
    assert.equal(stage.truth(PERMIT).scope, "absent");
  });
});

Deno.test("supersede: a deletion accepted beside a job's end is carried out before it is called done", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.job(jobId, "succeeded");
    const again = await stage.status("ANALYSIS_ACTIVE");
    let deletion = 0;
    stage.driver.beforeObserve = async () => {
      // After the attempt has read the wish: it will find that nothing differs from the old one.
      if (deletion === 0) deletion = (await stage.send("permit.deleted")).jobId;
    };
    await stage.until("it came", () => deletion > 0);
    stage.driver.hold();
    await stage.until("the deletion works", () => stage.driver.waiting > 0);
    assert.equal((await stage.permit()).deletion, "requested");
    assert.notEqual((await stage.snapshot()).status, "DESTROYED");
    assert.equal((await getJob(stage.db, again.jobId))?.state, "superseded");
    stage.driver.open();
    await stage.job(deletion, "succeeded");
    assert.equal((await stage.permit()).deletion, "done");
    assert.equal(stage.truth().scope, "absent");
  });
});

Deno.test("supersede: an urgent cut keeps its place in what supersedes it, and giving queues as ever", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
    // The other permit holds the only general slot; the cuts of this one fail until it has a newer wish.
    const [other, newer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let cuts = 0;
    stage.driver.before = async ({ permitId, kind }) => {
      if (permitId === "permit-002") return await other.promise;
      if (kind !== "cut-network" || cuts++ > 1) return;
      await newer.promise;
      throw new Fault("retry", "unavailable", "Cannot reach the API server");
    };
    await stage.status("WORKSPACE_SETUP_PENDING", "permit-002");
    await stage.until("the general slot is held", () => stage.driver.asked.at(-1)?.permitId === "permit-002");
    const stop = await stage.status("ARCHIVED");
    await stage.until("it is about to cut", () => cuts === 2);
    const heir = await stage.status("ANALYSIS_ACTIVE");
    newer.resolve();
    await stage.job(stop.jobId, "superseded");
    const asked = stage.driver.asked.length;
    await stage.until("nothing of the old phase runs", () => stage.truth().pods.length === 0);
    const job = await stage.until("it is no more urgent than others", async () => {
      const found = await getJob(stage.db, heir.jobId);
      return found?.priority === JOB_PRIORITY.reconcile && found;
    });
    await stage.clock.sleep(60_000);
    assert.equal(job.kind, "reconcile");
    const given = stage.driver.asked.slice(asked).filter(({ permitId, kind }) =>
      permitId === PERMIT && GIVES.has(kind)
    );
    assert.deepEqual(given, [], "giving waits for a slot of those that give");
    other.resolve();
    await stage.job(heir.jobId, "succeeded");
  }, { limits: { parallelPermits: 1, urgentPermits: 1 }, withoutDrift: true });
});

Deno.test("supersede: a consolidation that no phase asks for any more is removed, and begun again by the next preparation", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("AWAITING_INGRESS")).jobId, "succeeded");
    await stage.job((await stage.send("permit.ingress.initiated")).jobId, "succeeded");
    const file = { text: "rows", uid: 1, gid: 1, mode: 0o644 };
    stage.inside.writeFile(PERMIT, "uploads/hospital-a", "table.csv", file);
    const { jobId } = await stage.status("DATA_PREPARATION_PENDING");
    await stage.until("it moves data", async () => {
      return (await stage.job(jobId, "running")).waitingFor?.includes("consolidation of") ?? false;
    });
    await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
    await stage.until("the consolidation is gone", () => stage.truth().tasks.length === 0);
    assert.ok(stage.inside.files(PERMIT, "uploads/hospital-a")?.["table.csv"] !== undefined, "uploads stay");
    await stage.job((await stage.status("DATA_PREPARATION_REWORK")).jobId, "succeeded");
    assert.equal(stage.inside.files(PERMIT, "uploads/hospital-a"), null, "consolidated at last");
    const copies = Object.values(stage.inside.files(PERMIT, "raw") ?? {}).map(({ text }) => text);
    assert.ok(copies.includes("rows"));
  }, { settings: { taskMs: 30_000 } });
});

/** Who does not wait for a long step, and from when its first cut counts. */
const FIRST: { who: string; send: (stage: Stage) => Promise<unknown> }[] = [
  { who: "a halt", send: (stage) => stage.send("permit.halted") },
  { who: "a deletion", send: (stage) => stage.send("permit.deleted") },
  {
    who: "an expiry",
    send: (stage) =>
      stage.send("permit.status.updated", { expiresAt: new Date(stage.clock.now()).toISOString() }),
  },
];
for (const { who, send } of FIRST) {
  Deno.test(`supersede: ${who} does not wait for a proof that takes minutes`, async () => {
    await withStage(async (stage) => {
      await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
      const { driver, clock, inside, operator } = stage;
      // As a driver proves a pod that came by itself: by a probe beside it.
      driver.before = async ({ kind, signal }) => {
        if (kind === "prove-isolation") await clock.sleep(170_000, signal);
      };
      const begun = driver.asked.length;
      operator.deletePod(PERMIT, inside.pod(PERMIT, "research/l.maes").name);
      await stage.until("it is proven", () => driver.asked.slice(begun).some(isProof));
      const proving = await stage.latest("running");
      await clock.sleep(100);
      const [sentMs, asked] = [clock.now(), driver.asked.length];
      await send(stage);
      const cut = await stage.until(
        "the first cut",
        () => driver.asked.slice(asked).find(({ kind }) => kind === "cut-network"),
      );
      assert.ok(cut.atMs - sentMs < 1_000, `${cut.atMs - sentMs} ms`);
      await stage.job(proving.id, "superseded");
      const [proof] = (await stage.steps(proving.id)).filter(({ kind }) => kind === "prove-isolation");
      assert.equal(proof?.outcome, "abandoned", "neither done nor failed");
      await stage.latest("succeeded");
      assert.deepEqual(stage.truth().pods, []);
      const { items } = await listAudit(stage.db, { permitId: PERMIT }, { cursor: null, limit: 500 });
      const outcomes = items.filter(({ action }) => action === "step.prove-isolation").map(({ outcome }) =>
        outcome
      );
      const intended = outcomes.filter((outcome) => outcome === "intended").length;
      assert.equal(outcomes.length, 2 * intended, "each proof that was begun has its outcome on record");
    });
  });
}

Deno.test("supersede: a halt does not wait for what a probe has to clean up either", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    const { driver, clock, inside, operator } = stage;
    driver.before = async ({ kind }) => {
      if (kind === "prove-isolation") await clock.sleep(170_000);
    };
    const begun = driver.asked.length;
    operator.deletePod(PERMIT, inside.pod(PERMIT, "research/l.maes").name);
    await stage.until("it is proven", () => driver.asked.slice(begun).some(isProof));
    await clock.sleep(100);
    const sentMs = clock.now();
    await stage.job((await stage.send("permit.halted")).jobId, "succeeded");
    assert.ok(clock.now() - sentMs < 60_000, `${clock.now() - sentMs} ms`);
    const cut = driver.asked.find(({ kind, atMs }) => kind === "cut-network" && atMs >= sentMs);
    assert.ok(cut !== undefined && cut.atMs - sentMs < 1_000);
    await clock.sleep(180_000);
    assert.deepEqual(stage.truth().pods, [], "what was left behind did nothing");
  });
});

Deno.test("supersede: an ordinary event lets a proof finish, and comes after it", async () => {
  await withStage(async (stage) => {
    let isAborted = false;
    stage.driver.before = async ({ kind, signal }) => {
      if (kind !== "prove-isolation") return;
      await stage.clock.sleep(20_000, signal);
      isAborted ||= signal.aborted;
    };
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.until("it is proven", () => stage.driver.asked.some(isProof));
    const newer = await stage.status("ARCHIVED");
    await stage.job(newer.jobId, "succeeded");
    assert.equal(isAborted, false);
    assert.equal((await getJob(stage.db, jobId))?.state, "superseded");
  });
});

Deno.test("supersede: a halt does not wait for a look that hangs", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    const { driver, clock } = stage;
    let isHanging = true;
    driver.beforeObserve = async (_permitId, signal) => {
      if (isHanging) await clock.sleep(300_000, signal);
    };
    await stage.status("WORKSPACE_SETUP_PENDING");
    await clock.sleep(1_000);
    isHanging = false;
    const [sentMs, asked] = [clock.now(), driver.asked.length];
    await stage.send("permit.halted");
    const cut = await stage.until("the first cut", () => driver.asked.slice(asked)[0]);
    assert.ok(cut.atMs - sentMs < 1_000, `${cut.atMs - sentMs} ms`);
    await stage.latest("succeeded");
  });
});

Deno.test("supersede: an opening broken off whose request was carried out is cut by the halt", async () => {
  await withStage(async (stage) => {
    // The platform has acknowledged, and the answer is long on its way.
    stage.driver.after = async ({ kind, signal }) => {
      if (kind === "open-network") await stage.clock.sleep(60_000, signal);
      if (kind === "open-network") signal.throwIfAborted();
    };
    await stage.status("ANALYSIS_ACTIVE");
    await stage.until("somebody gets in", () => stage.truth().pods.some(({ enters }) => enters.length > 0));
    const sentMs = stage.clock.now();
    const { jobId } = await stage.send("permit.halted");
    await stage.until("nobody does", () => stage.truth().pods.every(({ enters }) => enters.length === 0));
    assert.ok(stage.clock.now() - sentMs < 1_000, `${stage.clock.now() - sentMs} ms`);
    await stage.job(jobId, "succeeded");
  });
});
