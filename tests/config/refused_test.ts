import assert from "node:assert/strict";
import { loadConfig } from "../../src/config/load.ts";
import { memoryFiles } from "./memory_files.ts";

/** A line under `drivers: { lab: {} }`, so it is line 2; where in it, which key, which words. */
type Refusal = [line: string, column: number, key: string, says: RegExp];

const KEY = "k".repeat(32);
const KUBERNETES = "drivers: { kubernetes: { inCluster: true } }";

const CASES: Refusal[] = [
  // Shape.
  ["brokr: { url: amqp://b }", 1, "brokr", /^unknown key; .*; did you mean "broker"\?$/],
  ["state: /var/lib/wps", 8, "state", /^expected a mapping/],
  ["state: { directory: var/lib/wps }", 21, "state.directory", /an absolute path/],
  [
    "state: { dir: /var/lib/wps }",
    10,
    "state.dir",
    /^unknown key; expected directory; did you mean "directory"\?$/,
  ],
  ["log: { level: loud }", 15, "log.level", /^expected one of debug, info, warn, error$/],
  ["log: { format: jsn }", 16, "log.format", /did you mean "json"\?$/],
  // Where it listens.
  ["listen: { http: 127.0.0.1 }", 17, "listen.http", /address and port/],
  ["listen: { http: 127.0.0.1:70000 }", 17, "listen.http", /address and port/],
  ["listen: { http: 999.0.0.1:80 }", 17, "listen.http", /address and port/],
  [
    `listen: { http: 0.0.0.0:8080 }`,
    17,
    "listen.http",
    /others.*unencrypted; give listen\.tls, .*insecure: true/,
  ],
  [`listen: { http: "[::]:8080" }`, 17, "listen.http", /unencrypted/],
  [
    `listen: { http: 127.0.0.1:8080 }`,
    1,
    "api",
    /expected api\.keyFile \(or api\.key\): listen\.http serves nobody/,
  ],
  [`listen: { tls: { certFile: /f, keyFile: /f } }`, 11, "listen.tls", /TLS is for TCP/],
  [`listen: { tls: { certFile: /f } }`, 11, "listen.tls.keyFile", /^missing: expected an absolute path/],
  [`listen: { socket: /${"s".repeat(107)} }`, 19, "listen.socket", /at most 107 bytes/],
  [`listen: { insecure: yes }`, 21, "listen.insecure", /expected true or false/],
  ["keys: { directory: /var/lib/wps/keys }", 20, "keys.directory", /outside state\.directory/],
  ["keys: { directory: /var/lib/../lib//wps }", 20, "keys.directory", /outside state\.directory/],
  [`api: { key: "${KEY} x" }`, 13, "api.key", /without spaces/],
  // Broker and read model.
  ["broker: {}", 1, "broker.url", /^missing: expected a URL such as amqps:/],
  ["broker: { url: http://broker }", 16, "broker.url", /amqps:/],
  ["broker: { url: broker }", 16, "broker.url", /amqps:/],
  ["broker: { url: amqp://b, prefetch: 0 }", 36, "broker.prefetch", /from 1 to 10000/],
  ["broker: { url: amqp://b, prefetch: 1.5 }", 36, "broker.prefetch", /whole number/],
  ["broker: { url: amqp://b, heartbeat: 60 }", 37, "broker.heartbeat", /a duration from 5s to 10m, such as/],
  ["broker: { url: amqp://b, heartbeat: 1s }", 37, "broker.heartbeat", /from 5s to 10m/],
  ["broker: { url: amqp://b, heartbeat: 1 min }", 37, "broker.heartbeat", /such as 30s/],
  ['broker: { url: amqp://b, queue: "a b" }', 33, "broker.queue", /a name of letters/],
  ["redis: { url: http://cache }", 15, "redis.url", /redis:/],
  // Drivers.
  ["drivers: {}", 1, "drivers", /expected a driver: kubernetes/],
  ["drivers: { lab: {}, kubernetes: { inCluster: true } }", 1, "drivers", /exactly one driver/],
  ["drivers: { labs: {} }", 12, "drivers.labs", /did you mean "lab"\?/],
  ["drivers: { lab: { nodes: 0 } }", 26, "drivers.lab.nodes", /from 1 to 100/],
  [KUBERNETES, 1, "network.gateway", /expected the gateway: nobody could reach a workspace/],
  [KUBERNETES, 1, "network.canaries", /expected at least 2 canaries/],
  // Network.
  ["network: { gateway: { cidr: 0.0.0.0/0 } }", 29, "network.gateway.cidr", /holds every address/],
  ["network: { gateway: { cidr: 10.0.0.5/33 } }", 29, "network.gateway.cidr", /address range.*at most 32/],
  ["network: { gateway: { cidr: 10.0.0.5/8 } }", 29, "network.gateway.cidr", /bits are set below the prefix/],
  ["network: { gateway: {} }", 12, "network.gateway", /either namespaceSelector and podSelector .* or cidr/],
  [
    "network: { gateway: { namespaceSelector: {} } }",
    23,
    "network.gateway.namespaceSelector",
    /an empty selector means everyone/,
  ],
  [
    "network: { gateway: { podSelector: { matchLabels: { a: b } } } }",
    12,
    "network.gateway",
    /either namespaceSelector and podSelector/,
  ],
  [
    "network: { gateway: { podSelector: { matchLabels: { a: true } } } }",
    56,
    "network.gateway.podSelector.matchLabels.a",
    /quote true, false and numbers/,
  ],
  ["network: { proxy: { url: http://p:1 } }", 12, "network.proxy.cidr", /^missing/],
  [
    "network: { proxy: { url: http://p:1, cidr: 10.0.0.0/24 } }",
    44,
    "network.proxy.cidr",
    /cannot resolve; expected the one/,
  ],
  [
    "network: { proxy: { url: http://10.1.0.1:1, cidr: 10.0.0.0/24 } }",
    51,
    "network.proxy.cidr",
    /holds the address/,
  ],
  [
    'network: { proxy: { url: "http://u:p@p:1", cidr: 10.0.0.1/32 } }',
    26,
    "network.proxy.url",
    /every workspace would see/,
  ],
  ["network: { proxy: { url: http://p:1/x, cidr: 10.0.0.1/32 } }", 26, "network.proxy.url", /without path/],
  ["network: { canaries: [ex_ample:443] }", 23, "network.canaries[0]", /address or name/],
  ["network: { canaries: [10.0.0.1:443, 10.0.0.2] }", 37, "network.canaries[1]", /address or name/],
  ["network: { canaries: [10.0.0.1:0] }", 23, "network.canaries[0]", /address or name/],
  // Accounts.
  ["accounts: { uidRange: 0-999 }", 23, "accounts.uidRange", /begins at 1000 or higher/],
  ["accounts: { uidRange: 999-2000 }", 23, "accounts.uidRange", /begins at 1000 or higher/],
  ["accounts: { uidRange: 40000-30000 }", 23, "accounts.uidRange", /lower end first/],
  ["accounts: { uidRange: 60000-70000 }", 23, "accounts.uidRange", /65534 and 65535/],
  ["accounts: { uidRange: 3000000000-3000009999 }", 23, "accounts.uidRange", /ends at 2147483647/],
  ["accounts: { uidRange: 30000 }", 23, "accounts.uidRange", /a range such as/],
  // Images.
  ["images: { research: registry.site/research }", 21, "images.research", /means "latest"/],
  ["images: { research: registry.site:5000/research }", 21, "images.research", /means "latest"/],
  ["images: { research: registry.site/research:latest }", 21, "images.research", /"latest" changes/],
  ["images: { research: { image: x:Latest } }", 30, "images.research.image", /"latest" changes/],
  [
    "images: { research: { image: x:1, readOnlyRot: true } }",
    35,
    "images.research.readOnlyRot",
    /did you mean/,
  ],
  ["images: { research: Registry/UPPER:1 }", 21, "images.research", /expected an image such as/],
  ["images: { research: 5 }", 21, "images.research", /expected an image, or a mapping/],
  ["images: { Research: x:1 }", 11, "images.Research", /lower-case/],
  // Tiers.
  ["tiers: {}", 1, "tiers", /at least one tier/],
  ["tiers: { standard: { cpu: 4 } }", 10, "tiers.standard.memory", /^missing: expected a size/],
  ["tiers: { standard: { cpu: 0, memory: 1Gi } }", 27, "tiers.standard.cpu", /number of processors/],
  ["tiers: { standard: { cpu: 4, memory: 16GB } }", 38, "tiers.standard.memory", /such as 500Mi/],
  ["tiers: { standard: { cpu: 4, memory: 1Gi, Home: 1Gi } }", 49, "tiers.standard.Home", /cannot be one/],
  ["defaultTier: large", 14, "defaultTier", /expected one of the tiers: standard/],
  [
    "tiers: { a: { cpu: 1, memory: 1Gi }, b: { cpu: 1, memory: 1Gi } }",
    1,
    "defaultTier",
    /one of the tiers: a, b/,
  ],
  // Runner.
  ["runner: { parallelPermits: 0 }", 28, "runner.parallelPermits", /from 1 to 256/],
  ["runner: { waits: { ready: 10 } }", 27, "runner.waits.ready", /from 1s to 365d/],
  ["runner: { waits: { ready: 10ms } }", 27, "runner.waits.ready", /from 1s to 365d/],
  ["runner: { backoff: { first: 1h, max: 1m } }", 38, "runner.backoff.max", /not shorter than first/],
  ["runner: { drift: { intervall: 1m } }", 20, "runner.drift.intervall", /did you mean "interval"\?/],
];

