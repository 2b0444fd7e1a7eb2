import assert from "node:assert/strict";
import type { Fault } from "../../../src/core/fault.ts";
import { ProxmoxFault } from "../../../src/drivers/proxmox/faults.ts";
import { runTask, type TaskEnd, waitForTask } from "../../../src/drivers/proxmox/tasks.ts";
import { parseUpid, type Upid } from "../../../src/drivers/proxmox/upid.ts";
import { FakeClock } from "../../fake_clock.ts";
import { until } from "../../services/until.ts";
import { clientOf, faultOf, proxmoxFaultOf } from "./access.ts";
import { type Got, type LoopbackServer, type Reply, startServer } from "./server.ts";

const ASKED = { what: "start VM 47001", target: "VM 47001" };
const LIMITS = { taskDeadlineMs: 20_000, copyDeadlineMs: 200_000 };

function upidOf(type: string): Upid {
  return parseUpid(`UPID:pve1:0000A1B2:00C3D4E5:6921F0AB:${type}:47001:wps@pve!prod:`) ?? assert.fail();
}

const START = upidOf("qmstart");

/** Answers as the recorded flows do: status by status, then the log. */
function scripted(
  statuses: readonly (Reply | string | null)[],
  log: readonly string[] = [],
): (request: Got) => Reply {
  let looks = 0;
  return ({ path }) => {
    if (path.includes("/log")) return logPart(path, log);
    const status = statuses[Math.min(looks++, statuses.length - 1)];
    if (status === null) return { body: { data: { status: "running", type: "qmstart", node: "pve1" } } };
    if (typeof status === "string" && status !== "close" && status !== "hang") {
      return { body: { data: { status: "stopped", exitstatus: status, type: "qmstart", node: "pve1" } } };
    }
    return status ?? "close";
  };
}

function logPart(path: string, log: readonly string[]): Reply {
  const query = new URL(path, "http://x").searchParams;
  const start = Number(query.get("start")), limit = Number(query.get("limit") ?? 50);
  const data = log.map((t, index) => ({ n: index + 1, t })).slice(start, start + limit);
  return { body: { data, total: log.length } };
}

/** A wait under a clock that is moved as long as it takes; how it ended, and how long it took of that clock. */
async function ended(
  server: LoopbackServer,
  { upid = START, signal = new AbortController().signal } = {},
): Promise<{ end: TaskEnd | Fault; ms: number; pausesMs: number[] }> {
  const clock = new FakeClock();
  const beganMs = clock.now(), pausesMs: number[] = [];
  let end: TaskEnd | Fault | null = null;
  const watched = {
    now: () => clock.now(),
    sleep: (ms: number, stop?: AbortSignal) => {
      pausesMs.push(ms);
      return clock.sleep(ms, stop);
    },
  };
  const surroundings = { client: clientOf(server.port), clock: watched, settings: LIMITS };
  let endedMs = beganMs;
  const ending = (found: TaskEnd | Fault): void => {
    end = found;
    endedMs = clock.now();
  };
  const waiting = waitForTask(surroundings, upid, ASKED, signal).then(ending, ending);
  while (end === null) {
    await until("it sleeps or ends", () => clock.sleeping > 0 || end !== null);
    if (end === null) await clock.advance(pausesMs.at(-1) ?? 0);
  }
  await waiting;
  return { end, ms: endedMs - beganMs, pausesMs };
}

function asFault(end: TaskEnd | Fault): ProxmoxFault {
  assert.ok(end instanceof ProxmoxFault, JSON.stringify(end));
  return end;
}

Deno.test("waitForTask: asks until the task has ended, ever more seldom, and returns only success", async () => {
  await using server = startServer(scripted([null, null, null, null, null, null, null, null, null, "OK"]));
  const { end, ms, pausesMs } = await ended(server);
  assert.deepEqual(end, { upid: START, warnings: 0, log: [] });
  assert.equal(ms, pausesMs.reduce((sum, pause) => sum + pause, 0), "it only sleeps");
  assert.deepEqual(pausesMs.map(Math.round), [200, 300, 450, 675, 1013, 1519, 2278, 3000, 3000]);
  assert.equal(server.requests.length, 10, "no log is read of what succeeded");
  assert.equal(
    decodeURIComponent(server.requests[0]?.path ?? ""),
    `/api2/json/nodes/pve1/tasks/${START.text}/status`,
  );
});

Deno.test("waitForTask: warnings are a success, and are kept with the end of the log", async () => {
  await using server = startServer(
    scripted(["WARNINGS: 2"], ["WARN: no swap", "WARN: old machine", "TASK WARNINGS: 2"]),
  );
  const { end } = await ended(server);
  assert.deepEqual(end, {
    upid: START,
    warnings: 2,
    log: ["WARN: no swap", "WARN: old machine", "TASK WARNINGS: 2"],
  });
});

