/** gate.sh in BusyBox, on loopback. Its control mode and its report's size are in tests/real. */
import assert from "node:assert/strict";
import {
  BUSYBOX,
  DASH,
  deadPort,
  type Ended,
  hasBusybox,
  listening,
  nameServer,
  runGate,
  SCRIPT,
  silentPort,
  tcpServer,
  toolsWith,
} from "./gate_script.ts";

/** Needs Debian's busybox-static. */
const ignore = !hasBusybox();
const QUESTION = "kubernetes.default.svc.cluster.local";
const QUICK = { MODE: "gate", QUESTION, CONNECT_SECONDS: "1", CLEAN_ROUNDS: "2", DEADLINE_SECONDS: "2" };

/** A case that prepares its targets, runs and judges; the cases of a test run beside each other, since they mostly wait. */
interface Case {
  why: string;
  check: () => Promise<void>;
}

/** Waits for all of them, whatever became of one: what a case left running would be taken for the next test's leak. */
async function checkAll(cases: Case[]): Promise<void> {
  const settled = await Promise.allSettled(cases.map(({ check }) => check()));
  const failed = settled.flatMap((outcome, nth) =>
    outcome.status === "rejected" ? [new Error(`gate.sh: ${cases[nth]?.why}`, { cause: outcome.reason })] : []
  );
  if (failed.length > 0) throw new AggregateError(failed, failed.map(({ message }) => message).join("; "));
}

function assertEnded(ended: Ended, code: number, result: string, targets: string[][]): void {
  assert.deepEqual([ended.code, ended.report.result], [code, result], ended.text);
  assert.deepEqual(ended.report.targets, targets);
  assert.equal(ended.stderr, "");
}

function assertBroken({ code, report, text }: Ended, why: RegExp): void {
  assert.deepEqual([code, report.result], [2, "broken"], text);
  assert.match(report.why ?? "", why);
}

/** Processes of this machine whose arguments hold a port. */
function processesNaming(port: number): string[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    try {
      const words = /^\d+$/.test(name) ? Deno.readTextFileSync(`/proc/${name}/cmdline`).split("\0") : [];
      return words.includes(`${port}`) ? [words.join(" ")] : [];
    } catch {
      return []; // gone since
    }
  });
}

