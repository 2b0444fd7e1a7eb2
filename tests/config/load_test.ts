import assert from "node:assert/strict";
import { loadConfig } from "../../src/config/load.ts";
import { problemLine } from "../../src/config/problem.ts";
import type { Config } from "../../src/config/schema.ts";
import { disagreements, siteOf } from "../../src/config/site.ts";
import { memoryFiles } from "./memory_files.ts";

const PATH = "/etc/wps/wps.yaml";
const LAB = "drivers: { lab: {} }\n";

/** Loads one file with an environment; further files by path. */
async function load(
  text: string | null,
  environment: Record<string, string> = {},
  files: Record<string, string> = {},
): Promise<
  { config: Config | null; lines: string[]; overridden?: ReadonlyMap<string, string>; file: string | null }
> {
  const all = text === null ? files : { ...files, [PATH]: text };
  const result = await loadConfig({ path: null, environment, files: memoryFiles(all) });
  return { ...result, lines: result.problems.map(problemLine) };
}

async function expectConfig(...given: Parameters<typeof load>): Promise<Config> {
  const { config, lines } = await load(...given);
  assert.ok(config !== null, lines.join("\n"));
  return config;
}

Deno.test("loadConfig: everything but the driver has a default", async () => {
  const config = await expectConfig(LAB);
  assert.deepEqual({ ...config, drivers: null, images: null }, {
    state: { directory: "/var/lib/wps" },
    keys: { directory: "/etc/wps/keys" },
    log: { level: "info", format: "json" },
    listen: { socket: "/run/wps/wps.sock", http: null, tls: null, insecure: false },
    api: { key: null },
    broker: null,
    redis: null,
    drivers: null,
    phases: { directory: null },
    network: { gateway: null, proxy: null, canaries: [] },
    accounts: { uidRange: [30000, 39999] },
    images: null,
    tiers: { standard: { cpu: "4", memory: "16Gi", sizes: {} } },
    defaultTier: "standard",
    volumes: { singleNode: false },
    runner: {
      parallelPermits: 24,
      urgentPermits: 4,
      attemptMax: 8,
      rereadMs: 5000,
      backoffMs: 2000,
      backoffMaxMs: 300_000,
      drift: { intervalMs: 600_000 },
      probe: { intervalMs: 900_000 },
      keep: { jobsMs: 90 * 24 * 3_600_000, eventsMs: 400 * 24 * 3_600_000 },
      waits: {
        cutMs: 120_000,
        goneMs: 600_000,
        readyMs: 600_000,
        canariesMs: 300_000,
        consolidatedMs: 86_400_000,
        volumeMs: 600_000,
        membersMs: 2_592_000_000,
      },
    },
    permits: { expiry: { warnDays: [30, 7, 1] } },
  });
  assert.deepEqual(Object.keys(config.images), [
    "research",
    "preprocessing",
    "preparation-review",
    "setup-review",
    "airlock",
    "tools",
  ]);
  for (const { reference } of Object.values(config.images)) {
    assert.match(reference, /^localhost\/wps\/[a-z-]+:[\d.]+$/);
  }
});

Deno.test("loadConfig: a broker's defaults are the names of DESIGN 3", async () => {
  const { broker } = await expectConfig(`${LAB}broker: { url: "amqp://broker" }\n`);
  assert.deepEqual(broker, {
    url: "amqp://broker",
    caFile: null,
    exchange: "permit.events",
    queue: "wps.permit-events",
    deadLetterQueue: "wps.dead-letters",
    prefetch: 200,
    heartbeatMs: 60_000,
    connectTimeoutMs: 10_000,
    reconnectMaxMs: 30_000,
  });
});

Deno.test("loadConfig: nothing in it can be changed", async () => {
  const config = await expectConfig(LAB);
  assert.throws(() => Object.assign(config.runner.waits, { readyMs: 1 }), TypeError);
  assert.throws(() => config.network.canaries.push({ host: "192.0.2.1", port: 1 }), TypeError);
});

Deno.test("loadConfig: the environment goes over the file", async () => {
  const result = await load(`${LAB}runner: { parallelPermits: 3, waits: { ready: 1m } }\n`, {
    WPS_RUNNER_PARALLEL_PERMITS: "5",
    WPS_RUNNER_WAITS_GONE: "90s",
    WPS_LOG_LEVEL: "",
  });
  const runner = result.config?.runner;
  assert.equal(runner?.parallelPermits, 5);
  assert.equal(runner?.waits.goneMs, 90_000);
  assert.equal(runner?.waits.readyMs, 60_000, "the rest of the file stands");
  assert.equal(result.config?.log.level, "info", "an empty variable counts as absent");
  assert.deepEqual([...result.overridden ?? []], [
    ["runner.parallelPermits", "WPS_RUNNER_PARALLEL_PERMITS"],
    ["runner.waits.gone", "WPS_RUNNER_WAITS_GONE"],
  ]);
});