/** Exit statuses and logs as recorded. */
const FAILED: { why: string; exit: string; log: string[]; means: string; says: RegExp }[] = [
  {
    why: "a bridge that the configuration named all the time",
    exit: "bridge 'vmbr9' does not exist",
    log: ["generating cloud-init ISO", "TASK ERROR: bridge 'vmbr9' does not exist"],
    means: "bridge-missing",
    says: /^Cannot start VM 47001: bridge 'vmbr9' does not exist; its log ends: generating cloud-init ISO$/,
  },
  {
    why: "what only the log says",
    exit: "start failed: QEMU exited with code 1",
    log: ["qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory"],
    means: "no-memory",
    says: /start failed: QEMU exited with code 1; its log ends: .*Cannot allocate memory$/,
  },
  {
    why: "a VMID that somebody else took",
    exit: "unable to create VM 47001: config file already exists",
    log: ["TASK ERROR: unable to create VM 47001: config file already exists"],
    means: "vmid-taken",
    says: /: unable to create VM 47001: config file already exists$/,
  },
  {
    why: "a lock",
    exit: "VM is locked (backup)",
    log: [],
    means: "locked",
    says: /VM is locked \(backup\)$/,
  },
  {
    why: "something new, once and not again",
    exit: "out of cheese",
    log: [],
    means: "failed",
    says: /: out of cheese$/,
  },
  {
    why: "nothing",
    exit: "",
    log: ["about to"],
    means: "failed",
    says: /says nothing; its log ends: about to$/,
  },
  { why: "nearly OK", exit: "OK?", log: [], means: "failed", says: /OK\?$/ },
  { why: "warnings that are no number", exit: "WARNINGS: many", log: [], means: "failed", says: /many$/ },
];
for (const { why, exit, log, means, says } of FAILED) {
  Deno.test(`waitForTask: a failed task is a Fault by the same table: ${why}`, async () => {
    await using server = startServer(scripted([null, exit], log));
    const { end, ms } = await ended(server);
    const fault = asFault(end);
    assert.equal(fault.means, means);
    assert.match(fault.message, says);
    assert.equal(fault.mayBeDone, false, "it has ended");
    assert.equal(ms, 200);
  });
}

Deno.test("waitForTask: a task that stopped without an exit status is no success", async () => {
  const stopped = { body: { data: { status: "stopped", type: "qmstart", node: "pve1" } } };
  await using server = startServer(scripted([stopped]));
  assert.match(asFault((await ended(server)).end).message, /^Cannot start VM 47001: the task says nothing$/);
});

Deno.test("waitForTask: of a long log the end is kept, and nothing secret", async () => {
  const log = [
    ...Array.from({ length: 700 }, (_, index) => `transferred ${index} of 700`),
    "update VM 47001: -cipassword pl4nted",
    "TASK ERROR: it broke",
  ];
  await using server = startServer(scripted(["it broke"], log));
  const fault = asFault((await ended(server)).end);
  assert.equal(fault.answer?.log.length, 20);
  assert.match(
    fault.message,
    /its log ends: transferred 699 of 700 \| update VM 47001: -cipassword \[hidden\]$/,
  );
  assert.ok(!JSON.stringify(fault.answer).includes("pl4nted"));
});

Deno.test("waitForTask: a log that cannot be read hides no failure", async () => {
  await using server = startServer(({ path }) =>
    path.includes("/log")
      ? { status: 403, reason: "Permission check failed (/nodes/pve1, Sys.Audit)" }
      : scripted(["it broke"])({ path } as Got)
  );
  assert.match(asFault((await ended(server)).end).message, /^Cannot start VM 47001: it broke$/);
});

Deno.test("waitForTask: what goes on at the deadline of its kind is left running, and said so", async () => {
  for (const [upid, limitMs] of [[START, 20_000], [upidOf("qmclone"), 200_000]] as const) {
    await using server = startServer(scripted([null]));
    const { end, ms } = await ended(server, { upid });
    const fault = asFault(end);
    assert.deepEqual([fault.disposition, fault.reason, fault.mayBeDone], ["retry", "deadline", true]);
    assert.match(
      fault.message,
      new RegExp(`the task ${upid.type} goes on after ${limitMs / 1000} s \\(UPID:`),
    );
    assert.equal(ms, limitMs);
    assert.ok(server.requests.every(({ method }) => method === "GET"), "nobody ended it");
  }
});

