import assert from "node:assert/strict";
import { COMMANDS } from "../../src/cli/commands.ts";
import { plainOf } from "../../src/cli/text.ts";
import { ESC, wps } from "./capture.ts";

/** Commands that only name others, with those. */
const BRANCHES: Record<string, string[]> = {
  events: ["send", "list", "show"],
  jobs: ["list", "show", "retry", "cancel"],
  uploads: ["show", "accept"],
  phases: ["check", "show"],
  config: ["check", "show"],
};
/** DESIGN 10, as far as this release has them. */
const PROMISED = [
  ...[
    "serve",
    "status",
    "permits",
    "events",
    "plan",
    "jobs",
    "drift",
    "phases",
    "halt",
    "resume",
    "uploads",
    "certificate",
  ],
  ...["connection", "config", "demo", "completion", "version"],
];

Deno.test("wps --help: names every command, and the exit codes", async () => {
  const { code, stdout, stderr } = await wps(["--help"]);
  assert.equal(code, 0);
  assert.equal(stderr, "");
  for (const name of PROMISED) assert.match(stdout, new RegExp(`^  ${name} +\\S`, "m"), name);
  assert.deepEqual(COMMANDS.map(({ name }) => name).sort(), PROMISED.sort());
  assert.match(stdout, /0 done, 1 failed, 2 usage, 3 not found/);
  for (const args of [["-h"], ["help"]]) assert.equal((await wps(args)).stdout, stdout, args.join(" "));
  const bare = await wps([]);
  assert.deepEqual([bare.code, bare.stdout], [2, stdout], "without a command: the help, and a usage error");
});

Deno.test("wps COMMAND --help: every command explains itself, with --json and examples", async (t) => {
  const leaves = COMMANDS.flatMap(({ name }) => (BRANCHES[name] ?? [null]).map((leaf) => ({ name, leaf })));
  for (const { name, leaf } of leaves) {
    const words = leaf === null ? [name] : [name, leaf];
    await t.step(words.join(" "), async () => {
      const { code, stdout, stderr } = await wps([...words, "--help"]);
      assert.deepEqual([code, stderr], [0, ""]);
      assert.match(stdout, new RegExp(`^Usage: wps ${words.join(" ")}\\b`, "m"));
      assert.match(stdout, /--json/);
      assert.match(stdout, new RegExp(`^Examples:\\n.*wps ${words.join(" ")}`, "m"), "an example of itself");
      assert.equal((await wps(["help", ...words])).stdout, stdout, "wps help says the same");
    });
  }
  for (const [name, names] of Object.entries(BRANCHES)) {
    const { code, stdout } = await wps([name, "--help"]);
    assert.equal(code, 0);
    for (const leaf of names) assert.match(stdout, new RegExp(`^  ${leaf} +\\S`, "m"), `${name} ${leaf}`);
  }
});

Deno.test("wps COMMAND --help: lines break where a reader would, on any terminal", async () => {
  for (const name of Object.keys(BRANCHES)) {
    for (const leaf of BRANCHES[name] ?? []) {
      const { stdout } = await wps([name, leaf, "--help"], { isTerminal: true, columns: 80 });
      const [help = ""] = stdout.split("Examples:");
      for (const line of help.split("\n")) {
        assert.ok(plainOf(line).length <= 80, `too wide: ${line}`);
        assert.doesNotMatch(plainOf(line), /\[$|^ +[,\]]|^ +(FILE|PATH)\]/, "an option stays whole");
      }
    }
  }
  const { stdout } = await wps(["jobs", "list", "--help"], { isTerminal: true, columns: 80 });
  assert.match(plainOf(stdout), /^ {7}\[--json\] \[--config FILE\]/m, "usage goes on beneath the name");
  assert.match(plainOf(stdout), /succeeded,\n {19}failed, /m, "choices go on beneath the description");
});

