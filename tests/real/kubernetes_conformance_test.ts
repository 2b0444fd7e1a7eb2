/** The driver suite on the real cluster: real pods, real packets, real files. */
import { type Cluster, requireOrReport, startCluster } from "../cluster/harness.ts";
import { DRIVER_CASES } from "../conformance/driver_suite.ts";
import { lackOf, type Lacks, reportLeftOutCases } from "../conformance/left_out.ts";
import { Trial } from "../conformance/trial.ts";
import { realBackend } from "./kubernetes/backend.ts";
import { Rounds } from "./kubernetes/rounds.ts";
import { type RunningWorld, startWorld } from "./kubernetes/world.ts";

const noCluster = !(await requireOrReport("cluster"));

/** The only real node is everybody's, and a site's is out of reach. */
const LACKS: Lacks = {
  loseNode: {
    what: "a node that may be lost",
    why: "the only real node is everybody's",
    remedy: "Nothing to do: kubernetes_observe_test.ts shows it on a node that is only listed",
  },
  ...(Deno.env.has("WPS_TEST_KUBECONFIG")
    ? {
      files: {
        what: "the node's own files",
        why: "WPS_TEST_KUBECONFIG names a site's cluster, whose node this machine is not",
        remedy: "Run without WPS_TEST_KUBECONFIG, on tests/cluster",
      },
      holder: {
        what: "packets from this machine",
        why: "WPS_TEST_KUBECONFIG names a site's cluster, of whose pod network this machine is no part",
        remedy: "Run without WPS_TEST_KUBECONFIG, on tests/cluster",
      },
    }
    : {}),
};

// Without a cluster all of them are left out, and that is told above.
if (!noCluster) reportLeftOutCases("kubernetes", DRIVER_CASES, LACKS);

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

for (const given of DRIVER_CASES) {
  const { name, run } = given;
  const ignore = noCluster || lackOf(given, LACKS) !== undefined;
  // What is left out must not run beside the others either.
  const wait = ignore ? (): void => {} : rounds.add(async () => {
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
    ignore,
    // The cases run side by side, so what is open belongs to others, too. Leaks are the other tests' business.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: wait,
  });
}
