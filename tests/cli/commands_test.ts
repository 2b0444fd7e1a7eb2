import assert from "node:assert/strict";
import type { EventReceipt } from "../../src/api/schemas/events.ts";
import { CapturedTerminal, ESC, wps } from "./capture.ts";
import { until } from "../services/until.ts";
import { setupEvent, TestSite } from "./site.ts";

/** Sends an event and waits for its job's end. */
async function reach(site: TestSite, event: Record<string, unknown>): Promise<void> {
  const file = await site.event(`${event["id"]}`, event);
  const { code, stdout, stderr } = await site.wps(["events", "send", file, "--follow"]);
  assert.equal(code, 0, stdout + stderr);
}

Deno.test("commands: against a running service, for people and for machines", async (t) => {
  await using site = await TestSite.make();
  await site.start();
  const json = async (...args: string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await site.wps([...args, "--json"]);
    assert.deepEqual([code, stderr], [0, ""], args.join(" "));
    return JSON.parse(stdout);
  };
  const lines = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await site.wps(args);
    assert.deepEqual([code, stderr], [0, ""], args.join(" "));
    assert.ok(!stdout.includes(ESC), "plain when piped");
    assert.doesNotMatch(stdout, /[█░✓]/, "plain when piped");
    return stdout;
  };

  await t.step("events send --follow: the verdict, each step, the end", async () => {
    const file = await site.event("a", setupEvent("a", 1, "WORKSPACE_SETUP_PENDING"));
    const { code, stdout, stderr } = await site.wps(["events", "send", file, "--follow"]);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^event 1 for permit-001: accepted$/m);
    assert.match(stdout, /^ok start research\/j\.virtanen {2}/m);
    assert.match(stdout, /^job 1 {2}reconcile of permit-001 {2}succeeded$/m);
    assert.match(stdout, /^ {2}#{20} 100 % {2}\d+ of \d+ steps$/m);
  });
  await t.step("events send: from standard input, as JSON; a repetition is no failure", async () => {
    const input = JSON.stringify(setupEvent("a", 1, "WORKSPACE_SETUP_PENDING"));
    const { code, stdout } = await site.wps(["events", "send", "-", "--json"], { input });
    const receipt: EventReceipt = JSON.parse(stdout);
    assert.deepEqual([code, receipt.verdict, receipt.seq, receipt.jobId], [0, "duplicate", 2, null]);
  });
  await t.step("events send: a conflict and a rejection fail, with what to do", async () => {
    const conflict = JSON.stringify(setupEvent("a", 1, "ARCHIVED"));
    const refused = await site.wps(["events", "send", "-"], { input: conflict });
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /this id and another body\n {2}recorded: wps events show 3\n {2}-> Give a changed event a new id/,
    );
    const rejected = await site.wps(["events", "send", "-"], { input: '{"permitId": 7}' });
    assert.equal(rejected.code, 1);
    assert.match(rejected.stderr, /^ {2}permitId: /m);
    const twice =
      '{"type":"permit.status.updated","permitId":"a","permitId":"b","data":{"status":"ARCHIVED"}}';
    const ambiguous = await site.wps(["events", "send", "-"], { input: twice });
    assert.equal(ambiguous.code, 1);
    assert.match(ambiguous.stderr, /permitId: is given more than once; which of them counts is not said/);
    const seq = /wps events show (\d+)/.exec(ambiguous.stderr)?.[1] ?? "";
    const shown = await lines("events", "show", seq);
    assert.match(shown, /^ {2}permit +-$/m);
    assert.ok(shown.includes(twice), "as it came: laid out again one of the two would be lost");
    const absent = await site.wps(["events", "send", "/nonexistent.json"]);
    assert.equal(absent.code, 2);
    assert.match(absent.stderr, /Cannot read \/nonexistent\.json: it does not exist/);
  });
  await t.step("events list, events show", async () => {
    const list = await lines("events", "list", "--permit", "permit-001");
    assert.match(list, /^1 +\S+ \S+ +permit-001 +permit\.status\.updated +accepted +cli/m);
    assert.match(list, /^2 .* duplicate +cli +WORKSPACE_SETUP_PENDING +Same id and body as event 1$/m);
    assert.equal((await lines("events", "list", "--verdict", "rejected")).split("\n").length, 4);
    assert.match(list, /^3 .* conflict +cli +ARCHIVED +Event 1 has this id and another body$/m);
    const rejections = await lines("events", "list", "--verdict", "rejected");
    assert.match(
      rejections,
      / rejected +cli +ARCHIVED +Permit id is given more than once; which of them counts is not said$/m,
    );
    const nonsense = JSON.stringify(setupEvent("z", 9, "NONSENSE"));
    assert.equal((await site.wps(["events", "send", "-"], { input: nonsense })).code, 1);
    assert.match(
      await lines("status", "permit-001"),
      / rejected +NONSENSE +Status: no phase is named NONSENSE$/m,
    );
    const show = await lines("events", "show", "1");
    assert.match(show, /^ {2}verdict {3}accepted$/m);
    assert.match(show, /^ {6}"status": "WORKSPACE_SETUP_PENDING",$/m, "the body is laid out");
    assert.equal((await site.wps(["events", "show", "99"])).code, 3);
  });
  await t.step("events send, events show: a field that WPS does not know is told", async () => {
    const event = setupEvent("a", 1, "WORKSPACE_SETUP_PENDING");
    const input = JSON.stringify({ ...event, expires_at: "2027-01-01T00:00:00Z" });
    const { code, stdout, stderr } = await site.wps(["events", "send", "-"], { input });
    assert.deepEqual([code, stderr], [0, ""]);
    const told =
      /^event (\d+) for permit-001: duplicate.*\n1 field not known to WPS, and passed over:\n {2}expires_at$/m;
    const seq = told.exec(stdout)?.[1];
    assert.ok(seq !== undefined, stdout);
    const shown = await lines("events", "show", seq);
    assert.match(shown, /^Not known to WPS, and passed over\n {2}expires_at$/m);
    const view = JSON.parse(await lines("events", "show", seq, "--json"));
    assert.deepEqual([view.unknownFields, view.unknownFieldCount], [["expires_at"], 1]);
  });
  await t.step("status: everything about a permit", async () => {
    const status = await lines("status", "permit-001");
    assert.match(status, /^permit-001 {2}RUNNING$/m);
    assert.match(status, /^ {2}WORKSPACE_SETUP_PENDING \(Workspace setup\)$/m);
    assert.match(status, /^ {2}1 reconcile: succeeded, took/m);
    assert.match(
      status,
      /^ {2}research\/j\.virtanen +RUNNING +proxied +reachable +yes +\S+ +j\.virtanen \(21001:21001\)$/m,
    );
    assert.match(status, /^ {4}rw \/project {2}project$/m);
    assert.match(status, /^ {4}rdp research-j-virtanen-\S+:3389$/m);
    assert.match(status, /^ {2}home\/j\.virtanen +bound +1 +- +retained +20Gi/m);
    assert.match(status, /^ {2}3 +.* conflict /m);
    const missing = await site.wps(["status", "permit-002"]);
    assert.deepEqual([missing.code, missing.stdout], [3, ""]);
    assert.match(missing.stderr, /Cannot find permit "permit-002"/);
  });
  await t.step("status: colour and signs on a terminal only", async () => {
    const { stdout } = await site.wps(["status", "permit-001"], { isTerminal: true, hasColour: true });
    assert.ok(stdout.includes(`${ESC}[32mRUNNING`));
    const plain = await site.wps(["status", "permit-001"], { isTerminal: true, hasColour: false });
    assert.ok(!plain.stdout.includes(ESC), "NO_COLOR");
  });
  await t.step("permits: list, filter, more than asked for", async () => {
    assert.match(await lines("permits"), /^permit-001 +RUNNING +WORKSPACE_SETUP_PENDING +- +no date +- /m);
    assert.equal(await lines("permits", "--status", "FAILED"), "No permits.\n");
    await reach(site, {
      id: "b",
      type: "permit.status.updated",
      permitId: "permit-002",
      data: { status: "ARCHIVED" },
    });
    const { stdout, stderr, code } = await site.wps(["permits", "--limit", "1", "--json"]);
    assert.deepEqual([code, JSON.parse(stdout).length], [0, 1]);
    assert.match(stderr, /only the first 1 are shown/);
  });
  await t.step("jobs list, jobs show", async () => {
    assert.match(await lines("jobs", "list"), /^1 +permit-001 +reconcile +succeeded +1 +100 %/m);
    const show = await lines("jobs", "show", "1");
    assert.match(show, /^1 +\+\S+ \S+ +done +start +research\/j\.virtanen/m);
    assert.equal((await site.wps(["jobs", "show", "99"])).code, 3);
    assert.equal((await site.wps(["jobs", "cancel", "1"])).code, 1, "it has ended");
    assert.equal((await site.wps(["jobs", "retry", "99"])).code, 3);
  });
  await t.step("plan: nothing to do, and what another status would do", async () => {
    assert.match(await lines("plan", "permit-001"), /Nothing to do: everything is as it should be\.$/m);
    const plan = await lines("plan", "permit-001", "--status", "ANALYSIS_ACTIVE");
    assert.match(plan, /^permit-001 {2}ANALYSIS_ACTIVE if that were its status$/m);
    assert.match(
      plan,
      /^ {2}- cut-network +research\/j\.virtanen +network changes from proxied to isolated$/m,
    );
    assert.match(plan, /^ {2}\+ ensure-volume +prepared /m);
    assert.match(plan, /^ {2}~ await-gone /m);
    assert.match(plan, /^wave 1\n {2}- cut-network/m, "taking away comes first");
    assert.match(plan, /Nothing was changed by asking\.$/m);
    assert.equal(
      (await json("plan", "permit-001") as { differs: boolean }).differs,
      false,
      "and nothing was",
    );
    const unknown = await site.wps(["plan", "permit-001", "--status", "ANALYSIS"]);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /-> Name one of ANALYSIS_ACTIVE/);
  });
  await t.step("drift: one permit, all permits, repair", async () => {
    assert.match(await lines("drift", "permit-001"), /no drift: everything is as it should be/);
    assert.match(
      await lines("drift"),
      /^2 permits looked at: 0 drifted, 0 being changed, 2 as they should be$/m,
    );
    assert.match(await lines("drift", "permit-001", "--repair"), /^job \d+ {2}drift of permit-001/m);
  });
  await t.step("connection: which one, and no password without being asked", async () => {
    const ambiguous = await site.wps(["connection", "permit-001"]);
    assert.equal(ambiguous.code, 1);
    assert.match(ambiguous.stderr, /^ {2}research of l\.nowak$/m);
    const answer = await json("connection", "permit-001", "--username", "l.nowak") as {
      connection: { password: string; port: number };
    };
    assert.equal(answer.connection.port, 3389);
    const hidden = await lines("connection", "permit-001", "--username", "l.nowak");
    assert.ok(!hidden.includes(answer.connection.password), "not shown");
    const shown = await lines("connection", "permit-001", "--username", "l.nowak", "--show-password");
    assert.ok(shown.includes(answer.connection.password), "shown on demand");
    assert.equal((await site.wps(["connection", "permit-002"])).code, 1, "nobody can connect to an archive");
  });
  await t.step("completion: permits by id", async () => {
    const { stdout } = await site.wps(["completion", "bash", "status", "permit-"]);
    assert.deepEqual(stdout.trim().split("\n").map((line) => line.trim()), ["permit-001", "permit-002"]);
  });
  await t.step("every reading command writes valid JSON", async () => {
    const commands = [
      ["status", "permit-001"],
      ["permits"],
      ["events", "list"],
      ["events", "show", "1"],
      ["jobs", "list"],
      ["jobs", "show", "1"],
      ["plan", "permit-001"],
      ["drift"],
      ["drift", "permit-001"],
      ["config", "show"],
      ["config", "check"],
      ["phases", "check"],
      ["phases", "show"],
      ["phases", "show", "ARCHIVED"],
    ];
    for (const command of commands) assert.equal(typeof await json(...command), "object", command.join(" "));
  });
});

