/** A service whose permits' pods run on fake nodes, and what its load looks like from outside. */
import { V8_FLAGS } from "../../../deploy/compile.ts";
import { type AuditEntry, type Cluster, NET, startCluster, STORAGE } from "../../cluster/harness.ts";
import { FakeNodes, POOL } from "../../cluster/fake_nodes.ts";
import { RabbitMq } from "../../services/rabbitmq.ts";
import { Api } from "../kubernetes/api.ts";
import { ClusterHistory } from "./history.ts";
import type { SiteRules } from "./invariants.ts";
import { isReady, type KubeObject, MARK, markOf } from "./objects.ts";
import { PermitManager } from "./permit_manager.ts";
import { rulesFor } from "./policies.ts";
import { ServiceProcess } from "./service_process.ts";

/** Permits that the service works on at once, as it is configured here. */
export const PARALLEL_PERMITS = 6;
/** Longer than a ready pod takes on fake nodes when all start at once, and short enough for one that never comes. */
const READY_DEADLINE = "30s";
const KINDS = ["research", "preprocessing", "preparation-review", "setup-review", "airlock", "tools"];
/** A label of the pod's own uid, without which no rule lets anybody in. */
const OPENED = "spe.wps/opened";

/** The person whose pods never become ready on these nodes. */
export const STUCK = "stuck";
const STUCK_STAGE = `apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: { name: pod-of-stuck-stays }
spec:
  resourceRef: { apiGroup: v1, kind: Pod }
  selector:
    matchAnnotations: { ${MARK.username}: ${STUCK} }
    matchExpressions: [{ key: .metadata.deletionTimestamp, operator: DoesNotExist }]
  weight: 1
  delay: { durationMilliseconds: 86400000 }
  next:
    statusTemplate: |
      message: a day has passed
`;

/** Everything that the load stands on. */
export interface LoadStage {
  cluster: Cluster;
  service: ServiceProcess;
  manager: PermitManager;
  history: ClusterHistory;
  /** One node each, with a kwok of its own; only `frail` takes pods at first. */
  frail: FakeNodes;
  leaving: FakeNodes;
  staying: FakeNodes;
  /** Publishes a research permit in setup for one person. */
  setUp(permitId: string, username: string, uid: number): Promise<void>;
  close(): Promise<void>;
}

/** Starts all parts; only the frail node takes pods at first. What was started ends when a later part fails. */
export async function startLoadStage(): Promise<LoadStage> {
  const ends = new AsyncDisposableStack();
  try {
    return await build(ends);
  } catch (thrown) {
    await ends.disposeAsync();
    throw thrown;
  }
}

async function build(ends: AsyncDisposableStack): Promise<LoadStage> {
  const rabbitStarts = RabbitMq.start();
  ends.defer(async () => await (await rabbitStarts).stop());
  const cluster = await startCluster();
  ends.defer(() => cluster.stop());
  const pool = `load-${crypto.randomUUID().slice(0, 8)}`;
  const add = async (name: string): Promise<FakeNodes> => {
    const nodes = await FakeNodes.start(cluster, { pool, names: [`${pool}-${name}`], stages: STUCK_STAGE });
    return ends.use(nodes);
  };
  const [frail, leaving, staying] = [await add("frail"), await add("leaving"), await add("staying")];
  for (const nodes of [leaving, staying]) await nodes.schedulable(false);
  const history = await ClusterHistory.start(cluster);
  ends.defer(() => history.close());
  ends.defer(() => sweep(cluster, pool));
  const rabbit = await rabbitStarts;
  const folder = await Deno.makeTempDir({ prefix: "wps-load-" });
  ends.defer(() => Deno.remove(folder, { recursive: true }));
  const service = new ServiceProcess(folder, siteYaml(cluster, pool, rabbit.url), [V8_FLAGS]);
  ends.defer(() => service.stop());
  await service.start();
  await service.consumes();
  const manager = PermitManager.start(rabbit.url);
  ends.defer(() => manager.close());
  const setUp = async (permitId: string, username: string, uid: number): Promise<void> => {
    const data = { researchers: [{ username, uid, gid: uid }] };
    const body = { status: "WORKSPACE_SETUP_PENDING", data };
    await manager.publish({ type: "permit.status.updated", permitId, body });
  };
  return {
    cluster,
    service,
    manager,
    history,
    frail,
    leaving,
    staying,
    setUp,
    close: () => ends.disposeAsync(),
  };
}

