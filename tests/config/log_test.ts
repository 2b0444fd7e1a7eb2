import assert from "node:assert/strict";
import type { Clock } from "../../src/core/clock.ts";
import { Fault } from "../../src/core/fault.ts";
import { createLog, type Log, type LogOptions, SILENT_LOG } from "../../src/log.ts";

const CLOCK: Clock = { now: () => Date.UTC(2026, 10, 22, 10), sleep: () => Promise.resolve() };

/** A log that keeps its lines. */
function logOf(options: Partial<LogOptions> = {}): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log = createLog({
    level: "info",
    format: "json",
    clock: CLOCK,
    write: (line) => lines.push(line),
    ...options,
  });
  return { log, lines };
}

Deno.test("createLog: one JSON line with time, level, message and fields", () => {
  const { log, lines } = logOf();
  log.info("Step done", { permit: "p-1", job: 7, step: "start research/j" });
  assert.equal(
    lines.join(""),
    '{"time":"2026-11-22T10:00:00.000Z","level":"info","message":"Step done","permit":"p-1","job":7,"step":"start research/j"}\n',
  );
});

Deno.test("createLog: no field takes the place of time, level or message", () => {
  const { log, lines } = logOf();
  log.info("Real", { message: "forged", level: "error", time: "never" });
  assert.equal(lines.join(""), '{"time":"2026-11-22T10:00:00.000Z","level":"info","message":"Real"}\n');
});

Deno.test("createLog: text for people", () => {
  const { log, lines } = logOf({ format: "text" });
  log.warn("Broker away", { permit: "p 1", requestId: "r-1", job: 7, missing: undefined });
  assert.equal(
    lines.join(""),
    '2026-11-22T10:00:00.000Z WARN  Broker away permit="p 1" requestId=r-1 job=7\n',
  );
});

Deno.test("createLog: says what its level includes", () => {
  for (const [level, expected] of [["debug", 4], ["info", 3], ["warn", 2], ["error", 1]] as const) {
    const { log, lines } = logOf({ level });
    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d");
    assert.equal(lines.length, expected, level);
  }
});

Deno.test("Log.child: carries fields on, the line's own win", () => {
  const { log, lines } = logOf();
  log.child({ permit: "p-1", job: 1 }).child({ step: "x" }).info("m", { job: 2 });
  const { permit, job, step } = JSON.parse(lines[0] ?? "{}");
  assert.deepEqual({ permit, job, step }, { permit: "p-1", job: 2, step: "x" });
});

Deno.test("createLog: a Fault shows what to do, an unexpected error its stack", () => {
  const { log, lines } = logOf();
  const fault = new Fault("wait", "terminating", "Cannot mount prepared: it is Terminating", {
    advice: "Wait",
    target: "pvc x",
    cause: new Error("409 with password=x"),
  });
  log.info("Waiting", { error: fault });
  log.error("Crashed", { error: new TypeError("boom") });
  log.info("Not so bad", { error: new TypeError("boom") });
  const [first, second, third] = lines.map((line) => JSON.parse(line).error);
  assert.deepEqual(first, {
    disposition: "wait",
    reason: "terminating",
    message: "Cannot mount prepared: it is Terminating",
    advice: "Wait",
    target: "pvc x",
    cause: "409 with password=x",
  });
  assert.equal(second.name, "TypeError");
  assert.match(second.stack, /log_test\.ts/);
  assert.equal(third.stack, undefined);
});

Deno.test("createLog: a message cannot forge a second line", () => {
  for (const format of ["json", "text"] as const) {
    const { log, lines } = logOf({ format });
    log.info("permit x\n2026-11-22T10:00:00.000Z INFO all is well\u001b[31m", { permit: "a\nb" });
    assert.equal(lines.join("").split("\n").length, 2);
    assert.ok(!lines.join("").includes("\u001b"));
  }
});

Deno.test("createLog: secrets do not get through, in message, field or error", () => {
  const secret = "hunter2hunter2";
  for (const format of ["json", "text"] as const) {
    const { log, lines } = logOf({ format, level: "debug" });
    log.info(`connecting to amqp://wps:${secret}@broker`, { url: `redis://:${secret}@cache` });
    log.info("headers", {
      headers: { Authorization: `Bearer ${secret}` },
      token: secret,
      nested: [{ password: secret }],
    });
    log.error("failed", { error: new Error(`GET https://u:${secret}@host: Bearer ${secret}`) });
    const fault = new Fault("retry", "unavailable", `Cannot reach amqp://w:${secret}@b`, {
      cause: new Error(`Bearer ${secret}`),
    });
    log.error("failed", { error: fault });
    assert.ok(!lines.join("").includes(secret), lines.join(""));
  }
});

Deno.test("createLog: whatever happens, logging does not throw", () => {
  const { log, lines } = logOf();
  const cycle: Record<string, unknown> = { name: "cycle" };
  cycle.self = cycle;
  log.info("odd values", {
    cycle,
    big: 10n,
    fn: () => 1,
    date: new Date(Number.NaN),
    bytes: new Uint8Array(3),
  });
  log.info("getter", {
    get bad(): string {
      throw new Error("no");
    },
  });
  const broken = createLog({
    level: "info",
    format: "json",
    clock: CLOCK,
    write: () => {
      throw new Deno.errors.BrokenPipe("stderr is closed");
    },
  });
  broken.error("nobody hears this");
  SILENT_LOG.child({ permit: "x" }).error("nor this");
  assert.equal(lines.length, 1);
  const { cycle: shown, big, fn, bytes } = JSON.parse(lines[0] ?? "{}");
  assert.deepEqual({ shown, big, fn, bytes }, {
    shown: { name: "cycle", self: "[cycle]" },
    big: "10",
    fn: "[function]",
    bytes: "[3 bytes]",
  });
});