const CLEAN: Case[] = [
  {
    why: "a refused and a silent target are not reached; the report is whole",
    check: async () => {
      await using silent = await silentPort();
      const dead = deadPort();
      const before = Math.floor(Date.now() / 1000);
      const ended = await runGate({
        ...QUICK,
        CANARIES: `tcp 127.0.0.1 ${silent.port}\ntcp 127.0.0.2 ${dead}`,
        NODE: "127.0.0.3",
      });
      const { begun, ended: end } = ended.report;
      assert.deepEqual(ended.report, {
        v: 1,
        mode: "gate",
        result: "clean",
        rounds: 2,
        clean: 2,
        begun,
        ended: end,
        targets: [[`tcp 127.0.0.1:${silent.port}`, "timed out"], [`tcp 127.0.0.2:${dead}`, "refused"], [
          "tcp 127.0.0.3:10250",
          "refused",
        ]],
      });
      assert.equal(ended.code, 0);
      assert.ok(before <= begun && begun + 2 <= end && end <= Date.now() / 1000, ended.text);
      assert.equal(ended.text.split("\n").length, 2, "one line");
    },
  },
  {
    why: "IPv6 is written in brackets; a refused name server and a silent one are not reached",
    check: async () => {
      await using silent = await nameServer(() => null);
      const dead = deadPort();
      assertEnded(
        await runGate({
          ...QUICK,
          CANARIES: `tcp ::1 ${dead}\n\ndns 127.0.0.1 ${silent.port}\ndns 127.0.0.9 ${dead}\n`,
        }),
        0,
        "clean",
        [[`tcp [::1]:${dead}`, "refused"], [`dns 127.0.0.1:${silent.port}`, "timed out"], [
          `dns 127.0.0.9:${dead}`,
          "refused",
        ]],
      );
    },
  },
  {
    why: "rounds are counted in a row: a target that stops answering lets the gate pass",
    check: async () => {
      using server = tcpServer({ most: 2 });
      const ended = await runGate({
        ...QUICK,
        DEADLINE_SECONDS: "30",
        CANARIES: `tcp 127.0.0.1 ${server.port}`,
      });
      assertEnded(ended, 0, "clean", [[`tcp 127.0.0.1:${server.port}`, "refused"]]);
      assert.deepEqual([ended.report.rounds, ended.report.clean, server.accepted()], [4, 2, 2]);
      assert.ok(ended.tookMs >= 4 * 1000, "a round without anything to wait for takes its time all the same");
    },
  },
  {
    why:
      "a round reached between clean ones starts the count again, and a started count may end after the deadline",
    check: async () => {
      // silent in the first round, answering in the second, silent again
      await using server = await nameServer((_name, _type, nth) => nth === 2 ? "NXDOMAIN" : null);
      const ended = await runGate({
        ...QUICK,
        CLEAN_ROUNDS: "5",
        DEADLINE_SECONDS: "6",
        CANARIES: `dns 127.0.0.1 ${server.port}`,
      });
      assertEnded(ended, 0, "clean", [[`dns 127.0.0.1:${server.port}`, "timed out"]]);
      assert.equal(ended.report.clean, 5);
      // one more each time that a busy machine lets nslookup go on for too long, which is no clean round
      assert.ok(ended.report.rounds >= 7, ended.text);
      assert.ok(ended.tookMs > 6 * 1000, "the last rounds came after the deadline");
    },
  },
];

const REACHED: Case[] = [
  ...[
    { why: "that closes at once", holds: false },
    { why: "that says nothing and stays open", holds: true },
  ].map(({ why, holds }): Case => ({
    why: `a server ${why} is reached, and named beside those that are not`,
    check: async () => {
      using server = tcpServer({ holds });
      const dead = deadPort();
      const ended = await runGate({
        ...QUICK,
        CANARIES: `tcp 127.0.0.1 ${dead}\ntcp 127.0.0.1 ${server.port}`,
      });
      assertEnded(ended, 1, "reached", [[`tcp 127.0.0.1:${dead}`, "refused"], [
        `tcp 127.0.0.1:${server.port}`,
        "reached",
      ]]);
      assert.equal(ended.report.clean, 0);
      assert.equal(server.accepted(), ended.report.rounds, "each round tried it once");
      assert.deepEqual(processesNaming(server.port), [], "no connection is left open");
    },
  })),
  ...[
    { why: "an address", answer: "192.0.2.7" },
    { why: "no such name", answer: "NXDOMAIN" },
    { why: "a name without an address", answer: "NOERROR" },
    { why: "a failure", answer: "SERVFAIL" },
    { why: "a refusal", answer: "REFUSED" },
    { why: "a packet that is no DNS at all", answer: new TextEncoder().encode("ha") },
  ].map(({ why, answer }): Case => ({
    why: `a name server that answers ${why} is reached`,
    check: async () => {
      await using server = await nameServer((name) => name === QUESTION ? answer : null);
      assertEnded(
        await runGate({ ...QUICK, DEADLINE_SECONDS: "1", CANARIES: `dns 127.0.0.1 ${server.port}` }),
        1,
        "reached",
        [[`dns 127.0.0.1:${server.port}`, "reached"]],
      );
    },
  })),
];

