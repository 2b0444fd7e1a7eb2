import assert from "node:assert/strict";
import { type Disposition, Fault, type Reason } from "../../src/core/fault.ts";
import { createIntake, type Intake, isStoreFault } from "../../src/intake/group.ts";
import type { Db } from "../../src/store/db.ts";
import { type KeptLog, keptLog } from "../kept_log.ts";
import { alteredDb } from "../store/altered_db.ts";
import { withStore } from "../store/fixture.ts";
import { allEvents, CLOCK, delivery, minimal, receiptOf, RULES } from "./fixture.ts";

/** A store whose write transactions are counted, and refused while `fault` says so. */
interface Watched {
  db: Db;
  commits: number;
  fault: (() => Error | null) | null;
}

function watch(real: Db): Watched {
  const watched: Watched = {
    commits: 0,
    fault: null,
    db: alteredDb(real, async (work) => {
      const result = await real.write(async (tx) => {
        const done = await work(tx);
        const fault = watched.fault?.() ?? null;
        if (fault !== null) throw fault;
        return done;
      });
      watched.commits++;
      return result;
    }),
  };
  return watched;
}

async function withIntake(
  test: (intake: Intake, watched: Watched, woken: string[][], kept: KeptLog) => Promise<void>,
): Promise<void> {
  await withStore(async (real) => {
    const watched = watch(real);
    const kept = keptLog();
    const woken: string[][] = [];
    const intake = createIntake({
      db: watched.db,
      rules: RULES,
      clock: CLOCK,
      log: kept.log,
      onAccepted: (ids) => woken.push(ids),
    });
    await test(intake, watched, woken, kept);
    await intake.drain();
  });
}

const events = (count: number, prefix = "e"): ReturnType<typeof delivery>[] =>
  Array.from(
    { length: count },
    (_, index) => delivery(minimal(`p-${prefix}-${index % 3}`, "ARCHIVED", `${prefix}-${index}`)),
  );