const PROXY = { cidr: "10.200.0.9/32", port: 3128 };
const GATEWAY = {
  namespaceSelector: { matchLabels: { role: "gateway" } },
  podSelector: { matchLabels: { app: "gateway" } },
};
/** What the configuration allows, in the judge's words. */
export const SITE_RULES: SiteRules = { gateway: GATEWAY, proxy: PROXY, holderCidrs: {} };

function siteYaml(cluster: Cluster, pool: string, amqpUrl: string): string {
  return `broker: { url: "${amqpUrl}", reconnectMax: 500ms }
drivers:
  kubernetes:
    kubeconfig: ${cluster.kubeconfigPath}
    podGraceSeconds: 1
    storageClasses: { default: ${STORAGE.fake} }
    nodeSelector: { ${POOL}: ${pool} }
    tolerations: [{ key: ${POOL}, value: ${pool}, effect: NoSchedule }]
network:
  gateway: ${JSON.stringify(GATEWAY)}
  proxy: { url: "http://10.200.0.9:${PROXY.port}", cidr: ${PROXY.cidr} }
  canaries: ["${NET.node}:26443", "${NET.host}:9"]
images: { ${KINDS.map((kind) => `${kind}: "${cluster.images.box}"`).join(", ")} }
tiers: { standard: { cpu: 10m, memory: 16Mi } }
runner: { parallelPermits: ${PARALLEL_PERMITS}, waits: { ready: ${READY_DEADLINE} } }
`;
}

/** Namespaces that a failed test left; a fake volume has nothing behind it. Pods of these nodes end with the nodes. */
async function sweep(cluster: Cluster, pool: string): Promise<void> {
  const api = new Api(cluster);
  const spaces = new Set(
    (await api.list("pods")).filter(({ spec }) => spec?.nodeSelector?.[POOL] === pool)
      .map(({ metadata }) => metadata.namespace ?? ""),
  );
  for (const name of spaces) await api.remove("namespaces", { name });
  for (const { metadata: { name }, spec } of await api.list("persistentvolumes")) {
    if (!spaces.has(spec?.claimRef?.namespace ?? "")) continue;
    await api.merge("persistentvolumes", { name }, { spec: { persistentVolumeReclaimPolicy: "Delete" } });
  }
}

/** Pods by permit that are ready and that somebody is let in to, as the cluster has it. */
export function reachable(history: ClusterHistory): Map<string, KubeObject> {
  const policies = Map.groupBy(history.list("networkpolicies"), ({ metadata }) => metadata.namespace);
  const found = new Map<string, KubeObject>();
  for (const pod of history.list("pods")) {
    const { namespace, labels, uid } = pod.metadata;
    if (!isReady(pod) || labels?.[OPENED] !== uid) continue;
    const rules = rulesFor(pod, policies.get(namespace) ?? [], "Ingress");
    if (rules !== null && rules.length > 0) found.set(markOf(pod, MARK.permitId), pod);
  }
  return found;
}

/** WPS's requests in these namespaces (or for them) in the audit log. */
export function requestsFor(entries: AuditEntry[], namespaces: ReadonlySet<string>): AuditEntry[] {
  return entries.filter((entry) => entry.userAgent === "wps" && namespaces.has(namespaceOf(entry)));
}

function namespaceOf({ objectRef }: AuditEntry): string {
  return (objectRef?.resource === "namespaces" ? objectRef.name : objectRef?.namespace) ?? "";
}

/** In how many namespaces writes were under way at once, at most. */
export function namespacesAtOnce(entries: AuditEntry[]): number {
  const WRITES = ["create", "patch", "update", "delete", "deletecollection"];
  const moments = entries.filter(({ verb }) => WRITES.includes(verb)).flatMap((entry) => [
    { at: entry.requestReceivedTimestamp, name: namespaceOf(entry), by: 1 },
    { at: entry.stageTimestamp, name: namespaceOf(entry), by: -1 },
  ]);
  // An end before a beginning of the same microsecond: those two were not at once.
  moments.sort((one, other) => one.at < other.at ? -1 : one.at > other.at ? 1 : one.by - other.by);
  const open = new Map<string, number>();
  let most = 0;
  for (const { name, by } of moments) {
    const count = (open.get(name) ?? 0) + by;
    if (count === 0) open.delete(name);
    else open.set(name, count);
    most = Math.max(most, open.size);
  }
  return most;
}

/** Resident memory of the service, looked at while something goes on. */
export class MemoryWatch {
  peakMib = 0;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(service: ServiceProcess) {
    this.#timer = setInterval(() => this.peakMib = Math.max(this.peakMib, service.rssMib() || 0), 100);
  }

  /** Ends it; the highest that was seen, in MiB. */
  stop(): number {
    clearInterval(this.#timer);
    return this.peakMib;
  }
}
