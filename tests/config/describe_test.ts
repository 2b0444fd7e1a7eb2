import assert from "node:assert/strict";
import { describeConfig, withoutPassword } from "../../src/config/describe.ts";
import { loadConfig } from "../../src/config/load.ts";
import { memoryFiles } from "./memory_files.ts";

Deno.test("describeConfig: everything but the secrets", async () => {
  const secret = "sekrit-".repeat(6);
  const text = `
drivers: { lab: {} }
api: { key: ${secret} }
broker: { url: "amqps://wps:${secret}@broker:5671/spe" }
redis: { urlFile: /redis }
`;
  const files = memoryFiles({ "/w.yaml": text, "/redis": `redis://:${secret}@cache:6379/2` });
  const { config } = await loadConfig({ path: "/w.yaml", environment: {}, files });
  assert.ok(config);
  const shown = describeConfig(config);
  assert.ok(!JSON.stringify(shown).includes("sekrit"));
  assert.equal(shown.api.key, "[secret]");
  assert.equal(shown.broker?.url, "amqps://wps:[secret]@broker:5671/spe");
  assert.equal(shown.redis?.url, "redis://:[secret]@cache:6379/2");
  assert.deepEqual({ ...shown, api: 0, broker: 0, redis: 0 }, { ...config, api: 0, broker: 0, redis: 0 });
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
