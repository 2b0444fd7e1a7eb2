/** A driver on the test cluster, as a site would configure it. */
import type { Clock, Random } from "../../../src/core/clock.ts";
import { KubernetesDriver } from "../../../src/drivers/kubernetes/driver.ts";
import { kubernetesSettings, type KubernetesSite } from "../../../src/drivers/kubernetes/settings.ts";
import { type Cluster, NET } from "../../cluster/harness.ts";

/** The machine's clock. */
export const machineClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done);
    }),
};

/** The machine's randomness. */
export const machineRandom: Random = {
  next: () => Math.random(),
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
};

/** Where the gateway, a stranger, the proxy and the rest of the world are, for policies under test. */
export interface World {
  /** Pods of this namespace with label app=gateway are the gateway. */
  namespace: string;
  /** The proxy's address; null: the site has none. */
  proxy: string | null;
}

/** The site of the tests: small pods, a second of grace, images of the test cluster. */
export function testSite(
  cluster: Cluster,
  world: World,
  given: Partial<KubernetesSite> = {},
): KubernetesSite {
  const image = { reference: cluster.images.box, readOnlyRoot: true };
  return {
    settings: kubernetesSettings.parse({
      kubeconfig: cluster.kubeconfigPath,
      podGraceSeconds: 1,
      storageClasses: cluster.storageClass === null ? {} : { default: cluster.storageClass },
    }),
    images: {
      research: image,
      preprocessing: image,
      "preparation-review": image,
      "setup-review": image,
      airlock: image,
      broken: { reference: "registry.invalid/none:1", readOnlyRoot: true },
    },
    toolsImage: image,
    gateway: {
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": world.namespace } },
      podSelector: { matchLabels: { app: "gateway" } },
    },
    proxy: world.proxy === null ? null : { url: `http://${world.proxy}:3128`, cidr: `${world.proxy}/32` },
    canaries: [],
    tiers: { standard: { cpu: "200m", memory: "64Mi" } },
    volumes: {
      home: "ReadWriteOnce",
      uploads: "ReadWriteOnce",
      raw: "ReadWriteMany",
      prepared: "ReadWriteMany",
      outputs: "ReadWriteMany",
      project: "ReadWriteMany",
    },
    singleNode: false,
    ...given,
  };
}

/** A driver for a site on this machine. */
export function testDriver(site: KubernetesSite): KubernetesDriver {
  return new KubernetesDriver(site, {
    clock: machineClock,
    random: machineRandom,
    readText: (path) => Deno.readTextFile(path),
    env: () => undefined,
  });
}

/** This machine as pods see it, as a range of one address. */
export const HOST_CIDR = `${NET.host}/32`;