Deno.test("loadConfig: refuses with line, column, key and what was expected", async (test) => {
  for (const [line, column, key, says] of CASES) {
    await test.step(`${line} (${key})`, async () => {
      const isDriver = line.startsWith("drivers");
      const text = `${isDriver ? "log: {}" : "drivers: { lab: {} }"}\n${line}\n`;
      const files = memoryFiles({ "/w.yaml": text, "/f": "x" });
      const { problems } = await loadConfig({ path: "/w.yaml", environment: {}, files });
      const found = problems.find((problem) => problem.key === key && says.test(problem.message));
      assert.ok(found !== undefined, JSON.stringify(problems, null, 1));
      const isRoot = found.line === 1 && found.column === 1;
      assert.ok(isRoot ? column === 1 : found.line === 2 && found.column === column, JSON.stringify(found));
    });
  }
});

Deno.test("loadConfig: reports every problem at once, in the order of the file", async () => {
  const files = memoryFiles({ "/w.yaml": "log: { level: x }\nnonsense: 1\nrunner: { attempts: 0 }\n" });
  const { problems } = await loadConfig({ path: "/w.yaml", environment: {}, files });
  assert.deepEqual(problems.map(({ line, key }) => [line, key]), [
    [1, "drivers"],
    [1, "log.level"],
    [2, "nonsense"],
    [3, "runner.attempts"],
  ]);
});
