import assert from "node:assert/strict";
import type { ApplyContext } from "../../src/core/driver.ts";
import { Fault } from "../../src/core/fault.ts";
import { type Job, JOB_PRIORITY, takesOnly } from "../../src/core/job.ts";
import { listAudit } from "../../src/store/audit.ts";
import { enqueueJob, listJobs } from "../../src/store/jobs.ts";
import { pendingOutbox } from "../../src/store/outbox.ts";
import { MEMBERS } from "../core/plan_fixture.ts";
import { PERMIT, type Stage, withStage } from "./stage.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;

async function jobs(stage: Stage, permitId = PERMIT): Promise<Job[]> {
  return (await listJobs(stage.db, { permitId }, { cursor: null, limit: 500 })).items.reverse();
}

async function inAnalysis(stage: Stage): Promise<void> {
  await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
}

/** A person who joins: their job makes an identity first. */
async function addResearcher(stage: Stage): Promise<{ jobId: number }> {
  const researchers = [...MEMBERS.researchers, { username: "n.new", uid: 21077, gid: 21077 }];
  return await stage.send("permit.status.updated", { researchers });
}

/** For an action that needs no secrets. */
function bare(permitId: string): ApplyContext {
  const none = (): Promise<string> => Promise.reject(new Error("none is needed"));
  return { permitId, signal: new AbortController().signal, password: none, hostKey: none };
}

const reachable = (stage: Stage): string[] =>
  stage.truth().pods.filter(({ enters, ready }) => ready && enters.includes("gateway")).map(({ of }) => of);

Deno.test("drift: an evicted pod is proven and reachable again within seconds, by two jobs", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    const [pod] = stage.truth().pods;
    const beganMs = stage.clock.now();
    stage.operator.deletePod(PERMIT, pod?.name ?? "");
    await stage.until("it is gone", () => !stage.truth().pods.some(({ uid }) => uid === pod?.uid));
    await stage.until("it is back", () => reachable(stage).length === 2);
    assert.ok(stage.clock.now() - beganMs < 10 * SECOND_MS, `${stage.clock.now() - beganMs} ms`);
    await stage.latest("succeeded");
    const [, cut, give] = await jobs(stage);
    assert.deepEqual([cut?.kind, cut?.priority, give?.kind, give?.priority], [
      "drift",
      JOB_PRIORITY.stop,
      "drift",
      JOB_PRIORITY.drift,
    ]);
    const kinds = (await stage.steps(cut?.id ?? 0)).map(({ kind }) => kind);
    assert.deepEqual(kinds, ["cut-network"], "what cuts gives nothing");
    assert.equal((await stage.snapshot()).status, "RUNNING");
    const { items } = await listAudit(stage.db, { action: "drift.found" }, { cursor: null, limit: 10 });
    assert.ok(items.some(({ reason }) => reason?.includes("open-network")), "what was found is on record");
  });
});

Deno.test("drift: what somebody undoes again and again is repaired at a slow pace", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    const before = (await jobs(stage)).length;
    const endMs = stage.clock.now() + 10 * MINUTE_MS;
    while (stage.clock.now() < endMs) {
      const [pod] = stage.truth().pods;
      if (pod !== undefined) stage.operator.deletePod(PERMIT, pod.name);
      await stage.clock.sleep(3 * SECOND_MS);
    }
    const repairs = (await jobs(stage)).length - before;
    assert.ok(repairs > 4 && repairs <= 2 * 21, `${repairs} jobs in ten minutes`);
  });
});

Deno.test("drift: an egress that somebody opens halts the permit at once, before users' jobs", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    stage.driver.hold(({ permitId }) => permitId !== PERMIT);
    for (const other of ["permit-002", "permit-003", "permit-004"]) {
      await stage.status("ANALYSIS_ACTIVE", other);
    }
    await stage.until("others hold all general slots", () => stage.driver.waiting >= 1);
    const beganMs = stage.clock.now();
    stage.operator.addForeignPolicy(PERMIT, "let-me-out");
    await stage.until("nothing runs", () => stage.truth().pods.length === 0);
    assert.ok(stage.clock.now() - beganMs < 2 * SECOND_MS, `${stage.clock.now() - beganMs} ms`);
    await stage.until("it is halted", async () => (await stage.snapshot()).status === "HALTED");
    stage.driver.open();
    await stage.send("permit.resumed");
    const failed = await stage.latest("failed");
    assert.match(failed.message ?? "", /let-me-out/, "nothing starts beside it");
    stage.operator.removePolicy(PERMIT, "let-me-out");
    await stage.until("all is back", () => reachable(stage).length === 2);
    // The breach itself is what the judge saw; the test is about the answer.
    assert.deepEqual([...new Set(stage.violations().map(({ invariant }) => invariant))].sort(), [1, 2]);
    stage.forgive();
  }, { limits: { parallelPermits: 1, urgentPermits: 1 } });
});

