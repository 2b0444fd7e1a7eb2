import assert from "node:assert/strict";
import { describeConfig, withoutPassword } from "../../src/config/describe.ts";
import { loadConfig } from "../../src/config/load.ts";
import { configJsonSchema } from "../../src/config/schema.ts";
import { memoryFiles } from "./memory_files.ts";

const SECRET = "sekrit-".repeat(6);
const FILES = memoryFiles({
  "/w.yaml": `
drivers: { lab: { delays: { bind: 5ms } } }
api: { keyFile: /key }
broker: { url: "amqps://wps:${SECRET}@broker:5671/spe", heartbeat: 20s }
redis: { urlFile: /redis }
images: { research: "site/research:1.2" }
network: { canaries: ["192.0.2.1:443"] }
`,
  "/redis": `redis://:${SECRET}@cache:6379/2`,
  "/key": SECRET,
});

async function shown(environment: Record<string, string> = {}): Promise<ReturnType<typeof describeConfig>> {
  const read = await loadConfig({ path: "/w.yaml", environment, files: FILES });
  assert.ok(read.config, JSON.stringify(read.problems));
  return describeConfig(read, configJsonSchema());
}

Deno.test("describeConfig: by the keys of the file, with defaults and computed values, without secrets", async () => {
  const { config, origins } = await shown();
  assert.ok(!JSON.stringify({ config, origins }).includes("sekrit"));
  assert.deepEqual(config["api"], { keyFile: "/key" });
  assert.deepEqual(config["redis"], { urlFile: "/redis" });
  const cases: [key: string, value: unknown, origin: string][] = [
    ["broker.url", "amqps://wps:[secret]@broker:5671/spe", "file"],
    ["broker.heartbeat", "20s", "file"],
    ["broker.queue", "wps.permit-events", "default"],
    ["runner.backoff.first", "2s", "default"],
    ["runner.attempts", 8, "default"],
    ["accounts.uidRange", "30000-39999", "default"],
    ["drivers.lab.delays.bind", "5ms", "file"],
    ["drivers.lab.delays.start", "150ms", "default"],
    ["images.research", "site/research:1.2", "file"],
    ["images.airlock", "localhost/wps/airlock:0.1.0", "default"],
    ["defaultTier", "standard", "default"],
  ];
  for (const [key, value, origin] of cases) {
    const at = key.split(".").reduce<unknown>((inner, part) => Reflect.get(Object(inner), part), config);
    assert.deepEqual([key, at, origins[key]], [key, value, origin]);
  }
  assert.deepEqual(config["network"], { canaries: ["192.0.2.1:443"] }, "what is not configured is not there");
});

Deno.test("describeConfig: names the variable that a value comes from", async () => {
  const { config, origins } = await shown({ WPS_RUNNER_PARALLEL_PERMITS: "3", WPS_API_KEY: SECRET });
  assert.deepEqual(config["api"], { key: "[secret]" });
  assert.equal(origins["api.key"], "WPS_API_KEY");
  assert.equal(origins["runner.parallelPermits"], "WPS_RUNNER_PARALLEL_PERMITS");
});

Deno.test("describeConfig: what is shown is a configuration that means the same", async () => {
  const read = await loadConfig({ path: "/w.yaml", environment: {}, files: FILES });
  assert.ok(read.config);
  const { config } = describeConfig(read, configJsonSchema());
  const text = JSON.stringify(config).replaceAll("[secret]", SECRET);
  const files = memoryFiles({ "/again.yaml": text, "/key": SECRET, "/redis": await FILES.read("/redis") });
  const again = await loadConfig({ path: "/again.yaml", environment: {}, files });
  assert.deepEqual(again.problems, []);
  assert.deepEqual(again.config, read.config);
});

Deno.test("withoutPassword: what is left of a URL", () => {
  const cases: [address: string, shown: string][] = [
    ["redis://cache:6379", "redis://cache:6379"],
    ["amqp://wps@broker/spe", "amqp://wps@broker/spe"],
    ["amqp://wps:pw@broker/spe?cacertfile=/x&password=pw", "amqp://wps:[secret]@broker/spe?[secret]"],
    ["not a url: pw", "[secret]"],
  ];
  for (const [address, shown] of cases) assert.equal(withoutPassword(address), shown);
});
