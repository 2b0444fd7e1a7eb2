/** The driver suite on the real cluster: real pods, real packets, real files. */
import { type Cluster, requireOrReport, startCluster } from "../cluster/harness.ts";
import { DRIVER_CASES } from "../conformance/driver_suite.ts";
import { Trial } from "../conformance/trial.ts";
import { realBackend } from "./kubernetes/backend.ts";
import { Rounds } from "./kubernetes/rounds.ts";
import { type RunningWorld, startWorld } from "./kubernetes/world.ts";

const noCluster = !(await requireOrReport("cluster")) || Deno.env.has("WPS_TEST_KUBECONFIG");

let running: Promise<{ cluster: Cluster; world: RunningWorld }> | null = null;

function start(): Promise<{ cluster: Cluster; world: RunningWorld }> {
  running ??= (async () => {
    const cluster = await startCluster();
    return { cluster, world: await startWorld(cluster) };
  })();
  return running;
}

const rounds = new Rounds();

Deno.test.afterAll(async () => {
  await rounds.stop();
  const started = await running;
  await started?.world.close();
  await started?.cluster.stop();
});

for (const { name, needs, run } of DRIVER_CASES) {
  const wait = rounds.add(async () => {
    const { cluster, world } = await start();
    const backend = realBackend(cluster, world);
    try {
      await run(new Trial(backend, backend.permitId(name)));
    } finally {
      await backend.close();
    }
  });
  Deno.test({
    name: `kubernetes: ${name}`,
    // The only real node is everybody's; a lost one is shown in kubernetes_observe_test.ts.
    ignore: noCluster || needs === "loseNode",
    // The cases run side by side, so what is open belongs to others, too. Leaks are the other tests' business.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: wait,
  });
}