Deno.test("loadConfig: the default file may be absent, a named one may not", async () => {
  const environment = { WPS_DRIVERS_LAB: "{}" };
  const byDefault = await load(null, environment);
  assert.equal(byDefault.file, null);
  assert.ok(byDefault.config);
  const named = await loadConfig({ path: "/mine.yaml", environment, files: memoryFiles({}) });
  assert.deepEqual(named.problems.map(problemLine), [
    "/mine.yaml: cannot read the configuration: it does not exist",
  ]);
  const byVariable = await loadConfig({
    path: null,
    environment: { ...environment, WPS_CONFIG: "/mine.yaml" },
    files: memoryFiles({}),
  });
  assert.equal(byVariable.problems[0]?.file, "/mine.yaml");
  const nothing = await load(null);
  assert.match(
    nothing.lines.join("\n"),
    /^\/etc\/wps\/wps\.yaml \(absent\):1:1: drivers: expected a driver: /,
  );
});

Deno.test("loadConfig: --config wins over WPS_CONFIG", async () => {
  const files = memoryFiles({ "/flag.yaml": LAB, "/variable.yaml": "nonsense: 1\n" });
  const result = await loadConfig({
    path: "/flag.yaml",
    environment: { WPS_CONFIG: "/variable.yaml" },
    files,
  });
  assert.equal(result.file, "/flag.yaml");
  assert.ok(result.config);
});

const KEY = "k".repeat(40);

Deno.test("loadConfig: a secret comes from its file, without the file's last line feed", async () => {
  const config = await expectConfig(
    `${LAB}api: { keyFile: /run/secrets/key }\nbroker: { urlFile: /run/secrets/broker }\n`,
    {},
    { "/run/secrets/key": `${KEY}\n`, "/run/secrets/broker": "amqps://wps:pw@broker/spe\r\n" },
  );
  assert.equal(config.api.key, KEY);
  assert.equal(config.broker?.url, "amqps://wps:pw@broker/spe");
});

Deno.test("loadConfig: which secrets stand in the file itself", async () => {
  const cases: [why: string, text: string, environment: Record<string, string>, expected: string[]][] = [
    ["none", "", {}, []],
    ["in files of their own", "broker: { urlFile: /broker }", {}, []],
    ["URLs that need no password", "broker: { url: amqp://wps@b }\nredis: { url: redis://c }", {}, []],
    ["a password", "redis: { url: 'rediss://:pw@c' }", {}, ["redis.url"]],
    ["a query, which may hold one", "redis: { url: 'redis://c?password=pw' }", {}, ["redis.url"]],
    ["a key", `api: { key: ${KEY} }`, {}, ["api.key"]],
    ["one that is overridden lies there all the same", "broker: { url: amqp://a:pw@b }", {
      WPS_BROKER_URL: "amqp://new",
    }, ["broker.url"]],
    ["the environment is not the file", "", { WPS_BROKER_URL: "amqp://a:pw@b" }, []],
  ];
  for (const [why, text, environment, expected] of cases) {
    const files = memoryFiles({ "/etc/wps/wps.yaml": LAB + text, "/broker": "amqp://a:pw@b" });
    const result = await loadConfig({ path: null, environment, files });
    assert.deepEqual(result.config === null ? result.problems : result.inlineSecrets, expected, why);
  }
});

Deno.test("loadConfig: a variable replaces the file's secret, whichever way each is given", async () => {
  const files = { "/old": "amqp://old", "/new": "amqp://new" };
  const cases: [text: string, environment: Record<string, string>][] = [
    ["broker: { url: amqp://old }", { WPS_BROKER_URL: "amqp://new" }],
    ["broker: { url: amqp://old }", { WPS_BROKER_URL_FILE: "/new" }],
    ["broker: { urlFile: /old }", { WPS_BROKER_URL: "amqp://new" }],
    ["broker: { urlFile: /old }", { WPS_BROKER_URL_FILE: "/new" }],
  ];
  for (const [text, environment] of cases) {
    const config = await expectConfig(`${LAB}${text}\n`, environment, files);
    assert.equal(config.broker?.url, "amqp://new", JSON.stringify([text, environment]));
  }
});

