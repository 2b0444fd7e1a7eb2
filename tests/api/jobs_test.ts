import assert from "node:assert/strict";
import { createJobFeed, STREAMS_MAX } from "../../src/api/job_feed.ts";
import type { Clock } from "../../src/core/clock.ts";
import { type Job, JOB_PRIORITY, type JobKind } from "../../src/core/job.ts";
import { MACHINE_CLOCK } from "../../src/machine.ts";
import { listAudit } from "../../src/store/audit.ts";
import { cancelJob, progressJob, succeedJob, waitJob } from "../../src/store/job_transitions.ts";
import { claimJob } from "../../src/store/job_claims.ts";
import { enqueueJob, getJob } from "../../src/store/jobs.ts";
import { beginSteps, endSteps } from "../../src/store/steps.ts";
import { endJob, PEOPLE, PERMIT, post, type Service, statusEvent, withService } from "./service.ts";
import { SteppedClock } from "./surroundings.ts";

const JOBS = "/api/v1/jobs";
const ORDER = { method: "POST" };

async function claimed({ db }: Service): Promise<Job> {
  const job = await claimJob(db, { bootEpoch: "boot-1", nowMs: Date.now() + 1e6, priorityMax: null });
  assert.ok(job !== null);
  return job;
}

Deno.test("GET /jobs: newest first, filtered, paged", () =>
  withService(async (service) => {
    for (const permitId of ["a", "b", "c"]) {
      await service.ask("/api/v1/events", post({ permitId, ...statusEvent("ANALYSIS_ACTIVE", PEOPLE) }));
    }
    await endJob(service.db, "failed");
    const ids = async (query: string): Promise<number[]> => {
      const page = await (await service.ask(`${JOBS}?${query}`)).json();
      return page.items.map(({ id }: { id: number }) => id);
    };
    assert.deepEqual(await ids(""), [3, 2, 1]);
    assert.deepEqual(await ids("limit=2"), [3, 2]);
    assert.deepEqual(await ids("limit=2&cursor=2"), [1]);
    assert.deepEqual(await ids("permitId=b"), [2]);
    assert.deepEqual(await ids("state=failed"), [1]);
    assert.deepEqual(await ids("kind=drift"), []);
    for (const query of ["state=broken", "kind=x", "cursor=x", "limit=201", "statee=failed"]) {
      assert.equal((await service.ask(`${JOBS}?${query}`)).status, 400, query);
    }
    assert.equal((await service.ask(`${JOBS}/99`)).status, 404);
  }));

Deno.test("GET /jobs/{id}: progress, estimate from jobs alike, what it waits for, steps", () => {
  const clock = new SteppedClock();
  return withService(async (service) => {
    const finish = async (durationMs: number): Promise<void> => {
      const job = await claimJob(service.db, { bootEpoch: "boot-1", nowMs: clock.now(), priorityMax: null });
      assert.ok(job !== null);
      const claim = { jobId: job.id, fence: job.fence };
      await service.db.write((tx) => progressJob(tx, claim, { done: 10, total: 10 }));
      await service.db.write((tx) => succeedJob(tx, claim, clock.now() + durationMs));
    };
    for (const [permitId, durationMs] of [["a", 60_000], ["b", 40_000], ["c", 600_000]] as const) {
      await service.ask("/api/v1/events", post({ permitId, ...statusEvent("ANALYSIS_ACTIVE", PEOPLE) }));
      await finish(durationMs);
    }
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    const job = await claimJob(service.db, { bootEpoch: "boot-1", nowMs: clock.now(), priorityMax: null });
    assert.ok(job !== null);
    const claim = { jobId: job.id, fence: job.fence };
    await service.db.write(async (tx) => {
      await progressJob(tx, claim, { done: 5, total: 8 });
      await waitJob(tx, claim, "pod research-a-0 is pending", clock.now());
      const step = {
        attempt: 1,
        kind: "ensure-scope",
        target: "permit",
        why: "it is missing",
        wave: 1,
        startedAtMs: clock.now(),
      } as const;
      const [id] = await beginSteps(tx, claim, [step, { ...step, kind: "start", wave: 2 }]);
      assert.ok(id !== undefined);
      await endSteps(tx, [{ id, endedAtMs: clock.now() + 20, outcome: "done", detail: "3 objects applied" }]);
    });
    clock.advance(15_000);
    const shown = await (await service.ask(`${JOBS}/${job.id}`)).json();
    assert.deepEqual(
      shown.progress,
      { done: 5, total: 8, percent: 62, estimateMs: 45_000 },
      "60 s is the median",
    );
    assert.equal(shown.waitingFor, "pod research-a-0 is pending");
    assert.deepEqual(
      shown.steps.map(({ kind, outcome, detail }: Record<string, unknown>) => [kind, outcome, detail]),
      [
        ["ensure-scope", "done", "3 objects applied"],
        ["start", "running", null],
      ],
    );
    clock.advance(60_000);
    const late = await (await service.ask(`${JOBS}/${job.id}`)).json();
    assert.equal(late.progress.estimateMs, null, "longer than usual: no promise");
  }, { clock });
});

