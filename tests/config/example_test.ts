import assert from "node:assert/strict";
import { disk } from "../../src/config/disk.ts";
import { overlay } from "../../src/config/environment.ts";
import { loadConfig } from "../../src/config/load.ts";
import { problemLine } from "../../src/config/problem.ts";
import { configJsonSchema } from "../../src/config/schema.ts";
import { disagreements } from "../../src/config/site.ts";
import { loadBuiltIn } from "../phases/site.ts";
import { memoryFiles } from "./memory_files.ts";

const EXAMPLE = new URL("../../docs/examples/wps.yaml", import.meta.url);
const GUIDE = new URL("../../docs/configure.md", import.meta.url);

/** The files that the example names. */
const FILES = {
  "/etc/wps/tls/tls.crt": "certificate",
  "/etc/wps/tls/tls.key": "key",
  "/etc/wps/tls/site-ca.crt": "certificate",
  "/etc/wps/kubeconfig": "apiVersion: v1",
  "/etc/wps/secrets/api-key": `${"k".repeat(32)}\n`,
  "/etc/wps/secrets/broker-url": "amqps://wps:pw@broker/spe\n",
};

Deno.test("loadConfig: the example in docs is a valid configuration that agrees with the phases", async () => {
  const files = memoryFiles({ ...FILES, "/etc/wps/wps.yaml": await disk.read(EXAMPLE.pathname) });
  const { config, problems } = await loadConfig({ path: null, environment: {}, files });
  assert.ok(config !== null, problems.map(problemLine).join("\n"));
  assert.equal(config.broker?.url, "amqps://wps:pw@broker/spe");
  assert.deepEqual(config.network.gateway, {
    by: "pods",
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "guacamole" } },
    podSelector: { matchLabels: { "app.kubernetes.io/name": "guacd" } },
  });
  assert.deepEqual(config.network.proxy, {
    url: "http://proxy.site:3128",
    cidr: "10.20.0.5/32",
    host: "proxy.site",
    port: 3128,
    address: "10.20.0.5",
  });
  assert.deepEqual(config.network.canaries, [{ host: "10.20.0.5", port: 3128 }, {
    host: "10.20.0.53",
    port: 53,
  }]);

  const phases = await loadBuiltIn();
  const rules = [...phases.statuses.values(), ...phases.events.values()].flatMap(({ workspaces }) =>
    workspaces
  );
  const names = {
    kinds: [...new Set(rules.map(({ kind }) => kind))],
    volumes: [...phases.volumes.keys()],
    usesProxy: true,
  };
  assert.deepEqual(disagreements(config, names, "wps.yaml").map(problemLine), []);
});

Deno.test("docs/configure.md: names every section of the configuration", async () => {
  const guide = await disk.read(GUIDE.pathname);
  for (const section of Object.keys(configJsonSchema().properties ?? {})) {
    assert.ok(guide.includes(`\`${section}`), section);
  }
  for (const [, variable = ""] of guide.matchAll(/`(WPS_[A-Z_]+)[=`]/g)) {
    assert.deepEqual(overlay({}, { [variable]: "x" }, configJsonSchema()).problems, [], variable);
  }
});
