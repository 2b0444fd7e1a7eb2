/** The world around workspaces under test: a gateway, a stranger, a proxy, something on the internet, a DNS server. */
import { type Cluster } from "../../cluster/harness.ts";
import { until } from "../../services/until.ts";
import { Api } from "./api.ts";
import type { World } from "./site.ts";

/** One pod per part; each answers on the port that its part stands for. */
const PARTS: Record<string, string[]> = {
  gateway: ["sleep"],
  stranger: ["sleep"],
  proxy: ["serve", "0.0.0.0:3128"],
  internet: ["serve", "0.0.0.0:443"],
  dns: ["serve", "udp:0.0.0.0:53"],
};

/** The running world. */
export interface RunningWorld extends World {
  /** Pod addresses by part. */
  addresses: Record<string, string>;
  proxy: string;
  close(): Promise<void>;
}

/** Starts the world in a namespace of its own, ready. */
export async function startWorld(cluster: Cluster): Promise<RunningWorld> {
  const api = new Api(cluster);
  const namespace = `world-${crypto.randomUUID().slice(0, 8)}`;
  await api.create("namespaces", undefined, { metadata: { name: namespace } });
  await until(
    "the default account",
    async () => await api.get("serviceaccounts", { namespace, name: "default" }) !== null,
  );
  for (const [name, command] of Object.entries(PARTS)) {
    await api.create("pods", namespace, part(cluster, name, command));
  }
  const addresses: Record<string, string> = {};
  for (const name of Object.keys(PARTS)) {
    addresses[name] = await until(`${name} runs`, async () => {
      const pod = await api.get("pods", { namespace, name });
      return pod?.status?.phase === "Running" && pod.status.podIP;
    });
  }
  return {
    namespace,
    addresses,
    proxy: addresses["proxy"] ?? "",
    close: async () => {
      await api.remove("namespaces", { name: namespace });
    },
  };
}

function part(cluster: Cluster, name: string, command: string[]): object {
  return {
    metadata: { name, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      containers: [{
        name,
        image: cluster.images.box,
        imagePullPolicy: "IfNotPresent",
        command: ["/bin/probe", ...command],
      }],
    },
  };
}