/** How a job of the permit comes to be open for minutes without looking at the platform. */
const OPEN: { how: string; occupy: (stage: Stage) => Promise<unknown> }[] = [
  {
    how: "is queued for another attempt",
    occupy: async (stage) => {
      stage.driver.before = ({ kind }) => {
        if (kind !== "ensure-identity") return;
        throw new Fault("retry", "unavailable", "500", { retryAfterMs: 3_000_000 });
      };
      await stage.retry((await addResearcher(stage)).jobId);
    },
  },
  {
    how: "queues behind others' jobs",
    occupy: async (stage) => {
      stage.driver.hold(({ permitId }) => permitId !== PERMIT);
      await stage.status("ANALYSIS_ACTIVE", "permit-002");
      await stage.until("the general slot is held", () => stage.driver.waiting >= 1);
      await addResearcher(stage);
    },
  },
  {
    how: "is at a long step",
    occupy: async (stage) => {
      stage.driver.hold(({ kind }) => kind === "ensure-identity");
      await addResearcher(stage);
      await stage.until("it is at it", () => stage.driver.waiting >= 1);
    },
  },
];
for (const { how, occupy } of OPEN) {
  Deno.test(`drift: a way out is told at once while a job of the permit ${how}`, async () => {
    await withStage(async (stage) => {
      await inAnalysis(stage);
      await occupy(stage);
      const beganMs = stage.clock.now();
      stage.operator.addForeignPolicy(PERMIT, "let-me-out");
      await stage.until("it is halted", async () => (await stage.permit()).halted);
      assert.ok(stage.clock.now() - beganMs < 2 * SECOND_MS, `${stage.clock.now() - beganMs} ms`);
      stage.driver.open();
      await stage.until("nothing runs", () => stage.truth().pods.length === 0);
      stage.forgive();
    }, { limits: { parallelPermits: 1, urgentPermits: 1 } });
  });
}

Deno.test("drift: beside an open job nothing is repaired, and a halted permit is left to its halt", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    stage.driver.before = ({ kind }) => {
      if (kind === "ensure-identity") {
        throw new Fault("retry", "unavailable", "500", { retryAfterMs: 600_000 });
      }
    };
    const { jobId } = await addResearcher(stage);
    await stage.retry(jobId);
    const looks = stage.driver.looks.length;
    stage.operator.deletePod(PERMIT, stage.inside.pod(PERMIT, "research/l.maes").name);
    await stage.until("it is looked at", () => stage.driver.looks.length > looks, 60 * SECOND_MS);
    await stage.clock.sleep(5 * SECOND_MS);
    assert.deepEqual((await jobs(stage)).map(({ kind }) => kind).filter((kind) => kind === "drift"), []);
    assert.equal((await stage.permit()).halted, false);
  }, { limits: { parallelPermits: 1 } });
});

Deno.test("drift: a failed job is tried again by the pass, not by every change", async () => {
  await withStage(async (stage) => {
    stage.driver.before = ({ kind }) => {
      if (kind === "prove-isolation") throw new Fault("stalled", "isolation-unproven", "Cannot prove it");
    };
    const { jobId } = await stage.status("ANALYSIS_ACTIVE");
    await stage.job(jobId, "failed");
    for (let n = 0; n < 8; n++) {
      stage.operator.touch(PERMIT, { kind: "compute", key: "research/l.maes" });
      await stage.clock.sleep(30 * SECOND_MS);
    }
    assert.equal((await jobs(stage)).length, 1, "changes alone do not retry");
    await stage.until("the pass did", async () => (await jobs(stage)).length > 1, 21 * MINUTE_MS);
    stage.driver.before = () => {};
    await stage.until("the permit runs", async () => (await stage.snapshot()).status === "RUNNING");
    const drifts = (await jobs(stage)).slice(1);
    assert.ok(drifts.length <= 3 && drifts.every(({ kind }) => kind === "drift"));
  });
});

Deno.test("drift: a failed job of a permit that is right by now is followed by one that succeeds", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    stage.operator.addForeign(PERMIT, { kind: "claim", name: "somebodys" });
    await stage.latest("failed");
    stage.operator.removeForeign(PERMIT, { kind: "claim", name: "somebodys" });
    await stage.latest("succeeded");
    assert.equal((await stage.snapshot()).status, "RUNNING");
    const count = (await jobs(stage)).length;
    await stage.clock.sleep(60 * MINUTE_MS);
    assert.equal((await jobs(stage)).length, count, "once confirmed, nothing is left to do");
  });
});

