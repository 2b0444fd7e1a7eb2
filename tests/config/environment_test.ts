import assert from "node:assert/strict";
import { overlay, variableOf } from "../../src/config/environment.ts";
import { configJsonSchema, type JsonSchema } from "../../src/config/schema.ts";

const SCHEMA = configJsonSchema();

Deno.test("variableOf: WPS_ and the path in capitals", () => {
  const cases: [path: string[], variable: string][] = [
    [["broker", "url"], "WPS_BROKER_URL"],
    [["broker", "urlFile"], "WPS_BROKER_URL_FILE"],
    [["state", "directory"], "WPS_STATE_DIRECTORY"],
    [["runner", "parallelPermits"], "WPS_RUNNER_PARALLEL_PERMITS"],
    [["tiers", "standard", "staff-home"], "WPS_TIERS_STANDARD_STAFF_HOME"],
  ];
  for (const [path, variable] of cases) assert.equal(variableOf(path), variable);
});

Deno.test("overlay: sets the key of a variable's name", async (test) => {
  const tiers = { tiers: { "very-large": { cpu: 1, memory: "1Gi" } } };
  const cases: [reason: string, base: unknown, variable: string, text: string, expected: unknown][] = [
    ["a text", {}, "WPS_BROKER_URL", "amqp://b", { broker: { url: "amqp://b" } }],
    ["a number", {}, "WPS_RUNNER_PARALLEL_PERMITS", "3", { runner: { parallelPermits: 3 } }],
    ["a text of digits where text is wanted", {}, "WPS_DEFAULT_TIER", "3", { defaultTier: "3" }],
    ["true", {}, "WPS_LISTEN_INSECURE", "true", { listen: { insecure: true } }],
    ["a list", {}, "WPS_NETWORK_CANARIES", '["192.0.2.1:443"]', { network: { canaries: ["192.0.2.1:443"] } }],
    ["an empty mapping", {}, "WPS_DRIVERS_LAB", "{}", { drivers: { lab: {} } }],
    [
      "a mapping replaces the file's",
      { network: { gateway: { podSelector: { matchLabels: { a: "b" } } } } },
      "WPS_NETWORK_GATEWAY",
      "{ cidr: 10.0.0.1/32 }",
      { network: { gateway: { cidr: "10.0.0.1/32" } } },
    ],
    ["a free name", {}, "WPS_IMAGES_SETUP_REVIEW", "x:1", { images: { "setup-review": "x:1" } }],
    ["a free name of one word", {}, "WPS_TIERS_STANDARD_CPU", "2", { tiers: { standard: { cpu: "2" } } }],
    ["a volume of two words", {}, "WPS_TIERS_STANDARD_STAFF_HOME", "2Gi", {
      tiers: { standard: { "staff-home": "2Gi" } },
    }],
    [
      "a name that the file has wins over a shorter one",
      tiers,
      "WPS_TIERS_VERY_LARGE_HOME",
      "2Gi",
      { tiers: { "very-large": { cpu: 1, memory: "1Gi", home: "2Gi" } } },
    ],
    ["deep", {}, "WPS_DRIVERS_KUBERNETES_KUBECONFIG", "/k", {
      drivers: { kubernetes: { kubeconfig: "/k" } },
    }],
    ["the word File", {}, "WPS_LISTEN_TLS_CERT_FILE", "/c", { listen: { tls: { certFile: "/c" } } }],
  ];
  for (const [reason, base, variable, text, expected] of cases) {
    await test.step(`${reason}: ${variable}`, () => {
      const { value, problems, origins } = overlay(base, { [variable]: text }, SCHEMA);
      assert.deepEqual(problems, []);
      assert.deepEqual(value, expected);
      assert.deepEqual([...origins.values()], [variable]);
    });
  }
});

Deno.test("overlay: leaves the file's value as it was", () => {
  const base = { broker: { url: "amqp://file" } };
  overlay(base, { WPS_BROKER_URL: "amqp://variable" }, SCHEMA);
  assert.deepEqual(base, { broker: { url: "amqp://file" } });
});

Deno.test("overlay: a mistyped variable is a problem, others' variables are not", async (test) => {
  const cases: [variable: string, problem: RegExp | null][] = [
    ["WPS_BROKER_ULR", /^no key .*; did you mean "WPS_BROKER_URL"\?$/],
    ["WPS_BROKER__URL", /^no key/],
    ["WPS_", /^no key/],
    ["WPS_BROKER_URL_", /^no key/],
    ["WPS_CONFIG", null],
    ["WPS_TEST_KUBECONFIG", null],
    ["PATH", null],
    ["XWPS_BROKER_ULR", null],
    // Kubernetes sets these in each pod of a namespace that has a Service named wps, or wps-redis.
    ["WPS_SERVICE_HOST", null],
    ["WPS_SERVICE_PORT", null],
    ["WPS_SERVICE_PORT_HTTPS", null],
    ["WPS_PORT", null],
    ["WPS_PORT_8443_TCP", null],
    ["WPS_PORT_8443_TCP_ADDR", null],
    ["WPS_REDIS_SERVICE_HOST", null],
    ["WPS_REDIS_PORT_6379_TCP_PROTO", null],
  ];
  for (const [variable, problem] of cases) {
    await test.step(variable, () => {
      const { value, problems } = overlay({}, { [variable]: "sekrit" }, SCHEMA);
      assert.deepEqual(value, {});
      assert.equal(problems.length, problem === null ? 0 : 1);
      if (problem === null) return;
      assert.equal(problems[0]?.file, `environment variable ${variable}`);
      assert.match(problems[0]?.message ?? "", problem);
      assert.ok(!problems[0]?.message.includes("sekrit"));
    });
  }
});

/** Every path of fixed names in a schema. */
function paths(schema: JsonSchema, above: string[] = []): string[][] {
  const inner = Object.entries(schema.properties ?? {}).flatMap(([key, next]) =>
    paths(next, [...above, key])
  );
  return above.length === 0 ? inner : [above, ...inner];
}

Deno.test("overlay: every key of the configuration has a variable of its own", () => {
  const all = paths(SCHEMA);
  assert.ok(all.length > 60, `${all.length}`);
  const names = all.map(variableOf);
  assert.deepEqual(names.filter((name, index) => names.indexOf(name) !== index), [], "two keys of one name");
  for (const path of all) {
    const { origins } = overlay({}, { [variableOf(path)]: "x" }, SCHEMA);
    assert.deepEqual([...origins.keys()], [path.join(".")], variableOf(path));
  }
});
