/** Who reaches whom, by packets: from inside each workspace, from the gateway, from strangers, from this machine. */
import assert from "node:assert/strict";
import { NET } from "../../cluster/harness.ts";
import { until } from "../../services/until.ts";
import { opens } from "../kubernetes/outside.ts";
import { type PermitView, podOf } from "./cluster_view.ts";
import type { ExpectedWorkspace } from "./expected.ts";
import { reach } from "./inside.ts";
import type { KubeObject } from "./objects.ts";
import { PROXY_PORT } from "./site.ts";
import type { Stage } from "./stage.ts";

/** What a workspace offers, whatever its kind: the image of these tests listens on all three. */
const PORTS = [3389, 5901, 2222];

/** A workspace with its pod. */
interface Placed {
  workspace: ExpectedWorkspace;
  pod: KubeObject;
  address: string;
}

/** Everything alive that an isolated workspace must not reach, DNS included; the proxy last. */
export function targets({ world, proxyAddress, hostAddress }: Stage): string[] {
  const { internet, dns, proxy } = world.addresses;
  return [
    `tcp://${NET.node}:26443`,
    `tcp://${NET.node}:10250`,
    "tcp://10.96.0.1:443",
    `tcp://${hostAddress}`,
    `tcp://${internet}:443`,
    `tcp://${proxy}:3128`,
    `udp://${dns}:53`,
    `tcp://${proxyAddress}:${PROXY_PORT}`,
  ];
}

/** All targets answer somebody whom no policy binds: without this, silence would prove nothing. */
export async function assertAlive(stage: Stage): Promise<void> {
  const all = targets(stage);
  const reached = await reach(stage.cluster, { namespace: stage.world.namespace, pod: "stranger" }, all);
  assert.deepEqual([...reached].sort(), all.toSorted(), "the stranger reaches every target");
}

/** Judges all running workspaces of a permit, both ways. */
export async function judgeReachability(
  stage: Stage,
  view: PermitView,
  running: ExpectedWorkspace[],
): Promise<void> {
  const placed = running.map((workspace): Placed => {
    const pod = podOf(view, workspace);
    return { workspace, pod, address: pod.status.podIP };
  });
  await Promise.all([
    ...placed.map((one) => judgeOutbound(stage, one, placed)),
    judgeInbound(stage, view, placed),
  ]);
}

async function judgeOutbound(stage: Stage, { workspace, pod }: Placed, placed: Placed[]): Promise<void> {
  const { kind, username, posture } = workspace;
  const peers = placed.filter((other) => other.pod !== pod).map(({ workspace, address }) =>
    `tcp://${address}:${workspace.port}`
  );
  const tried = [...targets(stage), ...peers];
  const { namespace = "", name } = pod.metadata;
  const reached = await reach(stage.cluster, { namespace, pod: name, container: "workspace" }, tried);
  const allowed = posture === "proxied" ? [`tcp://${stage.proxyAddress}:${PROXY_PORT}`] : [];
  assert.deepEqual([...reached], allowed, `what ${kind}/${username} reaches`);
}

async function judgeInbound(stage: Stage, view: PermitView, placed: Placed[]): Promise<void> {
  const { cluster, world: { namespace } } = stage;
  const urls = placed.flatMap(({ address }) => PORTS.map((port) => `tcp://${address}:${port}`));
  const services = placed.map((one) => `tcp://${serviceOf(view, one)}`);
  const [gateway, stranger, host] = await Promise.all([
    reach(cluster, { namespace, pod: "gateway" }, [...urls, ...services]),
    reach(cluster, { namespace, pod: "stranger" }, [...urls, ...services]),
    fromHere(view, placed),
  ]);
  const desks = placed.filter(({ workspace }) => workspace.kind !== "airlock");
  const expected = desks.flatMap((one) => [
    `tcp://${one.address}:${one.workspace.port}`,
    `tcp://${serviceOf(view, one)}`,
  ]);
  assert.deepEqual(
    [...gateway].sort(),
    expected.sort(),
    "what the gateway reaches: desktops and nothing else",
  );
  assert.deepEqual([...stranger], [], "what a stranger reaches");
  const open = placed.filter(({ workspace }) => workspace.holder === "hospital-a");
  const ours = open.flatMap((one) => [`${one.address}:2222`, nodePortOf(view, one)]);
  assert.deepEqual(host.sort(), ours.sort(), "what this machine reaches: the airlock of the holder it plays");
}

/** This machine is holder a's address, and nobody else's. */
async function fromHere(view: PermitView, placed: Placed[]): Promise<string[]> {
  const tried = placed.flatMap((one) => [
    ...PORTS.map((port) => `${one.address}:${port}`),
    ...(one.workspace.kind === "airlock" ? [nodePortOf(view, one)] : []),
  ]);
  const reached = await Promise.all(tried.map(async (address) => {
    const [host = "", port] = address.split(":");
    return await opens(host, Number(port)) ? [address] : [];
  }));
  return reached.flat();
}

function serviceFor(view: PermitView, { workspace, pod }: Placed): KubeObject {
  const found = view.services.find(({ spec }) =>
    Object.entries(spec.selector ?? {}).every(([name, value]) => pod.metadata.labels?.[name] === value)
  );
  return found ?? assert.fail(`${workspace.kind}/${workspace.username} has no Service`);
}

function serviceOf(view: PermitView, placed: Placed): string {
  const { clusterIP, ports } = serviceFor(view, placed).spec;
  return `${clusterIP}:${ports[0].port}`;
}

function nodePortOf(view: PermitView, placed: Placed): string {
  const { spec } = serviceFor(view, placed);
  assert.equal(spec.externalTrafficPolicy, "Local", "a holder's own address must reach the policy");
  return `${NET.node}:${spec.ports[0].nodePort}`;
}

/** Through the proxy one host is reached, and what the proxy refuses is not. */
export async function judgeProxy(stage: Stage, pod: KubeObject): Promise<void> {
  const { cluster, world: { addresses } } = stage;
  const { namespace = "", name } = pod.metadata;
  const ask = async (host: string): Promise<string> => {
    const url = `http://${host}:443/`;
    return (await cluster.exec(namespace, name, ["probe", "get", "-proxy", url], "workspace")).stdout;
  };
  assert.match(
    await ask(addresses["internet"] ?? ""),
    /200 OK hello/,
    "the proxy lets through what it allows",
  );
  assert.match(await ask(addresses["dns"] ?? ""), /403 Forbidden refused by the proxy/);
}

/** Waits until the network lets in who may come: policies and services take effect a moment after they are written. */
export async function untilReachable(
  stage: Stage,
  view: PermitView,
  running: ExpectedWorkspace[],
): Promise<void> {
  const urls = running.filter(({ kind }) => kind !== "airlock").flatMap((workspace) => {
    const pod = podOf(view, workspace);
    const address = pod.status.podIP;
    return [`tcp://${address}:${workspace.port}`, `tcp://${serviceOf(view, { workspace, pod, address })}`];
  });
  const at = { namespace: stage.world.namespace, pod: "gateway" };
  await until(
    "the gateway reaches the desktops",
    async () => (await reach(stage.cluster, at, urls)).size === urls.length,
  );
  for (const workspace of running.filter(({ holder }) => holder === "hospital-a")) {
    const pod = podOf(view, workspace);
    const [host = "", port] = nodePortOf(view, { workspace, pod, address: pod.status.podIP }).split(":");
    await until("the holder reaches the airlock's node port", () => opens(host, Number(port)));
  }
}