Deno.test("drift: objects of a deleted permit that come into being late are destroyed, too", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.status("WORKSPACE_SETUP_PENDING");
    await stage.job(jobId, "succeeded");
    const { permitId, fsGroup } = await stage.permit();
    await stage.job((await stage.send("permit.deleted")).jobId, "succeeded");
    // A request of an earlier boot that was long on its way: what it found absent is absent again.
    await stage.driver.apply({ kind: "ensure-scope", fsGroup, members: 2, seen: null }, bare(permitId));
    assert.equal(stage.truth().scope, "present");
    await stage.until("it is gone again", () => stage.truth().scope === "absent");
    await stage.latest("succeeded");
    assert.equal((await stage.permit()).deletion, "done");
    const { items } = await listAudit(stage.db, { action: "drift.found" }, { cursor: null, limit: 10 });
    assert.ok(items.some(({ reason }) => reason?.includes("appeared after its deletion")), "on record");
  });
});

Deno.test("drift: what cannot be repaired is on record once, and tried at ever longer pauses up to a day", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    stage.operator.addForeign(PERMIT, { kind: "claim", name: "in-the-way" });
    await stage.latest("failed");
    const beganMs = stage.clock.now();
    await stage.clock.sleep(6 * DAY_MS);
    const repairs = (await jobs(stage)).filter(({ kind, priority }) =>
      kind === "drift" && priority === JOB_PRIORITY.drift
    );
    const gaps = repairs.slice(1).map(({ createdAtMs }, index) =>
      createdAtMs - (repairs[index]?.endedAtMs ?? beganMs)
    );
    assert.ok(repairs.length >= 8 && repairs.length <= 24, `${repairs.length} repairs in six days`);
    assert.ok((gaps[0] ?? 0) <= 40 * MINUTE_MS, `the first pause is short: ${gaps[0]} ms`);
    assert.ok(gaps.every((gapMs) => gapMs <= DAY_MS + 20 * MINUTE_MS), gaps.join(" "));
    assert.ok((gaps.at(-1) ?? 0) > 10 * 60 * MINUTE_MS, "the last pauses are half a day at least");
    const found = async (): Promise<(string | null)[]> =>
      (await listAudit(stage.db, { action: "drift.found" }, { cursor: null, limit: 50 })).items
        .filter(({ jobId }) => !cuts.has(jobId)).map(({ reason }) => reason);
    const cuts = new Set(
      (await jobs(stage)).filter((job) => takesOnly(job)).map(({ id }): number | null => id),
    );
    assert.equal((await found()).length, 1, "once for all of them");
    assert.match((await found())[0] ?? "", /in-the-way/);
    // Another difference is another matter.
    stage.operator.addForeign(PERMIT, { kind: "claim", name: "and-me" });
    stage.operator.removeForeign(PERMIT, { kind: "claim", name: "in-the-way" });
    await stage.until(
      "it is tried at the next pass",
      async () => (await found()).length === 2,
      25 * MINUTE_MS,
    );
    stage.forgive();
  });
});

Deno.test("drift: a pass looks at each permit once in an interval, and lists what nobody knows", async () => {
  await withStage(async (stage) => {
    const permits = Array.from({ length: 12 }, (_, index) => `permit-${index}`);
    for (const permitId of permits) {
      await stage.job((await stage.status("ARCHIVED", permitId)).jobId, "succeeded");
    }
    await stage.clock.sleep(5 * SECOND_MS);
    stage.driver.observed.clear();
    await stage.clock.sleep(61 * MINUTE_MS);
    for (const permitId of permits) {
      const looks = stage.driver.observed.get(permitId) ?? 0;
      assert.ok(looks >= 4 && looks <= 6, `${permitId}: ${looks} looks in an hour of ten-minute intervals`);
    }
    assert.ok((stage.drift?.health().lastPassAtMs ?? 0) > 0);
    assert.equal(stage.drift?.health().differing, 0);
    assert.deepEqual(stage.drift?.health().orphans, []);
    // Another service's, or one whose store was lost: it bears WPS's mark, and nobody has told of it.
    await stage.driver.apply(
      { kind: "ensure-scope", fsGroup: 30_000, members: 1, seen: null },
      bare("permit-x"),
    );
    await stage.until(
      "the orphan is named",
      () => stage.drift?.health().orphans.includes("permit-x") === true,
    );
    assert.equal(stage.truth("permit-x").scope, "present", "named, and left alone");
  });
});

Deno.test("drift: a deleted permit whose late objects take long to destroy is no unknown one", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
    const { permitId, fsGroup } = await stage.permit();
    await stage.job((await stage.send("permit.deleted")).jobId, "succeeded");
    await stage.driver.apply({ kind: "ensure-scope", fsGroup, members: 2, seen: null }, bare(permitId));
    stage.driver.before = () => {
      throw new Fault("retry", "unavailable", "Cannot reach it");
    };
    await stage.until("its destruction is tried", async () => ((await jobs(stage)).at(-1)?.attempt ?? 0) > 1);
    const passedMs = stage.drift?.health().lastPassAtMs ?? 0;
    await stage.until("passes more", () => (stage.drift?.health().lastPassAtMs ?? 0) > passedMs);
    assert.deepEqual(stage.drift?.health().orphans, []);
    assert.equal(stage.truth().scope, "present", "the job is open still");
    stage.driver.before = () => {};
    await stage.until("it is gone again", () => stage.truth().scope === "absent");
  });
});