Deno.test("POST /jobs/{id}/retry and /cancel: what they allow, audited, and the runner is woken", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    assert.equal((await service.ask(`${JOBS}/9/retry`, ORDER)).status, 404);
    assert.equal(
      (await service.ask(`${JOBS}/1/retry`, post({ force: true }))).status,
      400,
      "no body is taken",
    );
    assert.equal((await service.ask(`${JOBS}/1/retry`, post("{}"))).status, 202, "an empty object is none");

    await endJob(service.db, "failed");
    const retried = await (await service.ask(`${JOBS}/1/retry`, ORDER)).json();
    assert.deepEqual([retried.job.id, retried.job.state], [2, "queued"]);
    const cancelled = await (await service.ask(`${JOBS}/2/cancel`, ORDER)).json();
    assert.deepEqual([cancelled.job.id, cancelled.job.state], [2, "cancelled"], "queued: at once");
    const again = await service.ask(`${JOBS}/2/cancel`, ORDER);
    assert.deepEqual([again.status, (await again.json()).type], [409, "urn:wps:problem:state-conflict"]);

    await service.ask(`${JOBS}/2/retry`, ORDER);
    const job = await claimed(service);
    const running = await (await service.ask(`${JOBS}/${job.id}/cancel`, ORDER)).json();
    assert.equal(running.job.state, "running", "running: at its next step boundary");
    assert.equal((await service.ask(`${JOBS}/${job.id}/retry`, ORDER)).status, 409, "it is running");

    assert.deepEqual(service.woken, [PERMIT, PERMIT, PERMIT, PERMIT, PERMIT]);
    const audited = await listAudit(service.db, { permitId: PERMIT }, { cursor: null, limit: 50 });
    const orders = audited.items.filter(({ action }) => action.startsWith("job.")).map((
      { action, target, actor },
    ) => `${action} ${target} ${actor.kind}`);
    assert.deepEqual(orders, [
      "job.cancel job 3 operator",
      "job.retry job 2 operator",
      "job.cancel job 2 operator",
      "job.retry job 1 operator",
      "job.retry job 1 operator",
    ]);
  }));

const CUTTING: { why: string; job: { kind: JobKind; priority: number }; detail: RegExp; advice: RegExp }[] = [
  {
    why: "a halt",
    job: { kind: "halt", priority: JOB_PRIORITY.halt },
    detail: /^Cannot cancel job 2: it cuts a halted permit's access$/,
    advice: /wps resume permit-001/,
  },
  {
    why: "a deletion",
    job: { kind: "delete", priority: JOB_PRIORITY.delete },
    detail: /^Cannot cancel job 2: a deletion is final$/,
    advice: /wps jobs show 2/,
  },
  {
    why: "a drift that only takes away",
    job: { kind: "drift", priority: JOB_PRIORITY.stop },
    detail: /^Cannot cancel job 2: it cuts access that must not stand/,
    advice: /send an event/,
  },
];