const ODD: { why: string; env: Record<string, string>; report: RegExp }[] = [
  { why: "no canaries", env: {}, report: /no canaries/ },
  { why: "only blank lines", env: { CANARIES: "\n\n" }, report: /no canaries/ },
  { why: "the node alone, which no control answers for", env: { NODE: "127.0.0.1" }, report: /no canaries/ },
  { why: "33 canaries", env: { CANARIES: "tcp 127.0.0.1 1\n".repeat(33) }, report: /more than 32/ },
  { why: "a long line", env: { CANARIES: `tcp 127.0.0.1 ${"1".repeat(190)}` }, report: /more than 200/ },
  { why: "an unknown kind", env: { CANARIES: "udp 127.0.0.1 1" }, report: /not a canary of gate: udp/ },
  {
    why: "a kind with a comma, which the script's own cases use",
    env: { CANARIES: "x,tcp 127.0.0.1 1" },
    report: /not a canary/,
  },
  { why: "a pattern as kind", env: { CANARIES: "* 127.0.0.1 1" }, report: /not a canary of gate: \*/ },
  {
    why: "a name, which only control resolves",
    env: { CANARIES: "name localhost 1" },
    report: /not a canary/,
  },
  { why: "a name as address", env: { CANARIES: "tcp localhost 1" }, report: /not an address/ },
  { why: "an option as address", env: { CANARIES: "tcp -e 1" }, report: /not an address/ },
  { why: "an octal address", env: { CANARIES: "tcp 127.0.0.010 1" }, report: /not an address/ },
  { why: "half an address", env: { CANARIES: "tcp 127.1 1" }, report: /not an address/ },
  { why: "a number too large", env: { CANARIES: "tcp 127.0.0.256 1" }, report: /not an address/ },
  { why: "an address of a port", env: { CANARIES: "tcp 127.0.0.1:80 1" }, report: /not an address/ },
  { why: "no port", env: { CANARIES: "tcp 127.0.0.1" }, report: /not one port/ },
  { why: "port 0", env: { CANARIES: "tcp 127.0.0.1 0" }, report: /not one port/ },
  { why: "port 65536", env: { CANARIES: "tcp 127.0.0.1 65536" }, report: /not one port/ },
  { why: "a second port", env: { CANARIES: "tcp 127.0.0.1 1 2" }, report: /not one port/ },
  {
    why: "shell in an address",
    env: { CANARIES: "tcp $(touch${IFS}gone) 1" },
    report: /not an address in the canary: tcp \$\(touch\$\{IFS\}gone\) 1/,
  },
  {
    why: "shell in a port",
    env: { CANARIES: "tcp 127.0.0.1 `touch gone`" },
    report: /not one port.*`touch gone`/,
  },
  { why: "shell in a kind", env: { CANARIES: ";touch gone; 127.0.0.1 1" }, report: /not a canary/ },
  {
    why: "what would have to be escaped in JSON",
    env: { CANARIES: 'tcp "\\\u0001\u00fc" 1' },
    report: /canary: tcp \?\?\?\?\?\? 1$/,
  },
  { why: "shell in the node", env: { CANARIES: "tcp 127.0.0.1 1", NODE: "$(touch gone)" }, report: /NODE/ },
  {
    why: "a question that is no name",
    env: { CANARIES: "dns 127.0.0.1 1", QUESTION: "-type=any" },
    report: /QUESTION must be/,
  },
  { why: "no question", env: { CANARIES: "dns 127.0.0.1 1", QUESTION: "" }, report: /QUESTION must be/ },
  { why: "no clean round", env: { CANARIES: "tcp 127.0.0.1 1", CLEAN_ROUNDS: "0" }, report: /CLEAN_ROUNDS/ },
  {
    why: "an octal number",
    env: { CANARIES: "tcp 127.0.0.1 1", DEADLINE_SECONDS: "08" },
    report: /DEADLINE/,
  },
  {
    why: "no number",
    env: { CANARIES: "tcp 127.0.0.1 1", CONNECT_SECONDS: "a[$(touch gone)]" },
    report: /CONNECT/,
  },
  {
    why: "another mode",
    env: { MODE: "open", CANARIES: "tcp 127.0.0.1 1" },
    report: /MODE must be .*: open/,
  },
  { why: "a port to listen on that is none", env: { MODE: "listen", PORT: "http" }, report: /PORT must be/ },
];

