import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import type { WaitKind } from "../../src/core/step.ts";
import { createWaits, deadlineFault, type NamedWait, waitId, waitOf } from "../../src/runner/waits.ts";
import { FakeClock } from "../fake_clock.ts";
import { WAITS } from "./stage.ts";

const ready = (key: string): NamedWait => ({
  kind: "ready",
  target: key,
  why: "nobody is let in before it is ready",
  text: `pod ${key}-0 is pending`,
});
const NOTHING: ReadonlyMap<string, number> = new Map();

Deno.test("waits: a wait is open since it was first named, whatever is named beside it later", async () => {
  const clock = new FakeClock();
  const waits = createWaits(clock, WAITS, NOTHING);
  const beganMs = clock.now();
  waits.open([ready("a")]);
  await clock.advance(60_000);
  const open = waits.open([{ ...ready("a"), text: "pod a-0 is running, not ready" }, ready("b")]);
  assert.deepEqual(open.map(({ target, sinceMs, text }) => [target, sinceMs - beganMs, text]), [
    ["a", 0, "pod a-0 is running, not ready"],
    ["b", 60_000, "pod b-0 is pending"],
  ]);
});

Deno.test("waits: what the plan no longer has is over, the rest goes on counting", async () => {
  const clock = new FakeClock();
  const waits = createWaits(clock, WAITS, NOTHING);
  waits.open([ready("a"), ready("b")]);
  await clock.advance(1_000);
  const over = waits.keepOnly(new Set([waitId(ready("a")), "await-gone pods"]));
  assert.deepEqual(over.map(({ target }) => target), ["b"]);
  const open = waits.open([ready("a"), ready("b")]);
  assert.deepEqual(open.map(({ sinceMs }) => clock.now() - sinceMs), [1_000, 0], "b begins anew");
});

Deno.test("waits: each kind has its own deadline, and one that passed is told once", async () => {
  const limits: Record<WaitKind, number> = {
    cut: WAITS.cutMs,
    gone: WAITS.goneMs,
    ready: WAITS.readyMs,
    consolidated: WAITS.consolidatedMs,
    volume: WAITS.volumeMs,
    members: WAITS.membersMs,
    canaries: WAITS.canariesMs,
  };
  for (const [name, limitMs] of Object.entries(limits)) {
    const clock = new FakeClock();
    const waits = createWaits(clock, WAITS, NOTHING);
    // Object.entries loses the keys' type.
    const wait = { ...ready("a"), kind: name as WaitKind };
    waits.open([wait]);
    await clock.advance(limitMs - 1);
    assert.equal(waits.takeOverdue(), null, name);
    await clock.advance(1);
    assert.equal(waits.takeOverdue()?.kind, name);
    assert.equal(waits.takeOverdue(), null, name);
    const { disposition, advice, message } = deadlineFault(wait);
    assert.deepEqual([disposition, message], ["stalled", `Waited too long: ${wait.text}`]);
    assert.ok(advice !== null && advice.length > 10, name);
  }
});

Deno.test("waits: what is waited for only later is not judged meanwhile, and keeps its beginning", async () => {
  const clock = new FakeClock();
  const waits = createWaits(clock, WAITS, NOTHING);
  waits.open([ready("a")]);
  await clock.advance(WAITS.readyMs - 1_000);
  assert.deepEqual(waits.open([ready("b")]).map(({ target }) => target), ["b"]);
  await clock.advance(2_000);
  assert.equal(waits.takeOverdue(), null, "a is not waited for now");
  assert.equal(waits.intervalMs(5_000), 250);
  waits.open([ready("a"), ready("b")]);
  assert.equal(waits.takeOverdue()?.target, "a");
});

Deno.test("waits: an interrupted wait goes on from where it began, if it is the same one", () => {
  const clock = new FakeClock();
  const carried = new Map([[waitId(ready("a")), clock.now() - WAITS.readyMs + 1_000]]);
  const waits = createWaits(clock, WAITS, carried);
  const open = waits.open([ready("a"), ready("b")]);
  assert.deepEqual(open.map(({ sinceMs }) => clock.now() - sinceMs), [WAITS.readyMs - 1_000, 0]);
  assert.equal(waits.intervalMs(5_000), 250);

  const satisfied = createWaits(clock, WAITS, carried);
  satisfied.keepOnly(new Set(["await-gone pods"]));
  assert.equal(satisfied.open([ready("a")])[0]?.sinceMs, clock.now(), "it was over in between");

  const others: [why: string, wait: NamedWait][] = [
    ["another kind", { ...ready("a"), kind: "gone" }],
    ["another target", ready("b")],
  ];
  for (const [why, wait] of others) {
    assert.equal(createWaits(clock, WAITS, carried).open([wait])[0]?.sinceMs, clock.now(), why);
  }
});

Deno.test("waits: looks are close together at first, then as far apart as configured, and at a deadline", async () => {
  const clock = new FakeClock();
  const waits = createWaits(clock, WAITS, NOTHING);
  waits.open([ready("a")]);
  const pauses = Array.from({ length: 7 }, () => waits.intervalMs(5_000));
  assert.deepEqual(pauses, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
  await clock.advance(WAITS.readyMs - 3_000);
  assert.equal(waits.intervalMs(5_000), 3_000, "the look at the deadline itself");
  waits.open([ready("a"), ready("b")]);
  assert.equal(waits.intervalMs(5_000), 250, "something new is waited for");
});

Deno.test("waits: a missing person is looked for seldom, because an event rings", () => {
  const waits = createWaits(new FakeClock(), WAITS, NOTHING);
  const members: NamedWait = { ...ready("permit"), kind: "members", text: "no reviewer has been named" };
  waits.open([members]);
  const longest = Math.max(...Array.from({ length: 20 }, () => waits.intervalMs(5_000)));
  assert.equal(longest, 600_000);
  waits.open([members, ready("a")]);
  assert.equal(Math.max(...Array.from({ length: 20 }, () => waits.intervalMs(5_000))), 5_000);
});

Deno.test("waitOf: what the platform puts off is waited for by its name, with the deadline that fits", () => {
  const cases: [Fault, WaitKind][] = [
    [new Fault("wait", "terminating", "Cannot start a: pod x is still there"), "gone"],
    [new Fault("wait", "volume-not-bound", "Cannot retain home: PVC x is not bound"), "volume"],
    [new Fault("wait", "quota-exceeded", "Cannot create pod x: exceeded quota"), "ready"],
  ];
  for (const [fault, kind] of cases) {
    assert.deepEqual([waitOf(fault, "a").kind, waitOf(fault, "a").text], [kind, fault.message]);
  }
});