Deno.test("commands: the list's briefs are the commands' own", async () => {
  for (const { name, brief } of COMMANDS) {
    const { stdout } = await wps([name, "--help"]);
    assert.equal(stdout.split("\n")[0], brief, name);
  }
});

Deno.test("runCli: a mistyped line ends with 2, says what was meant and where to look", async () => {
  const cases: Array<[string[], RegExp, RegExp, string]> = [
    [["stauts", "p"], /Unknown command stauts; did you mean "status"\?/, /wps --help/, "two letters swapped"],
    [["--jsn"], /Unknown option --jsn/, /wps --help/, "an option without a command"],
    [["jobs"], /wps jobs needs one of list, show, retry, cancel/, /wps jobs --help/, "half a command"],
    [["jobs", "lst"], /Unknown command lst; did you mean "list"\?/, /wps jobs --help/, "a subcommand"],
    [
      ["status", "p", "--jsn"],
      /Unknown option --jsn; did you mean "--json"\?/,
      /wps status --help/,
      "an option",
    ],
    [
      ["jobs", "list", "--stat", "queued"],
      /--stat; did you mean "--state"\?/,
      /jobs list --help/,
      "its option",
    ],
    [["status"], /wps status needs PERMIT$/m, /wps status --help/, "no argument"],
    [["jobs", "show"], /wps jobs show needs ID$/m, /wps jobs show --help/, "no argument of a subcommand"],
    [["status", "a", "b"], /Unknown argument b/, /wps status --help/, "one too many"],
    [["jobs", "show", "x"], /ID: Expected a valid integer, but got x/, /jobs show --help/, "no number"],
    [["jobs", "show", "0"], /ID/, /jobs show --help/, "a number that no job has"],
    [
      ["jobs", "list", "--state", "done"],
      /queued, running, succeeded/,
      /jobs list --help/,
      "an unknown word",
    ],
    [["plan", "p", "--status"], /--status requires/, /wps plan --help/, "an option without its value"],
    [["completion", "tcsh"], /bash, zsh/, /wps completion --help/, "an unknown shell"],
    [["drift", "--repair"], /no permit was named/, /wps drift PERMIT --repair/, "a combination"],
  ];
  for (const [args, message, advice, reason] of cases) {
    const { code, stdout, stderr } = await wps(args);
    assert.equal(code, 2, reason);
    assert.equal(stdout, "", `${reason}: nothing for a pipe`);
    assert.match(stderr, message, reason);
    assert.match(stderr, advice, reason);
  }
});

Deno.test("runCli: with --json a failure is an object, too", async () => {
  const { code, stdout, stderr } = await wps(["jobs", "show", "--json"]);
  assert.deepEqual([code, stdout], [2, ""]);
  assert.deepEqual(JSON.parse(stderr), {
    error: "wps jobs show needs ID",
    details: [],
    advice: ["Run wps jobs show --help"],
    exitCode: 2,
  });
});

Deno.test("runCli: an argument that begins with a dash follows --", async () => {
  const { code, stderr } = await wps(["plan", "--socket", "/nonexistent/wps.sock", "--", "-p"]);
  assert.equal(code, 4, stderr);
});

Deno.test("runCli: nothing in a message steers the terminal", async () => {
  const { stderr } = await wps(["\u001b[2Jstatus"]);
  assert.ok(!stderr.includes(ESC));
  assert.match(stderr, /\\u\{1b\}/);
});

Deno.test("runCli: a reader that goes away is no failure", async () => {
  const { code, stderr } = await wps(["phases", "show"], { closesAfter: 0 });
  assert.deepEqual([code, stderr], [0, ""]);
});

Deno.test("wps version: program, runtime, platform", async () => {
  const manifest = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  const { stdout } = await wps(["version"]);
  assert.match(stdout, new RegExp(`^wps ${manifest.version}\n`));
  const { code, stdout: json } = await wps(["--version", "--json"]);
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(json), {
    wps: manifest.version,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    platform: Deno.build.target,
  });
});
