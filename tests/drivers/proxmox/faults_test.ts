import assert from "node:assert/strict";
import { z } from "zod";
import type { Disposition, Reason } from "../../../src/core/fault.ts";
import { type Answer, type Asked, readAnswer, readTaskEnd } from "../../../src/drivers/proxmox/answers.ts";
import type { Meaning } from "../../../src/drivers/proxmox/fault_row.ts";
import { FAULT_ROWS } from "../../../src/drivers/proxmox/fault_rows.ts";
import { faultOfAnswer, meansThat, rowOf } from "../../../src/drivers/proxmox/faults.ts";
import { hiding } from "../../../src/drivers/proxmox/hidden.ts";
import recorded from "./recorded_failures.json" with { type: "json" };

const ASKED: Asked = { what: "configure VM 47001", target: "VM 47001" };

/** What each row must come to, written down a second time. */
const EXPECTED: Record<Meaning, [Disposition, Reason]> = {
  "unauthenticated": ["retry", "denied"],
  "denied": ["stalled", "denied"],
  "vm-denied": ["stalled", "denied"],
  "root-only": ["stalled", "denied"],
  "protected": ["stalled", "policy-refused"],
  "pool-unseen": ["retry", "conflict"],
  "pool-other": ["retry", "conflict"],
  "exists": ["retry", "conflict"],
  "vmid-taken": ["retry", "conflict"],
  "changed": ["retry", "conflict"],
  "vm-unseen": ["retry", "conflict"],
  "running": ["retry", "conflict"],
  "not-running": ["retry", "conflict"],
  "disk-unseen": ["retry", "conflict"],
  "firewall-other": ["retry", "conflict"],
  "task-unknown": ["retry", "conflict"],
  "ended": ["retry", "conflict"],
  "lock-timeout": ["retry", "throttled"],
  "guest-deaf": ["retry", "timeout"],
  "node-unseen": ["retry", "unavailable"],
  "unreachable": ["retry", "unavailable"],
  "cut-off": ["retry", "unavailable"],
  "failed": ["retry", "unavailable"],
  "unexpected": ["retry", "internal"],
  "disk-busy": ["wait", "unavailable"],
  "locked": ["wait", "unavailable"],
  "agent-silent": ["wait", "unavailable"],
  "no-memory": ["wait", "unschedulable"],
  "too-large": ["stalled", "unschedulable"],
  "storage-missing": ["stalled", "storage-class-missing"],
  "volume-missing": ["stalled", "volume-lost"],
  "bridge-missing": ["stalled", "invalid"],
  "refused": ["stalled", "invalid"],
  "unsupported": ["stalled", "invalid"],
  "redirected": ["stalled", "invalid"],
};

/**
 * Answers of a real Proxmox VE 9.2, by flow and number of the recorded exchange; VMIDs, digests and paths of the recording
 * are made up. A task's answer is its exit status with its log.
 */
const FAILURES = z.array(z.object({
  means: z.string(),
  from: z.string(),
  status: z.number().optional(),
  reason: z.string().default(""),
  text: z.string().default(""),
  exitStatus: z.string().optional(),
  log: z.array(z.string()).default([]),
})).parse(recorded).map(({ means, from, status, reason, text, exitStatus, log }) => ({
  means,
  from,
  answer: status === undefined
    ? readTaskEnd(exitStatus ?? "", log, hiding({}))
    : readAnswer({ status, reason, text }, hiding({})),
}));

for (const { means, from, answer } of FAILURES) {
  Deno.test(`FAULT_ROWS: ${from}, ${answer.status ?? "task"} ${answer.message} means ${means}`, () => {
    const row = rowOf(answer);
    assert.equal(row.means, means);
    assert.deepEqual([row.disposition, row.reason], EXPECTED[row.means]);
    assert.match(row.advice(ASKED, answer), /^[A-Z].*[^.]$/, "a sentence without its full stop");
  });
}

/** Statuses that nobody could record: a daemon that is down in the middle, and what is not Proxmox VE at all. */
const UNRECORDED: { means: Meaning; why: string; status: number; reason: string }[] = [
  { means: "unreachable", why: "pvedaemon is down", status: 595, reason: "Connection refused" },
  {
    means: "cut-off",
    why: "pvedaemon takes longer than pveproxy waits",
    status: 596,
    reason: "Connection timed out",
  },
  { means: "cut-off", why: "the node goes away while it answers", status: 597, reason: "Broken pipe" },
  { means: "cut-off", why: "a site's own proxy before it", status: 502, reason: "Bad Gateway" },
  { means: "redirected", why: "plain HTTP at the port of HTTPS", status: 301, reason: "Moved Permanently" },
  { means: "unexpected", why: "something else altogether", status: 418, reason: "I'm a teapot" },
];
for (const { means, why, status, reason } of UNRECORDED) {
  Deno.test(`FAULT_ROWS: ${status}, ${why}, means ${means}`, () => {
    const row = rowOf(readAnswer({ status, reason, text: "" }, hiding({})));
    assert.equal(row.means, means);
    assert.deepEqual([row.disposition, row.reason], EXPECTED[means]);
  });
}