Deno.test("drift: a second pod that somebody asked for is taken back to one", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    stage.operator.scale(PERMIT, "research/l.maes", 2);
    const own = (): string[] =>
      stage.truth().pods.filter(({ of }) => of === "research/l.maes").map(({ name }) => name);
    await stage.until("there are two", () => own().length === 2);
    await stage.until(
      "there is one, and it serves",
      async () =>
        own().length === 1 && (await stage.snapshot()).status === "RUNNING" && own()[0]?.endsWith("-0"),
    );
    const repairs = (await jobs(stage)).filter(({ kind }) => kind === "drift");
    const steps = (await Promise.all(repairs.map(({ id }) => stage.steps(id)))).flat();
    const found = steps.filter(({ why }) => why === "it is altered: 2 replicas").map(({ kind }) => kind);
    assert.deepEqual(found, ["cut-network", "stop"]);
  });
});

Deno.test("drift: never ahead of users' jobs", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    stage.driver.hold(({ permitId }) => permitId === "permit-002");
    await stage.status("WORKSPACE_SETUP_PENDING", "permit-002");
    await stage.until("the slot is held", () => stage.driver.waiting > 0);
    const nowMs = stage.clock.now();
    const job = {
      permitId: PERMIT,
      kind: "drift" as const,
      version: 1,
      eventSeq: null,
      runAtMs: nowMs,
      nowMs,
    };
    const drift = await stage.db.write((tx) => enqueueJob(tx, { ...job, priority: JOB_PRIORITY.drift }));
    stage.wake();
    await stage.clock.sleep(10);
    const user = await stage.status("WORKSPACE_SETUP_PENDING", "permit-003");
    await stage.clock.sleep(10);
    stage.driver.open();
    const [mine, other] = [
      await stage.job(user.jobId, "succeeded"),
      await stage.job(drift.jobId, "succeeded"),
    ];
    assert.ok((mine.startedAtMs ?? 0) < (other.startedAtMs ?? 0), "the later user's job was claimed first");
  }, { limits: { parallelPermits: 1, urgentPermits: 1 } });
});

Deno.test("drift: a look beside a job that came and went changes nothing", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    await stage.clock.sleep(5 * SECOND_MS);
    let newer: number | null = null;
    stage.driver.beforeObserve = async () => {
      if (newer !== null) return;
      newer = 0;
      // While the look is under way, a user's job does all that it would find.
      newer = (await stage.status("ARCHIVED")).jobId;
      await stage.job(newer, "succeeded");
    };
    stage.operator.touch(PERMIT, { kind: "compute", key: "research/l.maes" });
    await stage.until("the look is over", () => newer !== null && newer > 0);
    await stage.clock.sleep(5 * SECOND_MS);
    assert.deepEqual((await jobs(stage)).map(({ kind }) => kind), ["reconcile", "stop"]);
    assert.deepEqual((await stage.snapshot()).rows, [], "the stale look was not kept");
  });
});

Deno.test("drift: what it sees is kept and told, also where nothing is to be done", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    const [pod] = stage.truth().pods;
    stage.operator.loseNode(PERMIT, pod?.name ?? "");
    await stage.until("the row says so", async () => (await stage.snapshot()).status !== "RUNNING");
    stage.operator.restoreNode(PERMIT, pod?.name ?? "");
    await stage.until("and that it is over", async () => (await stage.snapshot()).status === "RUNNING");
    const told = (await pendingOutbox(stage.db, "workspace.events", 100)).map(({ key }) => key);
    assert.ok(told.filter((key) => key === "workspace.ready").length >= 2, told.join(" "));
  });
});

Deno.test("drift: nothing is looked at while a job is at work", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.send("permit.status.updated", { status: "DATA_PREPARATION_PENDING" });
    await stage.until("it waits", async () => (await stage.job(jobId, "running")).waitingFor !== null);
    // Its own looks are ten minutes apart by then.
    await stage.clock.sleep(20 * MINUTE_MS);
    const before = stage.driver.observed.get(PERMIT) ?? 0;
    for (let n = 0; n < 10; n++) {
      stage.drift?.notice(PERMIT);
      await stage.clock.sleep(40 * SECOND_MS);
    }
    assert.ok((stage.driver.observed.get(PERMIT) ?? 0) - before <= 2, "only the job's own looks");
  });
});
