import assert from "node:assert/strict";
import type { LabForeign } from "../../src/drivers/lab/operator.ts";
import { leasesOf } from "../../src/store/leases.ts";
import { z } from "zod";
import { PERMIT, type Stage, WAITS, withStage } from "./stage.ts";

const MINUTE_MS = 60_000;

async function assertGone(stage: Stage): Promise<void> {
  const { scope, volumes, pods, identities } = stage.truth();
  assert.deepEqual([scope, volumes, pods, identities], ["absent", [], [], []]);
  assert.equal((await stage.snapshot()).status, "DESTROYED");
  assert.deepEqual(await leasesOf(stage.db, PERMIT), [], "its numbers are free again");
  const secrets = await stage.db.read("select subject from secrets", [], z.object({ subject: z.string() }));
  assert.deepEqual(secrets, [], "its secrets are forgotten");
}

Deno.test("delete: a permit that never had anything, named by nothing else", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.send("permit.deleted")).jobId, "succeeded");
    assert.deepEqual(stage.driver.asked, []);
    await assertGone(stage);
  });
});

Deno.test("delete: a permit of which only a status was known", async () => {
  await withStage(async (stage) => {
    await stage.job(
      (await stage.send("permit.status.updated", { status: "AWAITING_INGRESS" })).jobId,
      "succeeded",
    );
    await stage.job((await stage.send("permit.deleted")).jobId, "succeeded");
    await assertGone(stage);
  });
});

Deno.test("delete: while its job waits for a person", async () => {
  await withStage(async (stage) => {
    const { jobId } = await stage.send("permit.status.updated", { status: "DATA_PREPARATION_PENDING" });
    await stage.until("it waits", async () => (await stage.job(jobId, "running")).waitingFor !== null);
    await stage.job((await stage.send("permit.deleted")).jobId, "succeeded", MINUTE_MS);
    await assertGone(stage);
  });
});

Deno.test("delete: while data is being moved", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("AWAITING_INGRESS")).jobId, "succeeded");
    await stage.job((await stage.send("permit.ingress.initiated")).jobId, "succeeded");
    const { jobId } = await stage.status("DATA_PREPARATION_PENDING");
    await stage.until("it moves data", async () => {
      return (await stage.job(jobId, "running")).waitingFor?.includes(
        "consolidation of uploads/hospital-a running",
      );
    });
    await stage.job((await stage.send("permit.deleted")).jobId, "succeeded", MINUTE_MS);
    await assertGone(stage);
  }, { settings: { taskMs: 300_000 } });
});

const STUCK: { what: string; stick(stage: Stage): () => void; names: RegExp }[] = [
  {
    what: "a pod",
    stick(stage): () => void {
      const object = { kind: "pod", name: stage.truth().pods[0]?.name ?? "" } as const;
      stage.operator.stick(PERMIT, object);
      return () => stage.operator.unstick(PERMIT, object);
    },
    names: /^pod research-\S+ is terminating/,
  },
  {
    what: "a claim",
    stick(stage): () => void {
      stage.operator.stick(PERMIT, { kind: "volume", key: "outputs" });
      return () => stage.operator.unstick(PERMIT, { kind: "volume", key: "outputs" });
    },
    names: /^persistentvolumeclaim vol-outputs-\S+: finalizer example.org\/stuck/,
  },
  {
    what: "a backing volume",
    stick(stage): () => void {
      stage.operator.stick(PERMIT, { kind: "backing", key: "prepared" });
      return () => stage.operator.unstick(PERMIT, { kind: "backing", key: "prepared" });
    },
    names: /^persistentvolume pv-\S+: finalizer example.org\/stuck/,
  },
];

for (const { what, stick, names } of STUCK) {
  Deno.test(`delete: ${what} that stays is named, given a deadline, and waited for without end`, async () => {
    await withStage(async (stage) => {
      await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
      const unstick = stick(stage);
      const { jobId } = await stage.send("permit.deleted");
      const waiting = await stage.until("it is named", async () => {
        const job = await stage.latest("running");
        return job.waitingFor !== null && names.test(job.waitingFor) && job;
      });
      const overdue = await stage.until("the deadline", async () => {
        const job = await stage.latest("queued");
        return job.attempt > 0 && job;
      });
      assert.ok(stage.clock.now() - (waiting.waitingSinceMs ?? 0) >= WAITS.goneMs);
      assert.match(overdue.message ?? "", /^Waited too long: /);
      assert.match(overdue.message?.slice("Waited too long: ".length) ?? "", names);
      assert.match(overdue.advice ?? "", /finalizers/);
      await stage.clock.sleep(60 * MINUTE_MS);
      assert.equal((await stage.permit()).deletion, "requested");
      const open = (await stage.snapshot()).job;
      assert.equal(open?.id, jobId, "the same job, for as long as it takes");
      unstick();
      await stage.job(jobId, "succeeded", 10 * MINUTE_MS);
      await assertGone(stage);
    });
  });
}

const THEIRS: { what: string; object: LabForeign; named: RegExp }[] = [
  {
    what: "claim",
    object: { kind: "claim", name: "theirs" },
    named: /persistentvolumeclaim \S+\/theirs/,
  },
  {
    what: "StatefulSet of a name that WPS derives",
    object: { kind: "workspace", key: "preprocessing/m.keller" },
    named: /statefulset \S+\/preprocessing-m-keller-/,
  },
];

for (const { what, object, named } of THEIRS) {
  Deno.test(`delete: somebody else's ${what} stalls it by name once all of WPS's is gone, and is never touched`, async () => {
    await withStage(async (stage) => {
      await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
      stage.operator.addForeign(PERMIT, object);
      const before = stage.operator.foreign(PERMIT, object);
      assert.ok(before !== null);
      const { jobId } = await stage.send("permit.deleted");
      const stalled = await stage.retry(jobId);
      assert.equal(stalled.reason, "foreign-object");
      assert.match(stalled.message ?? "", named);
      assert.match(stalled.advice ?? "", /^Move or remove /);
      const { pods, volumes, identities } = stage.truth();
      assert.deepEqual([pods, volumes.filter(({ key }) => !key.startsWith("foreign-")), identities], [
        [],
        [],
        [],
      ]);
      await stage.clock.sleep(60 * MINUTE_MS);
      assert.equal(stage.operator.foreign(PERMIT, object), before);
      stage.operator.removeForeign(PERMIT, object);
      await stage.job(jobId, "succeeded");
      await assertGone(stage);
    });
  });
}
