/**
 * `deno task bench [intake] [provision] [status] [resume] [halt] [--json FILE]`: measures on real parts of this machine and
 * prints a table; ratios are within one run. Needs what the real test tier needs.
 */
import { startCluster, STORAGE } from "../tests/cluster/harness.ts";
import { RabbitMq } from "../tests/services/rabbitmq.ts";
import { benchHalt } from "./halt.ts";
import { benchIntake } from "./intake.ts";
import { benchResume, benchStatus, memoryOf } from "./lifetime.ts";
import { benchProvision, openPublisher } from "./provision.ts";
import { Service } from "./service.ts";
import { render, type Row } from "./table.ts";

/** Those whose pods run on fake nodes. */
const FAKED = ["provision", "status", "resume"];
const SECTIONS = ["intake", ...FAKED, "halt"];
/** Where pods go, and the storage there. */
const FAKE_NODES = `storageClasses: { default: fake }
    nodeSelector: { wps-bench: "1" }
    tolerations: [{ key: wps-bench, operator: Exists }]`;
const REAL_NODE = `storageClasses: { default: ${STORAGE.standard} }`;

const jsonAt = Deno.args.indexOf("--json");
const jsonPath = jsonAt < 0 ? null : Deno.args[jsonAt + 1] ?? null;
const named = Deno.args.filter((arg, i) => !arg.startsWith("--") && (jsonAt < 0 || i !== jsonAt + 1));
const wanted = named.length === 0 ? SECTIONS : named;
for (const name of wanted) {
  if (SECTIONS.includes(name)) continue;
  console.error(`Cannot measure ${name}: expected ${SECTIONS.join(", ")}`);
  Deno.exit(2);
}

const rows: Row[] = [];
if (wanted.includes("intake")) rows.push(...await benchIntake());
if (wanted.some((name) => FAKED.includes(name))) rows.push(...await onFakeNodes());
if (wanted.includes("halt")) rows.push(...await onRealNode());
console.log(render(rows));
const document = {
  at: new Date().toISOString(),
  cores: navigator.hardwareConcurrency,
  deno: Deno.version.deno,
  rows,
};
if (jsonPath === null) console.log(`\n${JSON.stringify(document)}`);
else await Deno.writeTextFile(jsonPath, `${JSON.stringify(document, null, 2)}\n`);
Deno.exit(0);

/** Fake nodes carry the pods: what is measured is WPS and the API server, not this machine's kubelet. */
async function onFakeNodes(): Promise<Row[]> {
  const cluster = await startCluster();
  const fake = await new Deno.Command("bash", {
    args: [new URL("../tests/cluster/kwok.sh", import.meta.url).pathname, "2"],
  }).output();
  if (!fake.success) throw new Error(new TextDecoder().decode(fake.stderr));
  const nodes = ["fake-0", "fake-1"];
  await cluster.kubectl(["label", "node", "--overwrite", ...nodes, "wps-bench=1"]);
  await cluster.kubectl(["taint", "node", "--overwrite", ...nodes, "wps-bench=1:NoSchedule"]);
  await cluster.kubectl(["uncordon", ...nodes]);
  const broker = await RabbitMq.start();
  const folder = await Deno.makeTempDir({ prefix: "wps-bench-" });
  const service = await Service.start({
    folder,
    brokerUrl: broker.url,
    sections: sectionsFor(cluster.kubeconfigPath, cluster.images.box, FAKE_NODES),
  });
  const idle = await memoryOf(service);
  const publisher = await openPublisher(broker.url);
  try {
    const found: Row[] = [];
    const permitId = `bench-${Deno.pid}-status`;
    if (wanted.includes("provision")) found.push(...await benchProvision(cluster, service, publisher));
    if (wanted.includes("status")) {
      await publisher.status(permitId, "WORKSPACE_SETUP_PENDING", 2);
      await service.get(`/api/v1/permits/${permitId}`);
      found.push(...await benchStatus(service, permitId));
      await publisher.deleted(permitId);
    }
    // Last: its hundred deletions would stand before what is measured after it.
    if (wanted.includes("resume")) found.push(...await benchResume(service, publisher, idle));
    return found;
  } finally {
    await publisher.close();
    await service.stop();
    await broker.stop();
    await cluster.kubectl(["cordon", ...nodes]);
    await cluster.kubectl(["taint", "node", ...nodes, "wps-bench-"]);
    await removeLeftovers(cluster.kubectl);
    await cluster.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Real pods of the real kubelet: what is measured is how long somebody is still let in. */
async function onRealNode(): Promise<Row[]> {
  const cluster = await startCluster();
  const broker = await RabbitMq.start();
  const folder = await Deno.makeTempDir({ prefix: "wps-bench-" });
  const service = await Service.start({
    folder,
    brokerUrl: broker.url,
    sections: sectionsFor(cluster.kubeconfigPath, cluster.images.box, REAL_NODE),
  });
  const publisher = await openPublisher(broker.url);
  try {
    return await benchHalt(cluster, service, publisher);
  } finally {
    await publisher.close();
    await service.stop();
    await broker.stop();
    await removeLeftovers(cluster.kubectl);
    await cluster.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

/** What deletions had not finished when the service was stopped. */
async function removeLeftovers(kubectl: (args: string[]) => Promise<string>): Promise<void> {
  const names = (await kubectl(["get", "namespaces", "-o", "name"])).split("\n").filter((n) =>
    n.includes(`bench-${Deno.pid}-`)
  );
  if (names.length > 0) await kubectl(["delete", "--wait=false", "--ignore-not-found", ...names]);
}

function sectionsFor(kubeconfig: string, image: string, nodes: string): string {
  const kinds = ["research", "preprocessing", "preparation-review", "setup-review", "airlock", "tools"];
  return `drivers:
  kubernetes:
    kubeconfig: ${kubeconfig}
    podGraceSeconds: 1
    ${nodes}
network:
  gateway: { namespaceSelector: { matchLabels: { role: gateway } }, podSelector: { matchLabels: { app: gateway } } }
  proxy: { url: "http://10.200.0.9:3128", cidr: 10.200.0.9/32 }
  canaries: ["10.200.0.1:26443", "10.200.0.254:9"]
images: { ${kinds.map((kind) => `${kind}: "${image}"`).join(", ")} }
tiers: { standard: { cpu: 10m, memory: 16Mi } }
`;
}