Deno.test("FAULT_ROWS: each row decides at least one answer, and each but four is from a recording", () => {
  const fromRecordings = new Set(FAILURES.map(({ answer }) => rowOf(answer).means));
  const others = new Set(UNRECORDED.map(({ means }) => means));
  const all = FAULT_ROWS.map(({ means }) => means);
  assert.equal(new Set(all).size, all.length, "a meaning has one row");
  assert.deepEqual(all.filter((means) => !fromRecordings.has(means)).sort(), [...others].sort());
});

Deno.test("FAULT_ROWS: neither a 403 nor a 500 says that something is gone", () => {
  for (const { answer } of FAILURES) assert.notEqual(rowOf(answer).reason, "not-found");
  const missing = FAILURES.filter(({ answer: { message } }) =>
    /4242|47001\.conf' does not exist/.test(message)
  );
  assert.ok(missing.length >= 5, "missing VMs were recorded in several ways");
  for (const { answer } of missing) assert.equal(rowOf(answer).disposition, "retry");
});

function answerOf(from: string): Answer {
  return FAILURES.find((failure) => failure.from === from)?.answer ?? assert.fail(`${from} was not recorded`);
}

Deno.test("faultOfAnswer: says what could not be done, why, and what to do about it", () => {
  const cases: [from: string, message: RegExp, advice: RegExp][] = [
    [
      "clone-errors#0",
      /^Cannot configure VM 47001: unable to create VM 47001: config file already exists$/,
      /looks again/,
    ],
    [
      "auth#12",
      /\(\/vms\/9000, VM\.Audit\)$/,
      /in WPS's pool, grant WPS's user and its token VM\.Audit on \/vms\/9000/,
    ],
    ["pools#3", /\(, Pool\.Allocate\)$/, /^Grant WPS's user and its token Pool\.Allocate on \/, then/],
    ["auth#16", /Permission check failed$/, /^Grant WPS's user and its token the privilege that it needs/],
    ["auth#1", /: Authentication failed!$/, /tokenFile/],
    [
      "disk-running#17",
      /: scsi1: hotplug problem - .* still busy in guest\?$/,
      /leaves VM 47001 when that stops/,
    ],
    ["config-errors#57", /: for data too large$/, /report it/],
    ["start-failure#14", /QEMU exited with code 1; its log ends: .*Cannot allocate memory$/, /Free memory/],
    [
      "start-failure#3",
      /: bridge 'vmbr9' does not exist; its log ends: generating cloud-init ISO$/,
      /Make the bridge/,
    ],
    ["template#11", /: you can't start a vm if it's a template$/, /Correct/],
  ];
  for (const [from, message, advice] of cases) {
    const fault = faultOfAnswer(ASKED, answerOf(from), { isWrite: true });
    assert.match(fault.message, message, from);
    assert.match(fault.advice ?? "", advice, from);
    assert.equal(fault.target, "VM 47001");
  }
});

Deno.test("faultOfAnswer: reason phrase and body are kept beside the message", () => {
  const { answer } = faultOfAnswer(ASKED, answerOf("pools#2"), { isWrite: true });
  assert.equal(answer?.reason, "create pool failed: pool 'rec-a' already exists");
  assert.equal(
    answer?.body,
    '{"data":null,"message":"create pool failed: pool \'rec-a\' already exists\\n"}',
  );
});

Deno.test("faultOfAnswer: a refusal says that nothing was done; what says nothing may have been done", () => {
  const cases: [answer: Answer, isWrite: boolean, expected: boolean][] = [
    [answerOf("config#3"), true, false],
    [answerOf("clone-in-progress#10"), true, false],
    [readAnswer({ status: 595, reason: "No route to host", text: "" }, hiding({})), true, false],
    [readAnswer({ status: 596, reason: "Broken pipe", text: "" }, hiding({})), true, true],
    [readAnswer({ status: 596, reason: "Broken pipe", text: "" }, hiding({})), false, false],
    [readAnswer({ status: 500, reason: "out of cheese", text: "" }, hiding({})), true, true],
    [
      readAnswer({
        status: 500,
        reason: "can't lock file '/var/log/pve/tasks/.active.lock' - got timeout",
        text: "",
      }, hiding({})),
      true,
      true,
    ],
  ];
  for (const [answer, isWrite, expected] of cases) {
    const fault = faultOfAnswer(ASKED, answer, { isWrite });
    assert.equal(fault.mayBeDone, expected, fault.message);
    assert.equal(/it may have been carried out$/.test(fault.message), expected, fault.message);
  }
});

Deno.test("readAnswer: a proxy's page is no message, and prose has an end", () => {
  const page = readAnswer({ status: 502, reason: "Bad Gateway", text: "<html>nginx</html>" }, hiding({}));
  assert.equal(page.message, "Bad Gateway");
  const long = readAnswer(
    { status: 500, reason: "x", text: JSON.stringify({ message: "y".repeat(9_000) }) },
    hiding({}),
  );
  assert.ok(long.message.length <= 600 && long.body.length <= 4_096);
  assert.equal(readAnswer({ status: 500, reason: "why", text: "[1" }, hiding({})).message, "why");
});

Deno.test("meansThat: tells a meaning of this driver from all else", () => {
  const fault = faultOfAnswer(ASKED, answerOf("clone-errors#0"), { isWrite: true });
  assert.equal(meansThat(fault, "exists", "vmid-taken"), true);
  assert.equal(meansThat(fault, "exists"), false);
  assert.equal(meansThat(new Error("vmid-taken"), "vmid-taken"), false);
});
