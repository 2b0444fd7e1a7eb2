import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { JOB_PRIORITY } from "../../src/core/job.ts";
import { permitName } from "../../src/core/names.ts";
import { listAudit } from "../../src/store/audit.ts";
import { PERMIT, type Stage, withStage } from "./stage.ts";

async function inAnalysis(stage: Stage): Promise<void> {
  await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
}

Deno.test("halt: everything is cut, then stopped, and held until it is resumed", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    const before = stage.driver.asked.length;
    await stage.job((await stage.send("permit.halted")).jobId, "succeeded");
    const kinds = stage.driver.asked.slice(before).map(({ kind }) => kind);
    assert.deepEqual(kinds, ["cut-network", "cut-network", "stop", "stop"]);
    assert.equal((await stage.snapshot()).status, "HALTED");
    await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
    await stage.clock.sleep(30 * 60_000);
    assert.deepEqual(stage.truth().pods, [], "events are recorded, and nothing starts");
    assert.equal((await stage.permit()).status, "WORKSPACE_SETUP_PENDING");
    await stage.job((await stage.send("permit.resumed")).jobId, "succeeded");
    assert.equal((await stage.snapshot()).status, "RUNNING");
    assert.deepEqual(stage.truth().pods.map(({ leaves }) => leaves), [["proxy"], ["proxy"]]);
  });
});

Deno.test("halt: nothing goes before the cuts, however slow it is", async () => {
  const cases: { why: string; spoil(stage: Stage): void; slow: string }[] = [
    {
      why: "a volume that is not retained",
      spoil: ({ cluster }) =>
        cluster.write(null, (world) => {
          for (const backing of Object.values(world.state.backings)) backing.reclaim = "Delete";
        }),
      slow: "retain-volume",
    },
    {
      why: "a guard that is missing and opens nothing",
      spoil: ({ cluster }) =>
        cluster.write(permitName(PERMIT), (world) => {
          for (const scope of Object.values(world.state.scopes)) scope.quota = false;
        }),
      slow: "ensure-scope",
    },
    {
      why: "the guard that opens the networks is mended beside the cuts",
      spoil: ({ operator }) => operator.weakenDefaultDeny(PERMIT),
      slow: "ensure-scope",
    },
  ];
  for (const { why, spoil, slow } of cases) {
    await withStage(async (stage) => {
      await stage.job((await stage.status("WORKSPACE_SETUP_PENDING")).jobId, "succeeded");
      const { driver, clock } = stage;
      driver.before = async ({ kind }) => {
        if (kind === slow) await clock.sleep(10_000);
      };
      const before = driver.asked.length, atMs = clock.now();
      spoil(stage);
      await stage.job((await stage.send("permit.halted")).jobId, "succeeded");
      const asked = driver.asked.slice(before);
      const cuts = asked.filter(({ kind }) => kind === "cut-network").map((cut) => cut.atMs - atMs);
      assert.ok(cuts.length >= 2 && Math.max(...cuts.slice(0, 2)) < 1_000, `${why}: ${cuts.join(", ")} ms`);
      assert.ok(asked.some(({ kind }) => kind === slow), `${why}: and then it is mended`);
      stage.forgive();
    }, { withoutDrift: true });
  }
});

Deno.test("halt: its looks go ahead of others' where calls to the platform queue", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    assert.ok(stage.driver.looks.every((priority) => priority === JOB_PRIORITY.reconcile));
    const before = stage.driver.looks.length;
    await stage.job((await stage.send("permit.halted")).jobId, "succeeded");
    const looks = stage.driver.looks.slice(before);
    assert.ok(looks.length > 0 && looks.every((priority) => priority === JOB_PRIORITY.halt), `${looks}`);
  }, { withoutDrift: true });
});

