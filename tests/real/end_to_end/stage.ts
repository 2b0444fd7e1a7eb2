/** Everything real at once: cluster, neighbours, broker, permit manager, service, and the record of what happened. */
import assert from "node:assert/strict";
import { type Cluster, NET, startCluster } from "../../cluster/harness.ts";
import { RabbitMq } from "../../services/rabbitmq.ts";
import { until } from "../../services/until.ts";
import { type Account, writeAccount } from "../kubernetes/account.ts";
import { Api } from "../kubernetes/api.ts";
import { type RunningWorld, startWorld } from "../kubernetes/world.ts";
import { ClusterHistory } from "./history.ts";
import type { SiteRules } from "./invariants.ts";
import { hasEnded, MARK, markOf } from "./objects.ts";
import { PermitManager } from "./permit_manager.ts";
import { ServiceProcess } from "./service_process.ts";
import { PROXY_PORT, siteRules, siteYaml } from "./site.ts";

/** The running whole. */
export interface Stage {
  cluster: Cluster;
  world: RunningWorld;
  /** What the configuration names as the proxy: it forwards to `world.addresses.internet` and nowhere else. */
  proxyAddress: string;
  /** `address:port` on this machine that answers pods. */
  hostAddress: string;
  rabbit: RabbitMq;
  service: ServiceProcess;
  /** Who the service is on the cluster. */
  account: Account;
  /** Whoever ends the broker lets it reconnect. */
  manager: PermitManager;
  history: ClusterHistory;
  site: SiteRules;
  /** Where the service keeps its state. */
  stateFolder: string;
  /** A permit id that nobody had before; what is left of it goes when the stage closes. */
  newPermit(label: string): string;
  close(): Promise<void>;
}

/** What a stage may have that others have not. */
export interface StageWish {
  /** The service's state lies on a file system of its own, of so many MiB. */
  stateMib?: number;
  /** How often service and broker tell each other that they live. */
  heartbeat?: string;
}

/** Starts all parts; the service consumes when this returns. What was started ends when a later part fails. */
export async function startStage(wish: StageWish = {}): Promise<Stage> {
  const ends = new AsyncDisposableStack();
  try {
    return await build(ends, wish);
  } catch (thrown) {
    await ends.disposeAsync();
    throw thrown;
  }
}

async function build(ends: AsyncDisposableStack, { stateMib, heartbeat }: StageWish): Promise<Stage> {
  const rabbitStarts = RabbitMq.start();
  ends.defer(async () => await (await rabbitStarts).stop());
  const cluster = await startCluster();
  ends.defer(() => cluster.stop());
  const world = await startWorld(cluster);
  ends.defer(() => world.close());
  const proxyAddress = await startProxy(cluster, world);
  const host = answerPods();
  ends.defer(() => host.close());
  const rabbit = await rabbitStarts;

  const folder = await Deno.makeTempDir({ prefix: "wps-end-to-end-" });
  ends.defer(() => Deno.remove(folder, { recursive: true }));
  const { port } = host.addr;
  const hostAddress = `${NET.host}:${port}`;
  const canaries = [`${world.addresses["internet"]}:443`, hostAddress];
  const account = await writeAccount(cluster, folder); // it has what a site gives it, and no more
  const places = {
    namespace: world.namespace,
    proxyAddress,
    canaries,
    amqpUrl: rabbit.url,
    heartbeat,
    kubeconfig: account.kubeconfig,
  };
  if (stateMib !== undefined) ends.use(await mountMemory(`${folder}/state`, stateMib));
  const service = new ServiceProcess(folder, siteYaml(cluster, places));
  const history = await ClusterHistory.start(cluster);
  ends.defer(() => history.close());
  const permits: string[] = [];
  ends.defer(() => sweepAll(cluster, permits));
  ends.defer(() => service.stop());
  await service.start();
  await service.consumes();
  const manager = PermitManager.start(rabbit.url);
  ends.defer(() => manager.close());
  return {
    ...{ cluster, world, proxyAddress, hostAddress, rabbit, service, account, manager, history },
    close: () => ends.disposeAsync(),
    site: siteRules(places),
    stateFolder: `${folder}/state`,
    newPermit: (label) => {
      const permitId = `${label} ${crypto.randomUUID().slice(0, 8)}`;
      permits.push(permitId);
      return permitId;
    },
  };
}

/** A file system in memory, until it is disposed of. */
async function mountMemory(path: string, mib: number): Promise<AsyncDisposable> {
  const run = async (command: string, ...args: string[]): Promise<void> => {
    const { success, stderr } = await new Deno.Command(command, { args }).output();
    assert.ok(success, `${command}: ${new TextDecoder().decode(stderr)}`);
  };
  await Deno.mkdir(path, { mode: 0o700 });
  await run("mount", "-t", "tmpfs", "-o", `size=${mib}m,mode=0700`, "tmpfs", path);
  return { [Symbol.asyncDispose]: () => run("umount", "-l", path) };
}

/** An HTTP proxy that lets through to one host. */
async function startProxy(cluster: Cluster, { namespace, addresses }: RunningWorld): Promise<string> {
  const name = "allowing-proxy";
  await cluster.apply({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      containers: [{
        name,
        image: cluster.images.box,
        imagePullPolicy: "IfNotPresent",
        command: ["/bin/probe", "proxy", `0.0.0.0:${PROXY_PORT}`, addresses["internet"] ?? ""],
      }],
    },
  });
  const api = new Api(cluster);
  return await until(`${name} runs`, async () => {
    const pod = await api.get("pods", { namespace, name });
    return pod?.status?.phase === "Running" && pod.status.podIP;
  });
}

/** Something on this machine that pods could reach, were they allowed to. */
function answerPods(): Deno.TcpListener {
  const listener = Deno.listen({ hostname: NET.host, port: 0 });
  (async () => {
    for await (const connection of listener) connection.close();
  })();
  return listener;
}

/** What the permits of a failed test left: their namespaces, then what backs their volumes. */
async function sweepAll(cluster: Cluster, permits: string[]): Promise<void> {
  const api = new Api(cluster);
  const mine = (await api.list("namespaces")).filter((object) =>
    permits.includes(markOf(object as never, MARK.permitId)) // the driver's type of the same object
  ).map(({ metadata }) => metadata.name);
  for (const name of mine) await api.remove("namespaces", { name });
  for (const { metadata: { name }, spec } of await api.list("persistentvolumes")) {
    if (!mine.includes(spec?.claimRef?.namespace ?? "")) continue;
    await api.merge("persistentvolumes", { name }, { spec: { persistentVolumeReclaimPolicy: "Delete" } });
  }
}

/** The namespace of a permit as it is now, by its mark; null: it has none. */
export function namespaceOf({ history }: Stage, permitId: string): string | null {
  const found = history.list("namespaces").filter((object) => markOf(object, MARK.permitId) === permitId);
  assert.ok(found.length <= 1, `several namespaces for ${permitId}`);
  return found[0]?.metadata.name ?? null;
}

/** Whether nothing of a permit exists any more: neither its namespace nor what backed its volumes. */
export function isGone(stage: Stage, permitId: string, namespace: string): boolean {
  const volumes = stage.history.list("persistentvolumes").filter(({ spec }) =>
    spec.claimRef?.namespace === namespace
  );
  const pods = stage.history.list("pods").filter(({ metadata }) => metadata.namespace === namespace);
  return namespaceOf(stage, permitId) === null && volumes.length === 0 && pods.every(hasEnded);
}
