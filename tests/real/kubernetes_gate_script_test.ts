/** gate.sh in BusyBox where it needs root: name servers of its own in resolv.conf, and a network without routes. */
import assert from "node:assert/strict";
import { machineLacks } from "../cluster/availability.ts";
import {
  BUSYBOX,
  deadPort,
  type Ended,
  hasBusybox,
  nameServer,
  runGate,
  SCRIPT,
  tcpServer,
} from "../drivers/kubernetes/gate_script.ts";

/** Needs a mount and a network namespace, and Debian's busybox-static. */
const ignore = machineLacks() !== undefined || !hasBusybox();
const QUESTION = "kubernetes.default.svc.cluster.local";
/** Addresses of loopback with port 53 that nobody else uses: resolv.conf names no ports. */
const SERVER = "127.83.7.1", DEAD_SERVER = "127.83.7.2", NEVER = "127.83.7.4";

/** How often the control tries what it does not reach, as the script says. */
const TRIES = Number(/^TRIES_MAX=(\d+)/m.exec(Deno.readTextFileSync(SCRIPT))?.[1]);

/** Runs the control with a resolv.conf of its own. */
async function runControl(canaries: string[], resolvConf: string): Promise<Ended> {
  const file = await Deno.makeTempFile({ prefix: "wps-gate-resolv-" });
  try {
    await Deno.writeTextFile(file, resolvConf);
    return await runGate(
      { MODE: "control", QUESTION, CANARIES: canaries.join("\n"), RESOLV_CONF: file },
      ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", MOUNTED, "sh"],
    );
  } finally {
    await Deno.remove(file);
  }
}
const MOUNTED = `mount --bind "$RESOLV_CONF" /etc/resolv.conf && exec ${BUSYBOX} sh "$@"`;

Deno.test("gate.sh: the control tells what is reached, where names lead, and asks its name servers", {
  ignore,
}, async () => {
  await using server = await nameServer(
    (name, type) => {
      if (name === "none.example") return "NXDOMAIN";
      if (name === QUESTION) return "REFUSED";
      return type === "AAAA" || name === "empty.example" ? "NOERROR" : "127.0.0.1";
    },
    SERVER,
    53,
  );
  using target = tcpServer();
  const dead = deadPort();
  const { code, report, text, stderr } = await runControl(
    [
      `tcp 127.0.0.1 ${target.port}`,
      `tcp 127.0.0.1 ${dead}`,
      `name gw.example ${target.port}`,
      `name gw.example ${dead}`,
      `name none.example ${target.port}`,
      `name empty.example ${target.port}`,
      `name 127.0.0.1 ${target.port}`,
      `dns ${SERVER} 53`,
    ],
    `# a comment\nsearch a.example\nnameserver ${SERVER}\n` +
      `nameserver ${DEAD_SERVER}\nnameserver\noptions ndots:5\nnameserver 127.83.7.3\nnameserver ${NEVER}`,
  );
  assert.deepEqual(report, {
    v: 1,
    mode: "control",
    result: "done",
    begun: report.begun,
    ended: report.ended,
    targets: [
      [`tcp 127.0.0.1:${target.port}`, "reached"],
      [`tcp 127.0.0.1:${dead}`, "refused"],
      [`name gw.example:${target.port}`, "reached", "127.0.0.1"],
      [`name gw.example:${dead}`, "refused"],
      [`name none.example:${target.port}`, "failed: name NXDOMAIN"],
      [`name empty.example:${target.port}`, "failed: name without an address"],
      [`name 127.0.0.1:${target.port}`, "reached", "127.0.0.1"],
      [`dns ${SERVER}:53`, "reached"],
      [`dns ${DEAD_SERVER}:53`, "refused"],
      ["dns 127.83.7.3:53", "refused"],
    ],
    nameservers: [SERVER, DEAD_SERVER, "127.83.7.3"],
  }, text);
  assert.deepEqual([code, stderr], [0, ""]);
  const tries = ["gw.example", "none.example", "empty.example", QUESTION].map((name) =>
    server.asked.get(`A ${name}`)
  );
  assert.deepEqual(tries, [2, TRIES, TRIES, 1], "a name is asked for until it is found");
  assert.ok(TRIES > 1);
  assert.equal(target.accepted(), 3, "what was reached is not tried again");
});