Deno.test("halt: a start that was under way comes after the halt, and is refused", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    await stage.job((await stage.send("permit.workspace.stop_requested")).jobId, "succeeded");
    // An attempt that died with its request on the wire: it had seen the compute as it is now.
    const observed = await stage.driver.observe(PERMIT, new AbortController().signal);
    const starts: (() => Promise<unknown>)[] = [];
    stage.driver.before = (asked) => {
      if (asked.kind !== "start") return;
      starts.push(() => stage.driver.late(asked));
      throw new Error("the process dies here");
    };
    const start = await stage.send("permit.workspace.start_requested");
    await stage.until("a start was sent", () => starts.length === 2);
    stage.driver.before = () => {};
    const halt = await stage.send("permit.halted");
    await stage.job(halt.jobId, "succeeded");
    const overtaken = (await stage.steps(halt.jobId)).map(({ kind, target }) => `${kind} ${target}`).sort();
    assert.deepEqual(overtaken, [
      "cut-network research/j.virtanen",
      "cut-network research/l.maes",
      "stop research/j.virtanen",
      "stop research/l.maes",
    ], "although all was seen cut and stopped already");
    for (const late of starts) await assert.rejects(late(), { name: "Fault", reason: "conflict" });
    await stage.clock.sleep(60_000);
    assert.deepEqual(stage.truth().pods, []);
    assert.equal((await stage.job(start.jobId, "superseded")).state, "superseded");
    assert.ok(observed.workspaces.every(({ power }) => power === "stopped"));
  }, { withoutDrift: true });
});

Deno.test("halt: an opening that was under way comes after the halt, and is refused", async () => {
  await withStage(async (stage) => {
    const opens: (() => Promise<unknown>)[] = [];
    stage.driver.before = (asked) => {
      if (asked.kind !== "open-network") return;
      opens.push(() => stage.driver.late(asked));
      throw new Error("the process dies here");
    };
    await stage.status("ANALYSIS_ACTIVE");
    await stage.until("an opening was sent", () => opens.length >= 2);
    stage.driver.before = () => {};
    const halt = await stage.send("permit.halted");
    await stage.until("the networks are cut anew", async () => {
      return (await stage.steps(halt.jobId)).filter((step) =>
        step.kind === "cut-network" && step.outcome === "done"
      )
        .length === 2;
    });
    for (const late of opens) await assert.rejects(late(), { name: "Fault", reason: "conflict" });
    await stage.job(halt.jobId, "succeeded");
    assert.deepEqual(stage.truth().pods, []);
  }, { withoutDrift: true, settings: { stopMs: 5_000 } });
});

Deno.test("halt: one that comes to what never ran before makes nothing", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.send("permit.halted")).jobId, "succeeded");
    assert.deepEqual(stage.driver.asked, []);
    assert.equal((await stage.snapshot()).status, "HALTED");
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    assert.equal(stage.truth().scope, "absent");
    await stage.job((await stage.send("permit.resumed")).jobId, "succeeded");
    assert.equal((await stage.snapshot()).status, "RUNNING");
  });
});

Deno.test("halt: what starts all the same is stopped within seconds", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    await stage.job((await stage.send("permit.halted")).jobId, "succeeded");
    // Somebody scales it up by hand.
    stage.scaleUp("research/l.maes");
    await stage.until("it runs", () => stage.truth().pods.length > 0);
    await stage.until("it is stopped", () => stage.truth().pods.length === 0, 15_000);
    assert.equal((await stage.latest("succeeded")).kind, "drift");
  });
});

Deno.test("halt: a deletion while it stands destroys compute only, and the rest once it is resumed", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    await stage.job((await stage.send("permit.halted")).jobId, "succeeded");
    await stage.job((await stage.send("permit.deleted")).jobId, "succeeded");
    assert.ok(stage.truth().volumes.length > 3, "volumes wait for the resume");
    assert.deepEqual([stage.truth().pods, stage.truth().stopped], [[], []]);
    assert.equal((await stage.permit()).deletion, "requested");
    await stage.clock.sleep(60 * 60_000);
    assert.ok(stage.truth().volumes.length > 3, "no drift pass destroys them meanwhile");
    await stage.job((await stage.send("permit.resumed")).jobId, "succeeded");
    assert.equal((await stage.snapshot()).status, "DESTROYED");
    assert.deepEqual([stage.truth().scope, stage.truth().volumes], ["absent", []]);
  });
});