/** Behaves as the nc of BusyBox's NC_110_COMPAT, which is silent about failures unless it is asked for all words. */
const TERSE_NC = `words=
if [ "$1" = -vv ]; then words=1; shift; fi
[ "$1" != -l ] || exec ${BUSYBOX} nc "$@"
said=$(${BUSYBOX} nc "$@" 2>&1 >/dev/null)
if [ -z "$said" ]; then
  [ -z "$words" ] || printf '%s (%s:%s) open\\nsent 0, rcvd 0\\n' "$3" "$3" "$4" >&2
  exit 0
fi
[ -z "$words" ] || printf '%s (%s:%s): %s\\nsent 0, rcvd 0\\n' "$3" "$3" "$4" "\${said##*: }" >&2
exit 1`;

const TOOLS: { why: string; tools: Record<string, string | null>; kind: string; report: RegExp }[] = [
  { why: "nc that always succeeds", tools: { nc: "exit 0" }, kind: "tcp", report: /with nc: .* was reached/ },
  { why: "nc that always fails", tools: { nc: "exit 1" }, kind: "tcp", report: /with nc/ },
  {
    why: "nc that always says refused",
    tools: { nc: "echo 'nc: Connection refused' >&2; exit 1" },
    kind: "tcp",
    report: /listened to, but not reached/,
  },
  {
    why: "nc that always times out",
    tools: { nc: "echo 'nc: timed out' >&2; exit 1" },
    kind: "tcp",
    report: /was timed out/,
  },
  { why: "no nc", tools: { nc: null }, kind: "tcp", report: /was failed: .*not found/ },
  { why: "no nslookup", tools: { nslookup: null }, kind: "dns", report: /with nslookup: .*not found/ },
  {
    why: "nslookup that always has an answer",
    tools: { nslookup: "printf 'Server:\\t\\t127.0.0.1\\n'" },
    kind: "dns",
    report: /with nslookup: .* was reached/,
  },
  {
    why: "nslookup on top of the C library, which knows no options and may ask another server",
    tools: { nslookup: "case $1 in -*) echo 'Usage: nslookup [HOST] [SERVER]' >&2; exit 1 ;; esac" },
    kind: "dns",
    report: /with nslookup: .* was failed: nslookup \[HOST\]/,
  },
  { why: "nslookup that says nothing", tools: { nslookup: "exit 1" }, kind: "dns", report: /said nothing/ },
];

Deno.test(
  "gate.sh: passes when nothing is reached in rounds that follow each other",
  { ignore },
  async () => {
    await checkAll(CLEAN);
  },
);

Deno.test("gate.sh: fails when anything is reached at the deadline", { ignore }, async () => {
  await checkAll(REACHED);
});

Deno.test("gate.sh: 32 targets take a round no longer than one does", { ignore }, async () => {
  await using silent = await silentPort();
  const run = (count: number): Promise<Ended> =>
    runGate({
      ...QUICK,
      CLEAN_ROUNDS: "1",
      CANARIES: Array.from({ length: count }, (_, nth) => `tcp 127.0.1.${nth + 1} ${silent.port}`).join("\n"),
    });
  const one = await run(1);
  const many = await run(32);
  assertEnded(one, 0, "clean", [[`tcp 127.0.1.1:${silent.port}`, "timed out"]]);
  assert.equal(many.code, 0, many.text);
  assert.deepEqual([...new Set(many.report.targets.map(([, outcome]) => outcome))], ["timed out"]);
  assert.equal(many.report.targets.length, 32);
  const ratio = many.tookMs / one.tookMs;
  assert.ok(ratio < 2, `32 targets took ${ratio.toFixed(2)} times as long as one`);
});

Deno.test("gate.sh: refuses odd input whole, and runs nothing of it", { ignore }, async () => {
  await checkAll(ODD.map(({ why, env, report }) => ({
    why,
    check: async () => assertBroken(await runGate({ ...QUICK, ...env }), report),
  })));
});