Deno.test("gate.sh: the control tries again what was not reached", { ignore }, async () => {
  await using _server = await nameServer(
    (name, type, nth) => {
      if (name === QUESTION) return nth === 2 ? "NXDOMAIN" : null;
      if (name === "silent.example") return null;
      if (type === "AAAA") return "NOERROR";
      return nth === TRIES ? "127.0.0.1" : "SERVFAIL";
    },
    SERVER,
    53,
  );
  using target = tcpServer({ holds: true });
  const { code, report } = await runControl(
    [`name late.example ${target.port}`, `name silent.example ${target.port}`],
    `nameserver ${SERVER}\n`,
  );
  assert.equal(code, 0);
  assert.deepEqual(report.targets, [
    [`name late.example:${target.port}`, "reached", "127.0.0.1"],
    [`name silent.example:${target.port}`, "failed: name timed out"],
    [`dns ${SERVER}:53`, "reached"],
  ]);
});

Deno.test("gate.sh: the control without name servers tells what it can", { ignore }, async () => {
  using target = tcpServer();
  const { code, report } = await runControl(
    [`tcp 127.0.0.1 ${target.port}`],
    "search a.example\nnameserver $(touch gone)\nnameserver",
  );
  assert.equal(code, 0);
  assert.deepEqual([report.targets, report.nameservers], [[[`tcp 127.0.0.1:${target.port}`, "reached"]], []]);
});

const ODD: { why: string; canaries: string[]; report: RegExp }[] = [
  { why: "no canaries, though there is a name server", canaries: [], report: /no canaries/ },
  { why: "an option as name", canaries: ["name -type=any 1"], report: /not a name/ },
  { why: "shell in a name", canaries: ["name $(touch${IFS}gone) 1"], report: /not a name/ },
  {
    why: "names that do not fit into the report",
    canaries: Array.from(
      { length: 32 },
      (_, nth) => `name ${"a".repeat(60)}.${"b".repeat(60)}.${nth}.example 1`,
    ),
    report: /longer than 4096 bytes/,
  },
];

for (const { why, canaries, report: expected } of ODD) {
  Deno.test(`gate.sh: the control refuses ${why}`, { ignore }, async () => {
    await using _server = await nameServer(() => "NXDOMAIN", SERVER, 53);
    const { code, report, text } = await runControl(canaries, `nameserver ${SERVER}\n`);
    assert.deepEqual([code, report.result], [2, "broken"], text);
    assert.match(report.why ?? "", expected);
  });
}

Deno.test(
  "gate.sh: without a route nothing is reached, and the largest report fits",
  { ignore },
  async () => {
    const address = "2001:0db8:1111:2222:3333:4444:5555";
    const ended = await runGate({
      MODE: "gate",
      QUESTION,
      CLEAN_ROUNDS: "1",
      NODE: `${address}:9999`,
      CANARIES: Array.from(
        { length: 32 },
        (_, nth) =>
          nth === 0
            ? "tcp 192.0.2.1 443"
            : nth === 1
            ? "dns 192.0.2.53 53"
            : `tcp ${address}:${1000 + nth} 65535`,
      ).join("\n"),
    }, [
      "/usr/bin/unshare",
      "--net",
      "/bin/sh",
      "-c",
      `${BUSYBOX} ip link set lo up && exec ${BUSYBOX} sh "$@"`,
      "sh",
    ]);
    assert.deepEqual([ended.code, ended.report.result], [0, "clean"], ended.text);
    assert.deepEqual([...new Set(ended.report.targets.map(([, outcome]) => outcome))], ["no route"]);
    assert.equal(ended.report.targets.length, 33);
    assert.ok(ended.text.length <= 4096);
  },
);