Deno.test("halt: a consolidation that runs is ended, and runs again from the resume on", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("AWAITING_INGRESS")).jobId, "succeeded");
    await stage.job((await stage.send("permit.ingress.initiated")).jobId, "succeeded");
    const { inside } = stage;
    assert.ok(inside.writeInside(PERMIT, "airlock/hospital-a", "/uploads/hospital-a/rows.csv", "hospital-a"));
    const preparing = await stage.status("DATA_PREPARATION_PENDING");
    await stage.until("it moves data", async () => {
      return (await stage.job(preparing.jobId, "running")).waitingFor?.includes(
        "consolidation of uploads/hospital-a running",
      );
    });
    const running = stage.truth().pods.map(({ kind, of }) => `${kind} ${of}`).sort();
    assert.deepEqual(running, ["task uploads/hospital-a", "task uploads/hospital-b"]);
    const halt = await stage.send("permit.halted");
    assert.equal((await stage.snapshot()).status, "STOPPING", "not said before it is true");
    await stage.job(halt.jobId, "succeeded");
    const ended = (await stage.steps(halt.jobId)).filter(({ kind }) => kind === "remove-task");
    assert.deepEqual(ended.map(({ target }) => target).sort(), ["uploads/hospital-a", "uploads/hospital-b"]);
    assert.equal((await stage.snapshot()).status, "HALTED");
    assert.deepEqual([stage.truth().pods, stage.truth().tasks], [[], []]);
    await stage.clock.sleep(30 * 60_000);
    assert.deepEqual(stage.truth().tasks, [], "it does not begin anew while the halt stands");
    const keys = stage.truth().volumes.map(({ key }) => key);
    assert.ok(keys.includes("uploads/hospital-a"), "its uploads are kept");
    await stage.job((await stage.send("permit.resumed")).jobId, "succeeded");
    assert.equal((await stage.snapshot()).status, "RUNNING");
    assert.deepEqual(stage.truth().volumes.filter(({ key }) => key.startsWith("uploads/")), []);
  }, { settings: { taskMs: 300_000 } });
});

/** From when until when the platform answers no look, in milliseconds after the halt, and what it says. */
const AWAY: { what: string; forMs: number; fault: () => Fault }[] = [
  {
    what: "a server that asks to come back in an hour",
    forMs: 1,
    fault: () => new Fault("retry", "unavailable", "503", { retryAfterMs: 3_600_000 }),
  },
  {
    what: "a platform that was away for 40 minutes",
    forMs: 40 * 60_000,
    fault: () => new Fault("retry", "unavailable", "503"),
  },
];
for (const { what, forMs, fault } of AWAY) {
  Deno.test(`halt: ${what} is asked again within seconds`, async () => {
    await withStage(async (stage) => {
      await inAnalysis(stage);
      const { driver, clock } = stage;
      const backAtMs = clock.now() + forMs;
      let refused = 0;
      driver.beforeObserve = () => {
        if (clock.now() < backAtMs || refused === 0) {
          refused++;
          throw fault();
        }
      };
      const asked = driver.asked.length;
      const { jobId } = await stage.send("permit.halted");
      const cut = await stage.until(
        "the first cut",
        () => driver.asked.slice(asked).find(({ kind }) => kind === "cut-network"),
        3 * 60 * 60_000,
      );
      assert.ok(cut.atMs - backAtMs <= 6_000, `cut ${cut.atMs - backAtMs} ms after it was back`);
      await stage.job(jobId, "succeeded");
      const rows = await listAudit(stage.db, { action: "job.retried" }, { cursor: null, limit: 100 });
      assert.ok(rows.items.length <= 20, `${rows.items.length} rows of ${refused} attempts on record`);
    });
  });
}

Deno.test("halt: a cut that the platform puts off for an hour is tried again within seconds", async () => {
  await withStage(async (stage) => {
    await inAnalysis(stage);
    const begunMs = stage.clock.now();
    stage.driver.before = ({ kind, atMs }) => {
      if (kind !== "cut-network" || atMs > begunMs + 10_000) return;
      throw new Fault("wait", "terminating", "Not yet", { retryAfterMs: 3_600_000 });
    };
    await stage.job((await stage.send("permit.halted")).jobId, "succeeded");
    assert.ok(stage.clock.now() - begunMs < 60_000, `${stage.clock.now() - begunMs} ms`);
  });
});
