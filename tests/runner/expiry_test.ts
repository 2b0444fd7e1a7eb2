import assert from "node:assert/strict";
import { z } from "zod";
import { pendingOutbox } from "../../src/store/outbox.ts";
import { json } from "../../src/store/columns.ts";
import { nextExpiry } from "../../src/store/expiry.ts";
import { MEMBERS } from "../core/plan_fixture.ts";
import { PERMIT, type Stage, withStage } from "./stage.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

const iso = (ms: number): string => new Date(ms).toISOString();

/** Sends a status with everybody named and a date. */
function active(stage: Stage, expiresAt: string | null | undefined, permitId = PERMIT): Promise<unknown> {
  const date = expiresAt === undefined ? {} : { expiresAt };
  const data = { status: "WORKSPACE_SETUP_PENDING", ...MEMBERS, ...date };
  return stage.send("permit.status.updated", data, permitId);
}

async function rest(stage: Stage, untilMs: number): Promise<void> {
  while (stage.clock.now() < untilMs) await stage.clock.sleep(untilMs - stage.clock.now());
}

/** "permit.expiring 7", "permit.expired" in their order. */
async function told(stage: Stage, permitId = PERMIT): Promise<string[]> {
  const rows = await pendingOutbox(stage.db, "workspace.events", 1_000);
  return rows.filter((row) => row.key.startsWith("permit.expir") && row.permitId === permitId)
    .map(({ key, payload }) => "days" in payload ? `${key} ${payload.days}` : key);
}

const pods = (stage: Stage, permitId = PERMIT): number => stage.truth(permitId).pods.length;

Deno.test("expiry: at the very moment access ends and everything stops, with no event and the volumes kept", () =>
  withStage(async (stage) => {
    const endMs = stage.clock.now() + 5 * HOUR_MS;
    await active(stage, iso(endMs));
    await stage.latest("succeeded");
    assert.ok(pods(stage) > 0);
    const before = stage.truth().volumes.map(({ key }) => key);
    await rest(stage, endMs - 1);
    assert.equal((await stage.snapshot()).status, "RUNNING", "to the last millisecond");
    const job = await stage.until("a job holds the permit", async () => {
      const latest = await stage.snapshot();
      return latest.job?.kind === "halt" && latest.job;
    });
    assert.ok(job.createdAtMs - endMs <= 30, `queued ${job.createdAtMs - endMs} ms after the date`);
    assert.deepEqual([job.priority, job.eventSeq], [20, null]);
    await stage.job(job.id, "succeeded");
    assert.ok(stage.clock.now() - endMs < 60_000, "stopped within a minute");
    const { status, expired } = await stage.snapshot();
    assert.deepEqual([pods(stage), status, expired], [0, "STOPPED", true]);
    assert.deepEqual(stage.truth().volumes.map(({ key }) => key), before, "volumes stay");
    assert.deepEqual(await told(stage), ["permit.expiring 1", "permit.expired"]);
    const rows = await stage.db.read(
      "select action, job_id as jobId, outcome from audit where action = 'permit.expired'",
      [],
      z.object({ action: z.string(), jobId: z.number(), outcome: z.string() }),
    );
    assert.deepEqual(rows, [{ action: "permit.expired", jobId: job.id, outcome: "intended" }]);
  }));

Deno.test("expiry: each warning goes out once for a date, the nearest where several are due", () =>
  withStage(async (stage) => {
    const endMs = stage.clock.now() + 30 * DAY_MS + HOUR_MS;
    await active(stage, iso(endMs));
    await stage.latest("succeeded");
    assert.deepEqual(await told(stage), [], "long before");
    await rest(stage, endMs - 30 * DAY_MS + 60_000);
    assert.deepEqual(await told(stage), ["permit.expiring 30"]);
    await active(stage, iso(endMs));
    await stage.restart();
    await rest(stage, stage.clock.now() + HOUR_MS);
    assert.deepEqual(await told(stage), ["permit.expiring 30"], "no event and no start repeats it");
    const soonMs = stage.clock.now() + 2 * DAY_MS;
    await active(stage, iso(soonMs));
    await stage.until("a new date has warnings of its own", async () => (await told(stage)).length === 2);
    assert.equal((await told(stage)).at(-1), "permit.expiring 7", "the nearest; 30 is passed over");
    await active(stage, iso(endMs));
    await rest(stage, stage.clock.now() + HOUR_MS);
    assert.equal((await told(stage)).length, 2, "back to a date that was warned of");
    const lines = stage.log.filter((line) => line.includes("the permit's time ends soon"));
    assert.equal(lines.length, 2, "each is in the log, once");
    for (const [index, atMs, days] of [[0, endMs, 30], [1, soonMs, 7]] as const) {
      assert.match(
        lines[index] ?? "",
        new RegExp(`warn.*permit=${PERMIT} expiresAt=.?${iso(atMs)}.? days=${days}$`, "im"),
      );
    }
    const payloads = await stage.db.read(
      "select payload from outbox where key = 'permit.expiring' and topic = 'workspace.events' order by id limit 1",
      [],
      z.object({ payload: json(z.record(z.string(), z.unknown())) }),
    );
    assert.deepEqual(payloads[0]?.payload, {
      permitId: PERMIT,
      expiresAt: iso(endMs),
      secondsLeft: 30 * 86_400,
      days: 30,
    });
  }, { withoutDrift: true }));