Deno.test("Intake: what was handed over together commits together, in order", async () => {
  await withIntake(async (intake, watched, woken) => {
    const outcomes = await intake.submit(events(100));
    assert.equal(watched.commits, 1);
    assert.deepEqual(
      outcomes.map((outcome) => receiptOf(outcome).seq),
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
    assert.deepEqual(woken, [["p-e-0", "p-e-1", "p-e-2"]]);
  });
});

Deno.test("Intake: one delivery is not kept waiting, and what comes during a commit goes together", async () => {
  await withIntake(async (intake, watched) => {
    const first = intake.submit(events(1, "a"));
    await Promise.resolve();
    const others = Array.from({ length: 20 }, (_, index) => intake.submit(events(1, `b${index}`)));
    await Promise.all([first, ...others]);
    assert.equal(watched.commits, 2);
  });
});

Deno.test("Intake: a group is bounded in count and in bytes", async () => {
  await withIntake(async (intake, watched) => {
    await intake.submit(events(300));
    assert.equal(watched.commits, 3, "128, 128, 44");
    const large = Array.from({ length: 9 }, () => delivery(new Uint8Array(2 * 1024 * 1024)));
    await intake.submit(large);
    assert.equal(watched.commits, 6, "4, 4, 1 of 2 MiB each");
    await intake.submit([delivery(new Uint8Array(20 * 1024 * 1024)), ...events(1, "after")]);
    assert.equal(watched.commits, 8, "a huge one goes alone");
  });
});

Deno.test("Intake: whoever submits right after a commit is heard", async () => {
  await withIntake(async (intake, watched) => {
    for (let round = 0; round < 50; round++) await intake.submit(events(1, `r${round}`));
    await Promise.all(Array.from({ length: 10 }, async (_, worker) => {
      for (let round = 0; round < 20; round++) await intake.submit(events(1, `w${worker}.${round}`));
    }));
    assert.equal((await allEvents(watched.db)).length, 250);
  });
});

Deno.test("Intake: a delivery that fails does not disturb the others of its group", async () => {
  await withIntake(async (intake, watched, woken) => {
    const group = events(5);
    group[2] = delivery(minimal("poison", "ARCHIVED", "poison"), {
      within: () => Promise.reject(new Error("its own fault")),
    });
    const outcomes = await intake.submit(group);
    assert.deepEqual(outcomes.map((outcome) => "receipt" in outcome), [true, true, false, true, true]);
    assert.throws(() => receiptOf(outcomes[2]), /its own fault/);
    assert.deepEqual((await allEvents(watched.db)).map(({ id }) => id), ["e-0", "e-1", "e-3", "e-4"]);
    assert.deepEqual(woken.flat(), ["p-e-0", "p-e-1", "p-e-0", "p-e-1"]);
  });
});

Deno.test("Intake: while the store is away everything fails, those behind too, and nothing is kept", async () => {
  await withIntake(async (intake, watched, woken) => {
    let refusals = 1;
    watched.fault = () =>
      refusals-- > 0 ? new Fault("retry", "unavailable", "Cannot use database: the disk is full") : null;
    const first = intake.submit(events(300));
    const outcomes = await first;
    assert.ok(outcomes.every((outcome) => "fault" in outcome && outcome.fault.reason === "unavailable"));
    assert.deepEqual(await allEvents(watched.db), [], "no later group slipped in before the failed one");
    assert.deepEqual(woken, []);
    const again = await intake.submit(events(300));
    assert.ok(again.every((outcome) => receiptOf(outcome).verdict === "accepted"));
  });
});

Deno.test("isStoreFault: away, forbidden or damaged, but not what one message brings about", () => {
  const cases: [Disposition, Reason, boolean][] = [
    ["retry", "unavailable", true],
    ["stalled", "unavailable", true],
    ["stalled", "denied", true],
    ["stalled", "internal", true],
    ["retry", "internal", false],
    ["retry", "conflict", false],
    ["stalled", "invalid", false],
  ];
  for (const [disposition, reason, expected] of cases) {
    assert.equal(isStoreFault(new Fault(disposition, reason, "x")), expected, `${disposition} ${reason}`);
  }
});

Deno.test("Intake: acknowledgements are noted with the next commit, or alone when nothing comes", async () => {
  await withIntake(async (intake, watched) => {
    const anonymous = (): ReturnType<typeof delivery> =>
      delivery({ ...minimal("p", "ARCHIVED"), revision: ++revision });
    let revision = 0;
    const seqs = (await intake.submit([anonymous(), anonymous(), anonymous()])).map((outcome) =>
      receiptOf(outcome).seq
    );
    intake.noteAcked(seqs.slice(0, 1));
    await intake.drain();
    assert.equal(watched.commits, 2);
    intake.noteAcked(seqs.slice(1, 2));
    await intake.submit([anonymous()]);
    assert.equal(watched.commits, 3);
    const acked = (await allEvents(watched.db)).map(({ ackedAtMs }) => ackedAtMs !== null);
    assert.deepEqual(acked, [true, true, false, false]);
    intake.noteAllAcked(3);
    await intake.drain();
    const then = (await allEvents(watched.db)).map(({ ackedAtMs }) => ackedAtMs !== null);
    assert.deepEqual(then, [true, true, true, false]);
  });
});

Deno.test("Intake: beyond its bound callers are refused at once", async () => {
  await withIntake(async (intake, watched) => {
    watched.fault = () => new Fault("retry", "unavailable", "away");
    const outcomes = await intake.submit(Array.from({ length: 10_003 }, () => delivery({})));
    const refused = outcomes.filter((outcome) =>
      "fault" in outcome && /10000 wait/.test(outcome.fault.message)
    );
    assert.equal(refused.length, 3);
  });
});

Deno.test("Intake: one line per verdict, with what names the event, and never what is in it", async () => {
  await withIntake(async (intake, _watched, _woken, kept) => {
    const send = (body: unknown, given: Partial<Parameters<typeof delivery>[1]> = {}): Promise<unknown> =>
      intake.submit([delivery(body, given)]);
    const researchers = [{ username: "anna", uid: 21_001 }];
    await send({ ...minimal("p", "ANALYSIS_ACTIVE", "a"), revision: 3, researchers });
    await send({ ...minimal("p", "ANALYSIS_ACTIVE", "a"), revision: 3, researchers });
    await send({ ...minimal("p", "ARCHIVED", "b"), revision: 2 }, { channel: "http", requestId: "r-1" });
    await send({ ...minimal("p", "ARCHIVED", "c"), revision: 3 });
    await send({ ...minimal("p", "PAUSED", "d"), revision: 4, expiresAt: "soon" });
    await send("{ bearer abcdefghijk");
    const told = kept.lines.map(({ level, message, event, permit, id, verdict, channel, requestId, job }) =>
      [level, message, event, permit, id, verdict, channel, requestId, job].join(" ")
    );
    assert.deepEqual(told, [
      "info event recorded 1 p a accepted amqp  1",
      "info event recorded 2 p a duplicate amqp  ",
      "info event recorded 3 p b stale http r-1 ",
      "warn event refused 4 p c conflict amqp  ",
      "warn event refused 5 p d rejected amqp  ",
      "warn event refused 6   rejected amqp  ",
    ]);
    assert.deepEqual(kept.lines.map(({ type }) => type).slice(0, 5), Array(5).fill("permit.status.updated"));
    assert.equal(kept.lines[2]?.["why"], "Revision 2 is older than 3");
    assert.match(String(kept.lines[4]?.["why"]), /^data\.expiresAt: /);
    assert.equal(kept.lines[4]?.["moreReasons"], 1);
    for (const secret of ["anna", "abcdefghijk"]) assert.ok(!kept.text().includes(secret), secret);
  });
});

Deno.test("Intake: nothing is told of a group whose commit failed, and each once when it succeeds", async () => {
  await withIntake(async (intake, watched, _woken, kept) => {
    let refusals = 1;
    watched.fault = () => refusals-- > 0 ? new Fault("retry", "unavailable", "the disk is full") : null;
    await intake.submit(events(3));
    assert.deepEqual(kept.lines, []);
    await intake.submit(events(3));
    assert.equal(kept.lines.length, 3);
  });
});
