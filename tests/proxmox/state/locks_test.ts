import assert from "node:assert/strict";
import { FakeClock } from "../../fake_clock.ts";
import { Locks } from "./locks.ts";

/** Takes a lock, notes when it has it, and holds it for a while. */
async function hold(
  locks: Locks,
  clock: FakeClock,
  log: string[],
  name: string,
  { mode = "exclusive", waitMs = 1_000, holdMs = 100 }: {
    mode?: "shared" | "exclusive";
    waitMs?: number;
    holdMs?: number;
  },
): Promise<void> {
  const begunMs = clock.now();
  try {
    const release = await locks.acquire("/lock", { mode, waitMs, onWait: () => log.push(`${name} waits`) });
    log.push(`${name} has it after ${clock.now() - begunMs}`);
    await clock.sleep(holdMs);
    release();
    release(); // only the first one counts
  } catch (error) {
    log.push(`${name}: ${error instanceof Error ? error.message : error}`);
  }
}

Deno.test("Locks.acquire: one after the other, who came first gets it first, and who waits too long gives up", async () => {
  const clock = new FakeClock();
  const locks = new Locks(clock);
  const log: string[] = [];
  const all = Promise.all([
    hold(locks, clock, log, "a", {}),
    hold(locks, clock, log, "b", {}),
    hold(locks, clock, log, "c", { waitMs: 150 }),
    hold(locks, clock, log, "d", {}),
  ]);
  await clock.advance(0);
  await clock.advance(1_000);
  await all;
  assert.deepEqual(log, [
    "b waits",
    "c waits",
    "d waits",
    "a has it after 0",
    "b has it after 100",
    "c: can't lock file '/lock' - got timeout",
    "d has it after 200",
  ]);
});

Deno.test("Locks.acquire: readers share, a writer waits for all of them, and nobody overtakes it", async () => {
  const clock = new FakeClock();
  const locks = new Locks(clock);
  const log: string[] = [];
  const all = Promise.all([
    hold(locks, clock, log, "r1", { mode: "shared" }),
    hold(locks, clock, log, "r2", { mode: "shared", holdMs: 200 }),
    hold(locks, clock, log, "w", {}),
    hold(locks, clock, log, "r3", { mode: "shared" }),
  ]);
  await clock.advance(0);
  await clock.advance(1_000);
  await all;
  assert.deepEqual(log, [
    "w waits",
    "r3 waits",
    "r1 has it after 0",
    "r2 has it after 0",
    "w has it after 200",
    "r3 has it after 300",
  ]);
});