Deno.test("expiry: a later event with another date, or none, gives access again; the same date does not", async () => {
  const dates: [why: string, date: (endMs: number) => string | null | undefined, back: boolean][] = [
    ["a later date", (endMs) => iso(endMs + 100 * DAY_MS), true],
    ["no date any more", () => null, true],
    ["no word of it", () => undefined, false],
    ["the same date again", (endMs) => iso(endMs), false],
    ["another date that has passed", (endMs) => iso(endMs - DAY_MS), false],
  ];
  for (const [why, date, back] of dates) {
    await withStage(async (stage) => {
      const endMs = stage.clock.now() + HOUR_MS;
      await active(stage, iso(endMs));
      await stage.latest("succeeded");
      await rest(stage, endMs + 5 * 60_000);
      assert.equal(pods(stage), 0, why);
      await active(stage, date(endMs));
      await stage.latest("succeeded");
      await rest(stage, stage.clock.now() + 15 * 60_000);
      const { status, expired } = await stage.snapshot();
      assert.deepEqual([pods(stage) > 0, status, expired], [
        back,
        back ? "RUNNING" : "STOPPED",
        !back,
      ], why);
    });
  }
});

Deno.test("expiry: what expired while the service was away is the first thing at its start", () =>
  withStage(async (stage) => {
    const endMs = stage.clock.now() + HOUR_MS;
    await active(stage, iso(endMs));
    await stage.latest("succeeded");
    await stage.runner.stop();
    await stage.restart();
    assert.deepEqual(await told(stage), ["permit.expiring 1"]);
    await stage.halted(async () => await rest(stage, endMs + DAY_MS));
    assert.equal((await stage.permit()).expired, true, "on record before anything is claimed");
    await stage.latest("succeeded");
    assert.equal(pods(stage), 0);
  }));

Deno.test("expiry: once on record, a clock that goes back opens nothing, in no job and no drift pass", () =>
  withStage(async (stage) => {
    const endMs = stage.clock.now() + HOUR_MS;
    await active(stage, iso(endMs));
    await stage.latest("succeeded");
    await rest(stage, endMs + 5 * 60_000);
    // As if the clock stood long before the date: the date moves instead, behind the service's back.
    await stage.db.write(async (tx) => {
      await tx.run("update permits set expires_at = ?", [iso(endMs + 1_000 * DAY_MS)]);
    });
    await stage.restart();
    await rest(stage, stage.clock.now() + 60 * 60_000);
    assert.deepEqual([pods(stage), (await stage.snapshot()).status], [0, "STOPPED"]);
  }));

Deno.test("expiry: a permit in the middle of a start is stopped; the plan itself knows the date", async () => {
  await withStage(async (stage) => {
    const endMs = stage.clock.now() + 20_000;
    await active(stage, iso(endMs));
    await stage.until("something runs", () => pods(stage) > 0);
    await rest(stage, endMs + 5 * 60_000);
    assert.deepEqual([pods(stage), (await stage.snapshot()).status], [0, "STOPPED"]);
    const { rows } = await stage.snapshot();
    assert.ok(rows.every(({ network }) => network !== "open"));
  }, { settings: { startMs: 15_000, readyMs: 15_000 } });
});

Deno.test("expiry: halt and deletion work on an expired permit, and a resume does not lift the date", () =>
  withStage(async (stage) => {
    const endMs = stage.clock.now() + HOUR_MS;
    await active(stage, iso(endMs));
    await stage.latest("succeeded");
    await stage.send("permit.halted");
    await stage.latest("succeeded");
    await rest(stage, endMs + 60_000);
    assert.deepEqual(await told(stage), ["permit.expiring 1", "permit.expired"]);
    assert.equal((await stage.snapshot()).status, "HALTED", "the halt outlasts the date");
    await stage.send("permit.resumed");
    await stage.latest("succeeded");
    await rest(stage, stage.clock.now() + 30 * 60_000);
    assert.deepEqual([pods(stage), (await stage.snapshot()).status], [0, "STOPPED"]);
    await stage.send("permit.deleted");
    await stage.until("all is gone", async () => (await stage.snapshot()).status === "DESTROYED");
    assert.deepEqual([stage.truth().scope, stage.truth().volumes.length], ["absent", 0]);
    assert.equal(await nextExpiry(stage.db), null, "nothing is due of what is no more");
  }));

Deno.test("expiry: many at once are all ended, and a date in the first event runs nothing", () =>
  withStage(async (stage) => {
    const endMs = stage.clock.now() + HOUR_MS;
    for (let index = 0; index < 120; index++) {
      const data = { status: "AWAITING_INGRESS", expiresAt: iso(endMs) };
      await stage.send("permit.status.updated", data, `many-${index}`);
    }
    await active(stage, iso(stage.clock.now() - DAY_MS));
    const first = await stage.latest("succeeded");
    assert.deepEqual([first.kind, pods(stage), (await stage.snapshot()).expired], ["halt", 0, true]);
    assert.ok(first.eventSeq !== null, "the event's own job, not a second one");
    await rest(stage, endMs + 10 * 60_000);
    const rows = await stage.db.read(
      "select count(*) as ended from permits where expired = 1",
      [],
      z.object({ ended: z.number() }),
    );
    assert.equal(rows[0]?.ended, 121);
    assert.equal(await nextExpiry(stage.db), null);
  }, { withoutDrift: true }));
