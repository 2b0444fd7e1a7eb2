import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { JOB_PRIORITY } from "../../src/core/job.ts";
import { createLog } from "../../src/log.ts";
import { type Hurry, type NoticedOccasion, type Notices, startNotices } from "../../src/runner/notices.ts";
import { FakeClock } from "../fake_clock.ts";
import { SeededRandom } from "../seeded_random.ts";
import { PERMIT, withStage } from "./stage.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;

interface Look {
  permitId: string;
  occasion: NoticedOccasion;
  atMs: number;
}

/** Notices over looks that a test answers. */
interface Desk extends Notices {
  clock: FakeClock;
  looks: Look[];
  log: string[];
  /** Answers a look; absent: it comes to its end at once. */
  answer: (look: Look, signal: AbortSignal) => Promise<void> | void;
  /** Since the beginning, in whole seconds, of the looks at a permit. */
  seconds(permitId: string): number[];
  /** Notices, and lets everything come to rest. */
  tell(permitId: string, how: Hurry): Promise<void>;
  stop(): Promise<void>;
}

async function withDesk(test: (desk: Desk) => Promise<void>): Promise<void> {
  const clock = new FakeClock();
  const beganMs = clock.now();
  const stopping = new AbortController();
  const log: string[] = [];
  const looks: Look[] = [];
  const logger = createLog({ level: "debug", format: "text", clock, write: (line) => void log.push(line) });
  const notices = startNotices(
    { clock, random: new SeededRandom(1), log: logger },
    async (permitId, occasion) => {
      const look = { permitId, occasion, atMs: clock.now() };
      looks.push(look);
      await desk.answer(look, stopping.signal);
    },
    stopping.signal,
  );
  const desk: Desk = {
    ...notices,
    clock,
    looks,
    log,
    answer: () => {},
    seconds: (permitId) =>
      looks.filter((look) => look.permitId === permitId).map(({ atMs }) =>
        Math.floor((atMs - beganMs) / SECOND_MS)
      ),
    async tell(permitId, how): Promise<void> {
      notices.notice(permitId, how);
      await clock.advance(0);
    },
    async stop(): Promise<void> {
      stopping.abort();
      await notices.done;
    },
  };
  try {
    await test(desk);
  } finally {
    await desk.stop();
  }
}

const refuse = (): never => {
  throw new Fault("retry", "timeout", "Cannot list: no answer within 30000 ms");
};

for (
  const { outageMs, withinMs } of [
    { outageMs: 0, withinMs: 2 * SECOND_MS },
    { outageMs: 3 * SECOND_MS, withinMs: 8 * SECOND_MS },
    { outageMs: 5 * MINUTE_MS, withinMs: 5 * MINUTE_MS + 32 * SECOND_MS },
  ]
) {
  Deno.test(`drift: a way out is told soon although looks failed for ${outageMs / 1_000} s after it was opened`, async () => {
    await withStage(async (stage) => {
      await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
      await stage.clock.sleep(2 * MINUTE_MS);
      const beganMs = stage.clock.now();
      stage.driver.beforeObserve = () => stage.clock.now() < beganMs + outageMs ? refuse() : undefined;
      stage.operator.addForeignPolicy(PERMIT, "let-me-out");
      await stage.until("it is halted", async () => (await stage.permit()).halted);
      assert.ok(stage.clock.now() - beganMs <= withinMs, `${stage.clock.now() - beganMs} ms`);
      const urgent = stage.driver.looks.filter((priority) => priority === JOB_PRIORITY.stop);
      assert.ok(urgent.length >= (outageMs > 0 ? 2 : 1), "each look is as urgent as the first");
      await stage.until("nothing runs", () => stage.truth().pods.length === 0);
      stage.forgive();
    });
  });
}

Deno.test("startNotices: a look that failed is tried again for hours, within half a minute and never without pause", async () => {
  await withDesk(async (desk) => {
    desk.answer = refuse;
    await desk.tell("p", "at once");
    await desk.clock.advance(3 * 60 * MINUTE_MS);
    const at = desk.looks.map(({ atMs }) => atMs);
    const gaps = at.slice(1).map((ms, index) => ms - (at[index] ?? 0));
    assert.ok((gaps[0] ?? 0) >= SECOND_MS && (gaps[0] ?? 0) <= 5 * SECOND_MS, `first again: ${gaps[0]} ms`);
    assert.ok(gaps.every((ms) => ms >= SECOND_MS && ms <= 30 * SECOND_MS), gaps.join(" "));
    assert.ok(at.length <= 3 * 60 * 4 + 5, `${at.length} looks in three hours`);
    assert.ok(desk.looks.every(({ occasion }) => occasion === "foreign"), "the occasion stays");
    const warnings = desk.log.filter((line) => /warn/i.test(line));
    assert.equal(warnings.length, 1, "an outage is no flood of lines");
    desk.answer = () => {};
    await desk.clock.advance(31 * SECOND_MS);
    const count = desk.looks.length;
    await desk.clock.advance(60 * MINUTE_MS);
    assert.equal(desk.looks.length, count, "one that came to its end ends the notice");
    desk.answer = refuse;
    await desk.tell("p", "soon");
    await desk.clock.advance(8 * SECOND_MS);
    assert.ok(desk.looks.length >= count + 2, "and the next outage begins with short pauses");
  });
});

