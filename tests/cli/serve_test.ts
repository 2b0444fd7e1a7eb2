import assert from "node:assert/strict";
import { CapturedTerminal, wps } from "./capture.ts";
import { TestSite } from "./site.ts";

Deno.test("wps serve: starts, says its self-check, answers, refuses a second one, stops on order", async () => {
  await using site = await TestSite.make("", "log: { format: text }");
  const terminal = new CapturedTerminal();
  const { promise, resolve } = Promise.withResolvers<() => void>();
  const serving = site.wps(["serve"], { terminal, interrupts: resolve });
  const order = await promise;
  await terminal.until("service started", serving);
  assert.match(terminal.stderr, /self-check: ok .*lab cluster/);
  assert.equal((await site.wps(["permits"])).stdout, "No permits.\n");

  const second = await site.wps(["serve"]);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /Cannot use state directory .*: process \d+ is using it\n {2}-> /);
  assert.equal((await site.wps(["permits"])).code, 0, "the first one goes on");

  order();
  const { code, stdout, stderr } = await serving;
  assert.deepEqual([code, stdout], [0, ""]);
  assert.match(stderr, /service stopped\n$/);
  assert.match((await site.wps(["permits"])).stderr, /the service is not running/);
});

Deno.test("wps serve: an order to stop that comes during the start is obeyed", async () => {
  await using site = await TestSite.make();
  const { code, stderr } = await site.wps(["serve"], { interrupts: (order) => order() });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /service stopped/);
});

Deno.test("wps serve: what a person must mend ends with 2 and names file, line, column and key", async () => {
  await using site = await TestSite.make("", "listen2: {}\nrunner: { parallelPermits: 0 }");
  const { code, stdout, stderr } = await site.wps(["serve"]);
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(stderr, /wps\.yaml:5:1: listen2: unknown key; .*did you mean "listen"\?/);
  assert.match(stderr, /wps\.yaml:6:\d+: runner\.parallelPermits: expected a whole number/);
  assert.match(stderr, /-> .*wps config check/);
  const check = await site.wps(["config", "check"]);
  assert.equal(check.code, 1);
  assert.match(check.stdout, /wps\.yaml:5:1: listen2: unknown key/);
  assert.match(check.stdout, /^2 problems in /m);
});