Deno.test("loadConfig: problems with secrets name file and key, once, and never the secret", async (test) => {
  const secret = "sekrit";
  const cases: [reason: string, text: string, files: Record<string, string>, line: string][] = [
    [
      "both given",
      `broker: { url: "amqp://wps:${secret}@b", urlFile: /u }`,
      { "/u": `amqp://${secret}` },
      "/etc/wps/wps.yaml:2:48: broker.urlFile: url is given too; keep one of them",
    ],
    [
      "unreadable",
      "broker: { urlFile: /u }",
      {},
      "/etc/wps/wps.yaml:2:20: broker.urlFile: cannot read the secret from /u: it does not exist",
    ],
    [
      "empty",
      "api: { keyFile: /k }",
      { "/k": "\n" },
      "/etc/wps/wps.yaml:2:17: api.keyFile: cannot read the secret from /k: it is empty",
    ],
    [
      "bad content",
      "broker: { urlFile: /u }",
      { "/u": `http://${secret}` },
      "/etc/wps/wps.yaml:2:20: broker.urlFile: in /u: expected a URL such as amqps://wps@broker/spe",
    ],
    [
      "too short",
      `api: { key: ${secret} }`,
      {},
      "/etc/wps/wps.yaml:2:13: api.key: expected a key of at least 32 characters, e.g. from: openssl rand -base64 24",
    ],
    [
      "a broken line",
      `api: { key: "${secret} }`,
      {},
      "/etc/wps/wps.yaml:3:1: not valid YAML: a character is missing, e.g. a closing quote or bracket",
    ],
  ];
  for (const [reason, text, files, line] of cases) {
    await test.step(reason, async () => {
      const { lines } = await load(`${LAB}${text}\n`, {}, files);
      assert.equal(lines[0], line);
      assert.ok(!lines.join("\n").includes(secret), lines.join("\n"));
      if (reason !== "a broken line") assert.equal(lines.length, 1, lines.join("\n"));
    });
  }
});

Deno.test("loadConfig: files that are named must be readable", async () => {
  const { lines } = await load(
    `${LAB}listen: { http: "0.0.0.0:1", tls: { certFile: /c, keyFile: /k } }\napi: { key: ${KEY} }\n`,
    {},
    {
      "/c": "certificate",
    },
  );
  assert.deepEqual(lines, ["/etc/wps/wps.yaml:2:60: listen.tls.keyFile: cannot read /k: it does not exist"]);
});

Deno.test("loadConfig: a variable's problem names the variable", async () => {
  const { lines } = await load(`${LAB}runner: { attempts: 3 }\n`, {
    WPS_RUNNER_ATTEMPTS: "many",
    WPS_NETWORK_PROXY: "{ url: 'http://p:1', cdr: 10.0.0.1/32 }",
    WPS_NETWORK_CANARIES: "[",
  });
  assert.deepEqual(lines, [
    "environment variable WPS_NETWORK_CANARIES: expected YAML in one line, such as [a, b] or { key: value }",
    "environment variable WPS_NETWORK_PROXY: network.proxy.cidr: missing: expected an address range such as 10.0.0.5/32 or fd00::5/128",
    'environment variable WPS_NETWORK_PROXY: network.proxy.cdr: unknown key; expected one of url, cidr; did you mean "cidr"?',
    "environment variable WPS_RUNNER_ATTEMPTS: runner.attempts: expected a whole number from 1 to 100",
  ]);
});

Deno.test("siteOf: the planner's view", async () => {
  const config = await expectConfig(`${LAB}tiers: { big: { cpu: 1.5, memory: 4Gi, home: 1Gi } }\n`);
  assert.deepEqual(siteOf(config), {
    tiers: { big: { cpu: "1.5", memory: "4Gi", sizes: { home: "1Gi" } } },
    defaultTier: "big",
    waits: config.runner.waits,
  });
});

Deno.test("disagreements: what phases name and the configuration does not", async () => {
  const config = await expectConfig(`${LAB}tiers: { standard: { cpu: 1, memory: 4Gi, hoem: 1Gi } }\n`);
  const names = { kinds: ["research", "classroom"], volumes: ["home", "raw"], usesProxy: true };
  assert.deepEqual(disagreements(config, names, PATH).map(problemLine), [
    "/etc/wps/wps.yaml: images.classroom: missing: the phases have such a workspace",
    '/etc/wps/wps.yaml: tiers.standard.hoem: there is no volume "hoem"; expected cpu, memory, or one of home, raw; did you mean "home"?',
  ]);
});

Deno.test("disagreements: storage classes of volumes that do not exist, and a proxy that phases need", async () => {
  const config = await expectConfig(
    "drivers: { kubernetes: { inCluster: true, storageClasses: { default: a, hoem: b } } }\n" +
      "network: { gateway: { cidr: 10.0.0.5/32 }, canaries: ['192.0.2.1:443', '192.0.2.2:443'] }\n",
  );
  const names = { kinds: ["research"], volumes: ["home", "raw"], usesProxy: true };
  assert.deepEqual(disagreements(config, names, PATH).map(problemLine), [
    '/etc/wps/wps.yaml: drivers.kubernetes.storageClasses.hoem: there is no volume "hoem"; expected default, or one of home, raw; did you mean "home"?',
    "/etc/wps/wps.yaml: network.proxy: missing: the phases have workspaces whose network is proxied",
  ]);
});