Deno.test("startNotices: of several notices of a permit the most urgent stands", async () => {
  await withDesk(async (desk) => {
    desk.notice("p", "calmly");
    desk.notice("p", "at once");
    desk.notice("p", "soon");
    await desk.clock.advance(0);
    assert.deepEqual(desk.looks.map(({ occasion }) => occasion), ["foreign"]);
    const held = Promise.withResolvers<void>();
    desk.answer = async () => {
      await held.promise;
      refuse();
    };
    await desk.tell("p", "soon");
    await desk.clock.advance(2 * SECOND_MS);
    assert.equal(desk.looks.length, 2);
    // While that look is under way.
    await desk.tell("p", "at once");
    desk.answer = () => {};
    held.resolve();
    await desk.clock.advance(0);
    await desk.clock.advance(SECOND_MS);
    assert.deepEqual(desk.looks.slice(1).map(({ occasion }) => occasion), ["notice", "foreign"]);
    await desk.clock.advance(10 * MINUTE_MS);
    assert.equal(desk.looks.length, 3, "both are answered by one");
    desk.answer = refuse;
    await desk.tell("p", "at once");
    await desk.tell("p", "calmly");
    desk.answer = () => {};
    await desk.clock.advance(MINUTE_MS);
    assert.deepEqual(desk.looks.slice(3).map(({ occasion }) => occasion), ["foreign", "foreign"]);
  });
});

Deno.test("startNotices: what is told anew while looks fail leads to no look without pause", async () => {
  await withDesk(async (desk) => {
    desk.answer = refuse;
    for (let n = 0; n < 600; n++) {
      await desk.tell("p", "at once");
      await desk.clock.advance(100);
    }
    assert.ok(desk.looks.length <= 61, `${desk.looks.length} looks in a minute`);
    assert.ok(desk.looks.length >= 30, "what is new is not put off for half a minute");
  });
});

Deno.test("startNotices: looks that take long or fail hold up nobody else's", async () => {
  await withDesk(async (desk) => {
    desk.answer = async ({ permitId }, signal) => {
      if (permitId === "calm") return await desk.clock.sleep(40 * SECOND_MS, signal);
      if (permitId !== "mute") return;
      await desk.clock.sleep(40 * SECOND_MS, signal);
      refuse();
    };
    await desk.tell("calm", "soon");
    await desk.tell("mute", "at once");
    await desk.clock.advance(3 * SECOND_MS);
    await desk.tell("p", "at once");
    assert.deepEqual(desk.seconds("p"), [3], "beside a look that hangs");
    await desk.tell("q", "soon");
    await desk.clock.advance(38 * SECOND_MS);
    assert.deepEqual(desk.seconds("q"), [], "what is not urgent waits for its turn");
    await desk.clock.advance(2 * SECOND_MS);
    assert.deepEqual(desk.seconds("q"), [42]);
    for (let n = 0; n < 20; n++) await desk.tell(`many-${n}`, "at once");
    desk.answer = async (_, signal) => await desk.clock.sleep(10 * SECOND_MS, signal);
    const before = desk.looks.length;
    await desk.clock.advance(5 * SECOND_MS);
    assert.ok(desk.looks.length - before <= 8, "the platform is not flooded");
    await desk.clock.advance(2 * MINUTE_MS);
    for (let n = 0; n < 20; n++) assert.equal(desk.seconds(`many-${n}`).length, 1, `many-${n}`);
  });
});

Deno.test("startNotices: stopping waits for no pause, and for no look that heeds the signal", async () => {
  await withDesk(async (desk) => {
    desk.answer = refuse;
    await desk.tell("p", "at once");
    await desk.clock.advance(MINUTE_MS);
    desk.answer = (_, signal) => desk.clock.sleep(60 * MINUTE_MS, signal).then(refuse);
    await desk.tell("q", "at once");
    const count = desk.looks.length;
    const lines = desk.log.length;
    // Time stands still meanwhile.
    await desk.stop();
    await desk.clock.advance(MINUTE_MS);
    assert.equal(desk.looks.length, count);
    assert.equal(desk.log.length, lines, "a look that was broken off is no trouble");
    assert.equal(desk.clock.sleeping, 0);
  });
});