for (const { why, job, detail, advice } of CUTTING) {
  Deno.test(`POST /jobs/{id}/cancel: ${why} is refused, queued and running, and goes on`, () =>
    withService(async (service) => {
      await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
      await endJob(service.db, "succeeded");
      const times = { runAtMs: 1, nowMs: 1 };
      await service.db.write((tx) =>
        enqueueJob(tx, { permitId: PERMIT, version: 1, eventSeq: null, ...job, ...times })
      );
      for (const state of ["queued", "running"]) {
        const refused = await service.ask(`${JOBS}/2/cancel`, ORDER);
        assert.match(refused.headers.get("Content-Type") ?? "", /^application\/problem\+json/);
        const problem = await refused.json();
        assert.deepEqual([refused.status, problem.type], [409, "urn:wps:problem:state-conflict"], state);
        assert.match(problem.detail, detail);
        assert.match(problem.advice, advice);
        const after = await getJob(service.db, 2);
        assert.deepEqual([after?.state, after?.cancelRequested], [state, false]);
        if (state === "queued") await claimed(service);
      }
      await service.db.write((tx) => succeedJob(tx, { jobId: 2, fence: 1 }, 2));
      const ended = await (await service.ask(`${JOBS}/2/cancel`, ORDER)).json();
      assert.match(ended.detail, /it has succeeded already/);
    }));
}

Deno.test("POST /jobs/{id}/cancel: an ordinary drift and a stop may be cancelled", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    await endJob(service.db, "succeeded");
    for (const [id, kind] of [[2, "drift"], [3, "stop"]] as const) {
      const job = { kind, priority: JOB_PRIORITY[kind], permitId: PERMIT, version: 1, eventSeq: null };
      await service.db.write((tx) => enqueueJob(tx, { ...job, runAtMs: 1, nowMs: 1 }));
      assert.equal((await service.ask(`${JOBS}/${id}/cancel`, ORDER)).status, 202, kind);
    }
  }));

/** Reads server-sent events one by one. */
async function* eventsOf(
  response: Response,
): AsyncGenerator<{ event: string; data: Record<string, unknown>; id: string }> {
  assert.match(response.headers.get("Content-Type") ?? "", /^text\/event-stream/);
  let text = "";
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name: string): string =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? "";
      if (field("event") !== "") {
        yield { event: field("event"), data: JSON.parse(field("data")), id: field("id") };
      }
    }
  }
}

/** Sleeps that coalesce or look again pass at once; nothing else does. */
function promptClock(): Clock {
  return { now: () => Date.now(), sleep: (ms, signal) => MACHINE_CLOCK.sleep(ms > 1_000 ? ms : 1, signal) };
}

Deno.test("GET /jobs/{id}/events: what is, then each change once, then the end", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    const stream = eventsOf(await service.ask(`${JOBS}/1/events`));
    const next = async (): Promise<[string, Record<string, unknown>]> => {
      const { value, done } = await stream.next();
      assert.ok(!done, "the stream goes on");
      return [value.event, value.data];
    };
    const [first, queued] = await next();
    assert.deepEqual([first, queued["state"]], ["job", "queued"]);
    const job = await claimed(service);
    const claim = { jobId: job.id, fence: job.fence };
    assert.equal((await next())[1]["state"], "running");
    const step = {
      attempt: 1,
      kind: "ensure-scope",
      target: "permit",
      why: "missing",
      wave: 1,
      startedAtMs: 1,
    } as const;
    const [id] = await service.db.write((tx) => beginSteps(tx, claim, [step]));
    assert.ok(id !== undefined);
    service.deps.feed?.changed(PERMIT);
    const [kind, began] = await next();
    assert.deepEqual([kind, began["outcome"]], ["step", "running"]);
    await service.db.write((tx) => progressJob(tx, claim, { done: 1, total: 4 }));
    const [news, moved] = await next();
    assert.deepEqual(
      [news, moved["progress"]],
      ["job", { done: 1, total: 4, percent: 25, estimateMs: null }],
      "no step twice",
    );
    await service.db.write(async (tx) => {
      await endSteps(tx, [{ id, endedAtMs: 9, outcome: "done", detail: "done" }]);
      await succeedJob(tx, claim, 10);
    });
    assert.deepEqual((await next())[1]["outcome"], "done", "a step's end comes before the job's");
    const [last, ended] = await next();
    assert.deepEqual([last, ended["state"]], ["end", "succeeded"]);
    assert.equal((await stream.next()).done, true, "the stream ends with the job");
    const after = [];
    for await (const { event } of eventsOf(await service.ask(`${JOBS}/1/events`))) after.push(event);
    assert.deepEqual(after, ["step", "end"], "a job that has ended already");
  }, { clock: promptClock() }));