Deno.test("gate.sh: a tool that cannot prove itself proves nothing", { ignore }, async () => {
  await checkAll(TOOLS.map(({ why, tools, kind, report }) => ({
    why,
    check: async () => {
      await using bin = await toolsWith(tools);
      const env = { ...QUICK, PATH: bin.path, CANARIES: `${kind} 127.0.0.1 ${deadPort()}` };
      assertBroken(await runGate(env, DASH), report);
    },
  })));
});

Deno.test(
  "gate.sh: nc that fails in a way of its own after its proof proves nothing",
  { ignore },
  async () => {
    await using bin = await toolsWith({
      nc: `case $* in *' 127.0.0.8 '*) echo 'nc: socket: Too many open files' >&2; exit 1 ;; esac
exec ${BUSYBOX} nc "$@"`,
    });
    const dead = deadPort();
    const ended = await runGate({
      ...QUICK,
      PATH: bin.path,
      CANARIES: `tcp 127.0.0.1 ${dead}\ntcp 127.0.0.8 ${dead}`,
    }, DASH);
    assertBroken(ended, /could not be tried: tcp 127\.0\.0\.8:\d+ failed: .*Too many open files/);
    assert.equal(ended.report.clean, 0);
  },
);

Deno.test("gate.sh: understands an nc that needs -vv to tell why", { ignore }, async () => {
  await using bin = await toolsWith({ nc: TERSE_NC });
  await using silent = await silentPort();
  using server = tcpServer();
  const dead = deadPort();
  const run = (...ports: number[]): Promise<Ended> =>
    runGate({
      ...QUICK,
      PATH: bin.path,
      CANARIES: ports.map((port) => `tcp 127.0.0.1 ${port}`).join("\n"),
    }, DASH);
  const [clean, reached] = await Promise.all([run(dead, silent.port), run(server.port)]);
  assertEnded(clean, 0, "clean", [
    [`tcp 127.0.0.1:${dead}`, "refused"],
    [`tcp 127.0.0.1:${silent.port}`, "timed out"],
  ]);
  assertEnded(reached, 1, "reached", [[`tcp 127.0.0.1:${server.port}`, "reached"]]);
});

/** Connections in a row, far more than a control pod makes in a minute. */
const CONNECTIONS = 60;

async function visit(port: number): Promise<boolean> {
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.closeWrite();
    while (await connection.read(new Uint8Array(1024)) !== null);
    return true;
  } catch {
    return false;
  }
}

for (const [server, tools] of [["httpd", {}], ["nc, without an httpd", { httpd: null }]] as const) {
  Deno.test(
    `gate.sh: listens with ${server}, survives its visitors and ends at once`,
    { ignore },
    async () => {
      await using bin = await toolsWith(tools);
      const port = deadPort();
      const child = new Deno.Command(DASH[0] ?? "", {
        args: [SCRIPT],
        clearEnv: true,
        env: { PATH: bin.path, MODE: "listen", PORT: `${port}`, REPORT: "/dev/null" },
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      let ended = Infinity;
      try {
        for (let served = 0; served < CONNECTIONS;) {
          await listening(port); // nc is away for a moment after each
          if (await visit(port)) served++;
        }
        await listening(port);
      } finally {
        const begun = performance.now();
        child.kill("SIGTERM");
        const { code } = await child.status;
        ended = performance.now() - begun;
        assert.equal(code, 0);
      }
      assert.ok(ended < 1000, `took ${ended} ms to end`);
      assert.equal(await visit(port), false, "nobody listens any more");
    },
  );
}

Deno.test("gate.sh: says that it cannot listen where somebody else does", { ignore }, async () => {
  using server = tcpServer();
  assertBroken(await runGate({ MODE: "listen", PORT: `${server.port}` }), /cannot listen on port/);
});
