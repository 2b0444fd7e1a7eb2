/** The driver suite on the real cluster: real pods, real packets, real files. */
import { type Cluster, requireOrReport, startCluster } from "../cluster/harness.ts";
import type { OptionalVerb } from "../conformance/backend.ts";
import type { DriverCase } from "../conformance/case.ts";
import { DRIVER_CASES } from "../conformance/driver_suite.ts";
import { Trial } from "../conformance/trial.ts";
import { realBackend } from "./kubernetes/backend.ts";
import { Rounds } from "./kubernetes/rounds.ts";
import { type RunningWorld, startWorld } from "./kubernetes/world.ts";

const noCluster = !(await requireOrReport("cluster"));

/** Why a case is left out, by what it needs: the only real node is everybody's, and a site's is out of reach. */
const REASONS: Partial<Record<OptionalVerb, string>> = {
  loseNode: "a node that may be lost; kubernetes_observe_test.ts shows one",
  ...(Deno.env.has("WPS_TEST_KUBECONFIG")
    ? {
      files: "the node's own files, which only tests/cluster has",
      holder: "packets from this machine, which is no part of a site's pod network",
    }
    : {}),
};

function whyLeftOut({ needs }: DriverCase): string | undefined {
  return needs === undefined ? undefined : REASONS[needs];
}

if (!noCluster) {
  for (const given of DRIVER_CASES) {
    const why = whyLeftOut(given);
    if (why !== undefined) console.log(`left out: ${given.name}: it needs ${why}`);
  }
}

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
  const ignore = noCluster || whyLeftOut(given) !== undefined;
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