Deno.test("GET /jobs/{id}/events: who reconnects with Last-Event-ID hears what is new, and 204 after the end", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    const job = await claimed(service);
    const claim = { jobId: job.id, fence: job.fence };
    const step = { attempt: 1, target: "permit", why: "missing", wave: 1, startedAtMs: 1 } as const;
    const [one, two] = await service.db.write((tx) =>
      beginSteps(tx, claim, [{ ...step, kind: "ensure-scope" }, { ...step, kind: "start" }])
    );
    assert.ok(one !== undefined && two !== undefined);
    const done = (id: number): Promise<void> =>
      service.db.write((tx) => endSteps(tx, [{ id, endedAtMs: 9, outcome: "done", detail: null }]));
    await done(one);
    const ask = (lastId: string): Promise<Response> =>
      service.ask(`${JOBS}/1/events`, { headers: { "Last-Event-ID": lastId } });
    /** What comes until the job is told, as "step ensure-scope done", with the last id. */
    const heard = async (response: Response): Promise<{ told: string[]; id: string }> => {
      const told: string[] = [];
      for await (const { event, data, id } of eventsOf(response)) {
        told.push(event === "step" ? `step ${data["kind"]} ${data["outcome"]}` : event);
        if (event !== "step") return { told, id };
      }
      throw new Error("the stream ended without a word of the job");
    };
    const first = await heard(await ask(""));
    assert.deepEqual(first.told, ["step ensure-scope done", "step start running", "job"]);
    const nothing = await heard(await ask(first.id));
    assert.deepEqual(nothing.told, ["job"], "as it is now, and no step again");
    await done(two);
    await service.db.write((tx) => succeedJob(tx, claim, 10));
    const rest = await heard(await ask(nothing.id));
    assert.deepEqual(rest.told, ["step start done", "end"]);
    const over = await ask(rest.id);
    assert.deepEqual([over.status, await over.text()], [204, ""], "an EventSource asks no more");
    assert.deepEqual((await heard(await ask("nonsense"))).told.length, 3, "an id that is none: all of it");
  }, { clock: promptClock() }));

Deno.test("GET /jobs/{id}/events: bounded, freed by leaving, ended by the service's stop", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    const open: Response[] = [];
    for (let seat = 0; seat < STREAMS_MAX; seat++) open.push(await service.ask(`${JOBS}/1/events`));
    const refused = await service.ask(`${JOBS}/1/events`);
    assert.deepEqual([refused.status, (await refused.json()).type], [
      503,
      "urn:wps:problem:too-many-streams",
    ]);
    await open[0]?.body?.cancel();
    const freed = await service.ask(`${JOBS}/1/events`);
    assert.equal(freed.status, 200, "a reader that leaves frees its seat");
    service.deps.feed?.close();
    for (const response of [...open.slice(1), freed]) {
      assert.match(await response.text(), /^event: job\n/, "ended, not cut off");
    }
    assert.equal((await service.ask(`${JOBS}/1/events`)).status, 503, "closed");
  }, { clock: promptClock() }));

Deno.test("GET /jobs/{id}/events: a silent stream is kept open by a comment", () => {
  const clock = new SteppedClock();
  return withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    const response = await service.ask(`${JOBS}/1/events`);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    assert.match((await reader?.read())?.value ?? "", /^event: job/);
    let text = "";
    const heard = (async (): Promise<void> => {
      while (!text.includes(": still here")) text += (await reader?.read())?.value ?? "";
    })();
    let isHeard = false;
    void heard.then(() => isHeard = true);
    while (!isHeard) {
      clock.advance(1_000);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await reader?.cancel();
    await service.db.write((tx) => cancelJob(tx, 1, 5));
  }, { clock });
});

Deno.test("createJobFeed: a change between two waits is not missed", async () => {
  const feed = createJobFeed(new SteppedClock());
  const seat = feed.sit("p");
  assert.ok(seat !== null);
  feed.changed("p");
  await seat.wait(1e9);
  feed.changed("other");
  let isOver = false;
  const waiting = seat.wait(1e9).then(() => isOver = true);
  await Promise.resolve();
  assert.equal(isOver, false, "another permit's change wakes nobody");
  feed.changed("p");
  await waiting;
  seat.leave();
  seat.leave();
  feed.close();
});