Deno.test("commands: without a service, what only reads answers from the database and says so", async (t) => {
  await using site = await TestSite.make();
  const never = await site.wps(["status", "permit-001"]);
  assert.equal(never.code, 4, "a site that was never started");
  assert.match(never.stderr, /nobody listens on .*wps\.sock, and the database cannot be read either/);
  assert.match(never.stderr, /-> Start the service with wps serve/);

  await site.start();
  await reach(site, setupEvent("a", 1, "WORKSPACE_SETUP_PENDING"));
  await site.stop();
  const reading = [
    ["status", "permit-001"],
    ["permits"],
    ["events", "list"],
    ["events", "show", "1"],
    ["jobs", "list"],
    ["jobs", "show", "1"],
  ];
  for (const args of reading) {
    await t.step(args.join(" "), async () => {
      const { code, stdout, stderr } = await site.wps(args);
      assert.equal(code, 0, stderr);
      assert.match(stderr, /^wps: the service is not running; read from the database\n$/);
      assert.match(stdout, /permit-001/);
    });
  }
  const needing = [
    ["plan", "permit-001"],
    ["drift"],
    ["drift", "permit-001"],
    ["connection", "permit-001"],
    ["events", "send", "-"],
    ["jobs", "retry", "1"],
    ["jobs", "cancel", "1"],
    ["jobs", "show", "1", "--follow"],
  ];
  for (const args of needing) {
    await t.step(`${args.join(" ")} needs the service`, async () => {
      const { code, stdout, stderr } = await site.wps(args, { input: "{}" });
      assert.deepEqual([code, stdout], [4, ""]);
      assert.match(stderr, /nobody listens on .*\n {2}-> Start it with wps serve, or systemctl start wps\n$/);
    });
  }
});