/** What says nothing about the task, and will not change. */
const UNREADABLE: { why: string; reply: Reply; disposition: string; says: RegExp }[] = [
  {
    why: "a task of another token",
    reply: { status: 403, reason: "Permission check failed (/nodes/pve1, Sys.Audit)" },
    disposition: "stalled",
    says: /Sys\.Audit/,
  },
  {
    why: "a history that is gone",
    reply: { status: 400, reason: "x", body: { data: null, errors: { upid: "no such task" } } },
    disposition: "retry",
    says: /no such task/,
  },
];
for (const { why, reply, disposition, says } of UNREADABLE) {
  Deno.test(`waitForTask: what cannot be read is no success: ${why}`, async () => {
    await using server = startServer(scripted([null, reply]));
    const fault = asFault((await ended(server)).end);
    assert.deepEqual([fault.disposition, fault.mayBeDone], [disposition, true]);
    assert.match(
      fault.message,
      /^Cannot tell whether WPS could start VM 47001: Cannot read the task qmstart/,
    );
    assert.match(fault.message, says);
    assert.equal(server.requests.length, 2);
  });
}

Deno.test("waitForTask: while the daemon behind the proxy is away it goes on asking, and then still finds success", async () => {
  const away: Reply = { status: 595, reason: "Connection refused" };
  await using server = startServer(scripted([null, away, "close", { status: 401 }, away, null, "OK"]));
  assert.deepEqual((await ended(server)).end, { upid: START, warnings: 0, log: [] });
});

Deno.test("waitForTask: a daemon that stays away is no success either", async () => {
  await using server = startServer(scripted([null, { status: 595, reason: "Connection refused" }]));
  const { end, ms } = await ended(server, { upid: upidOf("qmclone") });
  const fault = asFault(end);
  assert.deepEqual([fault.disposition, fault.means, fault.mayBeDone], ["retry", "unreachable", true]);
  assert.match(fault.message, /^Cannot tell whether WPS could .*Connection refused$/);
  assert.ok(ms >= 120_000 && ms < 126_000, `${ms}`);
});

Deno.test("waitForTask: whoever stops waiting leaves the task running, and is told so", async () => {
  const cases: { when: string; reply: Reply | null }[] = [
    { when: "while it sleeps", reply: null },
    { when: "while it asks", reply: "hang" },
  ];
  for (const { when, reply } of cases) {
    await using server = startServer(scripted([reply]));
    const clock = new FakeClock(), stop = new AbortController();
    const surroundings = { client: clientOf(server.port), clock, settings: LIMITS };
    const waiting = faultOf(waitForTask(surroundings, START, ASKED, stop.signal));
    await until(when, () => reply === null ? clock.sleeping > 0 : server.requests.length > 0);
    stop.abort();
    const fault = asFault(await waiting);
    assert.deepEqual(
      [fault.disposition, fault.reason, fault.mayBeDone],
      ["cancelled", "cancelled", true],
      when,
    );
    assert.match(fault.message, /stopped on request; the task qmstart goes on \(UPID:pve1:/);
    assert.ok(server.requests.every(({ method }) => method === "GET"));
  }
});

const CONFIG = "POST /nodes/{node}/qemu/{vmid}/config";
const GIVEN = {
  at: { node: "pve1", vmid: 47001 },
  params: { digest: "ab", cores: 2, cipassword: "pl4nted-word" },
  asked: ASKED,
};

Deno.test("runTask: begins and waits; a small change is done at once", async () => {
  const { signal } = new AbortController();
  const clock = new FakeClock({ auto: true, turns: 50 });
  const looks = scripted([null, "OK"]);
  await using server = startServer((request) =>
    request.method === "POST" ? { body: { data: START.text } } : looks(request)
  );
  const surroundings = { client: clientOf(server.port), clock, settings: LIMITS };
  assert.deepEqual(await runTask(surroundings, CONFIG, GIVEN, signal), { upid: START, warnings: 0, log: [] });
  assert.deepEqual(server.requests.map(({ method }) => method), ["POST", "GET", "GET"]);
  await using other = startServer(() => ({ body: { data: null } }));
  assert.equal(await runTask({ ...surroundings, client: clientOf(other.port) }, CONFIG, GIVEN, signal), null);
  clock.stop();
});

Deno.test("runTask: a task's log does not repeat what began it", async () => {
  const looks = scripted(["it broke"], ["cannot use pl4nted-word"]);
  await using server = startServer((request) =>
    request.method === "POST" ? { body: { data: START.text } } : looks(request)
  );
  const surroundings = { client: clientOf(server.port), clock: new FakeClock(), settings: LIMITS };
  const fault = await proxmoxFaultOf(runTask(surroundings, CONFIG, GIVEN, new AbortController().signal));
  assert.match(fault.message, /its log ends: cannot use \[hidden\]$/);
});

Deno.test("runTask: where no task's name comes back, it may be under way", async () => {
  await using server = startServer(() => ({ body: { data: "soon" } }));
  const surroundings = { client: clientOf(server.port), clock: new FakeClock(), settings: LIMITS };
  const fault = await proxmoxFaultOf(runTask(surroundings, CONFIG, GIVEN, new AbortController().signal));
  assert.deepEqual([fault.disposition, fault.mayBeDone, server.requests.length], ["retry", true, 1]);
});