Deno.test("wps config show: what is in force, without secrets", async () => {
  await using site = await TestSite.make("", "broker: { url: amqps://wps:geheim@broker/spe }");
  for (const args of [["config", "show"], ["config", "show", "--json"]]) {
    const { code, stdout } = await site.wps(args, { environment: { WPS_RUNNER_PARALLEL_PERMITS: "3" } });
    assert.equal(code, 0);
    assert.doesNotMatch(stdout, /geheim/);
    assert.match(stdout, /parallelPermits"?: 3/);
  }
  const environment = { WPS_RUNNER_PARALLEL_PERMITS: "3" };
  const { stdout } = await site.wps(["config", "show"], { environment });
  assert.match(stdout, /^ {2}parallelPermits: 3 # WPS_RUNNER_PARALLEL_PERMITS$/m);
  assert.match(stdout, /^ {2}attempts: 8 # default$/m, "by the key of the file");
  assert.match(stdout, /^ {2}url: amqps:\/\/wps:\[secret\]@broker\/spe # file$/m);
  assert.match(stdout, /^ {4}brokenKinds: \[\] # default$/m, "an empty list");
  assert.match(stdout, /^ {4}warnDays: \[30, 7, 1\] # default$/m, "a list");
  assert.match(stdout, /^ {4}cpu: "4" # default$/m, "within what came as one");
  assert.doesNotMatch(stdout, /^ *# default/m, "always behind the value");
});

Deno.test("wps serve, wps config check: folders and keys of this machine, with what to do", async () => {
  await using site = await TestSite.make();
  const keys = `${site.directory}/keys`;
  await Deno.remove(keys, { recursive: true });
  const serve = await site.wps(["serve"]);
  assert.equal(serve.code, 2, "a supervisor must not try again and again");
  assert.match(
    serve.stderr,
    new RegExp(`keys\\.directory: the folder ${keys} does not exist: run install -d -m 0700`),
  );
  const check = await site.wps(["config", "check"]);
  assert.equal(check.code, 1);
  assert.match(check.stdout, /keys\.directory: .*\n1 problem in /);

  await Deno.mkdir(keys, { mode: 0o700 });
  await Deno.writeFile(`${keys}/seal.key`, new Uint8Array(32), { mode: 0o644 });
  assert.match((await site.wps(["config", "check"])).stdout, /mode 0644\): run chmod 600 /);
  await Deno.chmod(`${keys}/seal.key`, 0o600);
  const elsewhere = { WPS_LISTEN_SOCKET: `${site.directory}/absent/wps.sock` };
  const warned = await site.wps(["config", "check"], { environment: elsewhere });
  assert.equal(warned.code, 0);
  assert.match(warned.stdout, /^warning: .*listen\.socket: the folder .*\/absent does not exist/m);
});

Deno.test("wps serve, wps config check: secrets that everybody can read", async () => {
  await using site = await TestSite.make("", "broker: { url: amqps://wps:geheim@broker/spe }");
  await Deno.chmod(site.config, 0o644);
  for (const command of [["serve"], ["config", "check"]]) {
    const { code, stdout, stderr } = await site.wps(command);
    assert.equal(code, command[0] === "serve" ? 2 : 1);
    assert.match(
      stdout + stderr,
      /broker\.url: everybody .* \(mode 0644\): use broker\.urlFile instead, or run chmod 640/,
    );
    assert.doesNotMatch(stdout + stderr, /geheim/);
  }
  await Deno.chmod(site.config, 0o640);
  assert.equal((await site.wps(["config", "check"])).code, 0);

  const kubeconfig = `${site.directory}/kubeconfig`;
  const write = (server: string): Promise<void> =>
    Deno.writeTextFile(
      kubeconfig,
      `clusters: [{ name: c, cluster: { server: "${server}" } }]
users: [{ name: u, user: { token: geheim } }]
contexts: [{ name: c, context: { cluster: c, user: u } }]
current-context: c
`,
    );
  await write("https://10.0.0.1:6443");
  await Deno.chmod(kubeconfig, 0o644);
  await Deno.writeTextFile(
    site.config,
    (await Deno.readTextFile(site.config)).replace(
      /^drivers: .*$/m,
      `drivers: { kubernetes: { kubeconfig: ${kubeconfig} } }
network: { gateway: { cidr: 10.20.0.10/32 }, proxy: { url: "http://10.20.0.5:3128", cidr: 10.20.0.5/32 }, canaries: ["10.20.0.5:3128", "10.20.0.53:53"] }`,
    ),
  );
  const open = await site.wps(["config", "check"]);
  assert.equal(open.code, 1);
  assert.match(
    open.stdout,
    /drivers\.kubernetes\.kubeconfig: everybody .* can read the kubeconfig \S+ \(mode 0644\)/,
  );
  await Deno.chmod(kubeconfig, 0o600);
  assert.equal(
    (await site.wps(["config", "check"])).stdout.split("\n").length,
    2,
    "one line says that all is well",
  );
  await write("http://10.0.0.1:8080");
  const plain = await site.wps(["config", "check"]);
  assert.match(
    plain.stdout,
    /^warning: .*drivers\.kubernetes\.kubeconfig: Cannot use .* in plain text\. Use the API/m,
  );
  assert.doesNotMatch(plain.stdout, /geheim/);
});

Deno.test("wps serve, wps config check: configuration and phases must fit each other", async () => {
  await using site = await TestSite.make("", "tiers: { standard: { cpu: 1, memory: 1Gi, preparde: 5Gi } }");
  const serve = await site.wps(["serve"]);
  assert.equal(serve.code, 2);
  assert.match(
    serve.stderr,
    /tiers\.standard\.preparde: there is no volume "preparde".*did you mean "prepared"/,
  );
  const check = await site.wps(["config", "check"]);
  assert.equal(check.code, 1);
  assert.match(check.stdout, /tiers\.standard\.preparde: /);
});

Deno.test("wps phases check: a site's folder, with file, line, column and reason", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const file = `${directory}/open.yaml`;
    await Deno.writeTextFile(
      file,
      "status: ANALYSIS_ACTIVE\ntitle: Analysis\nworkspaces:\n  - kind: research\n    for: each researcher\n" +
        "    network: open\n    mounts:\n      - { volume: prepared, path: /data, mode: ro }\n",
    );
    const { code, stdout } = await wps(["phases", "check", directory]);
    assert.equal(code, 1);
    assert.match(stdout, new RegExp(`^${file}:\\d+:\\d+: .*\\(invariant 1\\)$`, "m"));
    const shown = await wps(["phases", "show", "ANALYSIS_ACTIVE", "--dir", directory]);
    assert.equal(shown.code, 1, "a set that breaks an invariant is not explained");
    await Deno.writeTextFile(
      file,
      "status: PAUSED\ntitle: Paused\ndescription: Nothing runs.\nworkspaces: []\n",
    );
    const good = await wps(["phases", "check", directory]);
    assert.equal(good.code, 0, good.stdout);
    assert.match((await wps(["phases", "show", "PAUSED", "--dir", directory])).stdout, /^PAUSED: Paused$/m);
    const unknown = await wps(["phases", "show", "PAUSD", "--dir", directory]);
    assert.equal(unknown.code, 3);
    assert.match(unknown.stderr, /did you mean "PAUSED"\?/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