Deno.test("commands: a service killed in the middle of a job is said to be gone, and its job to be interrupted", async (t) => {
  await using site = await TestSite.make("brokenKinds: [research]");
  await site.start();
  const file = await site.event("a", setupEvent("a", 1, "WORKSPACE_SETUP_PENDING"));
  assert.equal((await site.wps(["events", "send", file])).code, 0);
  await until(
    "the job waits",
    async () => (await site.wps(["status", "permit-001"])).stdout.includes("ImagePull"),
  );
  const live = JSON.parse((await site.wps(["status", "permit-001", "--json"])).stdout);
  assert.deepEqual([live.source, live.job.suspended], ["service", false]);
  // What SIGKILL leaves: the files as they are.
  await using killed = await TestSite.make("brokenKinds: [research]");
  await Deno.mkdir(`${killed.directory}/state`, { mode: 0o700 });
  for (const { name, isFile } of Deno.readDirSync(`${site.directory}/state`)) {
    if (isFile) await Deno.copyFile(`${site.directory}/state/${name}`, `${killed.directory}/state/${name}`);
  }
  await t.step("for people", async () => {
    const { stdout } = await killed.wps(["status", "permit-001"]);
    const [first = ""] = stdout.split("\n").filter((line) => /^[!✗⚠]/.test(line));
    assert.match(first, /The service does not run/);
    assert.match(stdout, /-> Start it with wps serve/);
    assert.match(stdout, /^ {2}1 reconcile: interrupted$/m);
    assert.match(stdout, /^ {2}goes on when the service starts; it waited for: .*ImagePull/m);
    assert.doesNotMatch(stdout, /--follow|left$|, for \d|\(for \d/m, "nothing of a job that nobody works on");
    const job = await killed.wps(["jobs", "show", "1"]);
    assert.match(job.stdout, /^job 1 {2}reconcile of permit-001 {2}interrupted$/m);
    assert.doesNotMatch(job.stdout, /running {2,}|left$/m);
    assert.match((await killed.wps(["jobs", "list"])).stdout, /interrupted/);
  });
  await t.step("for programs", async () => {
    const view = JSON.parse((await killed.wps(["status", "permit-001", "--json"])).stdout);
    assert.deepEqual(
      [view.source, view.job.suspended, view.job.progress.estimateMs, view.troubles[0].target],
      ["file", true, null, "service"],
    );
  });
});

Deno.test("jobs show: steps that are counted and lines that are listed agree, and no steps are explained", async () => {
  await using site = await TestSite.make();
  await site.start();
  await reach(site, setupEvent("a", 1, "WORKSPACE_SETUP_PENDING"));
  const { stdout } = await site.wps(["jobs", "show", "1"]);
  const done = Number(/100 % {2}(\d+) of \1 steps$/m.exec(stdout)?.[1]);
  const listed = stdout.split("\n").filter((line) => /^1 +\+/.test(line)).length;
  const [, beside = ""] = /^Listed, and not counted as steps: (.*)\.$/m.exec(stdout) ?? [];
  const uncounted = [...beside.matchAll(/\d+/g)].reduce((sum, [count]) => sum + Number(count), 0);
  assert.ok(uncounted > 0);
  assert.equal(listed, done + uncounted, stdout);
  await reach(site, setupEvent("b", 2, "WORKSPACE_SETUP_PENDING"));
  assert.match(
    (await site.wps(["jobs", "show", "2"])).stdout,
    /^No steps: all was as it should be already\.$/m,
  );
});

Deno.test("jobs: a failing one says what it waits for, why it failed, and can be followed and retried", async (t) => {
  const rest = "runner: { attempts: 1, waits: { ready: 3s }, backoff: { first: 10ms, max: 10ms } }";
  await using site = await TestSite.make("brokenKinds: [research]", rest);
  await site.start();
  const file = await site.event("a", setupEvent("a", 1, "WORKSPACE_SETUP_PENDING"));
  await site.wps(["events", "send", file]);

  await t.step("--follow on a terminal: a live line, drawn over, and the end", async () => {
    const redrawn = `\r${ESC}[2K`;
    const terminal = new CapturedTerminal({ isTerminal: true, columns: 60 });
    const { code, stdout } = await site.wps(["jobs", "show", "1", "--follow"], { terminal });
    assert.equal(code, 1);
    assert.ok(stdout.includes(redrawn), "the line is drawn over");
    for (const line of stdout.replaceAll(redrawn, "\n").split("\n").filter((text) => text.includes("░"))) {
      assert.ok(line.length <= 60, `a live line must not wrap: ${line}`);
    }
    assert.match(stdout, /^! Waited too long: pod research-j-virtanen-/m);
    assert.match(stdout, /^ {2}→ /m, "and what to do");
  });
  await t.step("--follow --json: one change a line, the last one is the end", async () => {
    const { stdout } = await site.wps(["jobs", "show", "1", "--follow", "--json"]);
    const changes = stdout.trim().split("\n").map((line): { event: string; data: { state?: string } } =>
      JSON.parse(line)
    );
    assert.deepEqual([changes.at(-1)?.event, changes.at(-1)?.data.state], ["end", "failed"]);
    assert.ok(changes.some(({ event }) => event === "step"));
  });
  await t.step("status: what is wrong comes first, with what to do", async () => {
    const { stdout } = await site.wps(["status", "permit-001"]);
    assert.match(stdout, /^permit-001 {2}FAILED$/m);
    assert.match(stdout, /^! .*ImagePullBackOff/m);
    assert.match(stdout, /wps jobs retry 1/);
    assert.ok(stdout.indexOf("!") < stdout.indexOf("Workspaces"));
  });
  await t.step("retry: a new job for a failed one", async () => {
    const { code, stdout } = await site.wps(["jobs", "retry", "1"]);
    assert.equal(code, 0);
    assert.match(stdout, /^job 2 {2}reconcile of permit-001 {2}(queued|running)$/m);
  });
});

Deno.test("jobs show --follow: an interrupt stops watching, a restart of the service is waited for", async () => {
  await using site = await TestSite.make("brokenKinds: [research]");
  await site.start();
  const file = await site.event("a", setupEvent("a", 1, "WORKSPACE_SETUP_PENDING"));
  await site.wps(["events", "send", file]);

  const left = new CapturedTerminal();
  const { promise, resolve } = Promise.withResolvers<() => void>();
  const leaving = site.wps(["jobs", "show", "1", "--follow"], { terminal: left, interrupts: resolve });
  await left.until("waiting: pod", leaving);
  (await promise)();
  const interrupted = await leaving;
  assert.equal(interrupted.code, 0);
  assert.match(interrupted.stderr, /stopped watching; job 1 goes on/);

  const terminal = new CapturedTerminal();
  const watching = site.wps(["jobs", "show", "1", "--follow"], { terminal });
  await terminal.until("waiting: pod", watching);
  await site.stop();
  await site.start();
  const cancelled = await site.wps(["jobs", "cancel", "1"]);
  assert.equal(cancelled.code, 0, cancelled.stderr);
  const { code, stdout, stderr } = await watching;
  assert.deepEqual([code, stderr], [1, ""]);
  assert.match(stdout, /^job 1 {2}reconcile of permit-001 {2}cancelled$/m, "it was told the end");
  assert.equal(stdout.match(/start research\/j\.virtanen/g)?.length, 1, "no step is told twice");
});

Deno.test("commands: a refusal ends with 5; an answer that is none is said, not guessed at", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const socket = `${directory}/other.sock`;
    const server = Deno.serve(
      { path: socket, onListen: () => {} },
      (request) =>
        request.url.endsWith("/denied")
          ? Response.json(
            { type: "urn:wps:problem:forbidden", detail: "Cannot answer: no", requestId: "r" },
            { status: 403 },
          )
          : new Response("<h1>hello</h1>", { status: 500 }),
    );
    try {
      const denied = await wps(["status", "denied", "--socket", socket]);
      assert.deepEqual([denied.code, denied.stderr], [5, "wps: Cannot answer: no\n"]);
      const other = await wps(["status", "x", "--socket", socket]);
      assert.equal(other.code, 1);
      assert.match(other.stderr, /Cannot understand the answer: HTTP 500/);
    } finally {
      await server.shutdown();
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
