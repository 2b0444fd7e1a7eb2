/** Everything of each workspace, gathered by its key. */
import { workspaceName } from "../../../core/names.ts";
import type { Endpoint, Instance, ObservedNetwork, ObservedWorkspace } from "../../../core/observed.ts";
import { POSTURES, type Protocol } from "../../../core/phase.ts";
import { templateHash, templateOf } from "../manifests/template.ts";
import { CONTAINER } from "../manifests/workspace.ts";
import { isOurs, LABEL, NOTE, note } from "../marks.ts";
import type { KubernetesSite } from "../settings.ts";
import { describePlace, type MetadataOnly, type Stored } from "../wire.ts";
import { gateOf } from "./gate.ts";
import { networkOf } from "./network.ts";
import { readPodSpec } from "./pod_spec.ts";
import { finalizersOf, seenOf } from "./scope.ts";
import { isReady, type Snapshot } from "./snapshot.ts";
import { containersOf, refusalOf, said, troubleOfPod } from "./trouble.ts";
import { taintedClaims } from "./volumes.ts";

const PROTOCOLS: readonly Protocol[] = ["rdp", "vnc", "sftp"];

/** The key of an object's workspace, when its marks and its name agree; null: not (rightly) of a workspace. */
function workspaceKeyOf(object: MetadataOnly, permitId: string): string | null {
  if (!isOurs(object, permitId)) return null;
  const key = note(object, NOTE.workspaceKey);
  return key !== null && object.metadata.labels?.[LABEL.workspace] === workspaceName(key) ? key : null;
}

/** All workspaces of which anything is left, in the order of their keys. */
export function workspacesOf(snapshot: Snapshot, site: KubernetesSite): ObservedWorkspace[] {
  const { statefulSets, services, secrets, policies, pods, permitId } = snapshot;
  const objects: MetadataOnly[] = [...statefulSets, ...services, ...secrets, ...policies, ...pods];
  const keys = new Set(objects.flatMap((object) => workspaceKeyOf(object, permitId) ?? []));
  return [...keys].sort().map((key) => workspaceOf(snapshot, key, site));
}

function workspaceOf(snapshot: Snapshot, key: string, site: KubernetesSite): ObservedWorkspace {
  const { permitId } = snapshot;
  const name = workspaceName(key);
  const own = <T extends MetadataOnly>(list: T[]): T | null =>
    list.find((object) => object.metadata.name === name && workspaceKeyOf(object, permitId) === key) ?? null;
  const statefulSet = own(snapshot.statefulSets),
    service = own(snapshot.services),
    secret = own(snapshot.secrets);
  const pods = snapshot.pods.filter((pod) => workspaceKeyOf(pod, permitId) === key);
  const template = statefulSet?.spec?.template;
  const live = pods.filter(({ status }) => status?.phase !== "Failed" && status?.phase !== "Succeeded")
    .map(({ metadata }) => metadata.labels ?? {});
  const next = template?.metadata?.labels ?? { [LABEL.workspace]: name };
  const slash = key.indexOf("/");
  return {
    key,
    kind: key.slice(0, slash),
    owner: key.slice(slash + 1),
    power: statefulSet === null ? null : (statefulSet.spec?.replicas ?? 1) > 0 ? "running" : "stopped",
    specHash: statefulSet === null ? null : specHashOf(statefulSet, taintedClaims(snapshot)),
    outdated: statefulSet !== null && isOutdated(statefulSet, key.slice(0, slash), site),
    tier: statefulSet === null ? null : note(statefulSet, NOTE.tier),
    identityHash: secret === null ? null : note(secret, NOTE.identityHash),
    identity: secret === null ? null : seenOf(secret),
    network: asLabelled(networkOf(snapshot, key, { live, next }, site), pods),
    instances: pods.map((pod) => instanceOf(pod, snapshot)),
    endpoint: service === null ? null : endpointOf(service, pods, site),
    compute: statefulSet === null ? null : seenOf(statefulSet),
    unsettled: statefulSet === null ? null : unsettledText(statefulSet),
    terminating: terminatingText([
      ["StatefulSet", statefulSet],
      ["Service", service],
      ["Secret", secret],
      ["NetworkPolicy", own(snapshot.policies)],
    ]),
  };
}

/** Somebody else's count of pods is an altered wish: each of them would see the data, and only one is ever let in to. */
function specHashOf({ spec }: Stored<"statefulsets">, tainted: ReadonlySet<string>): string {
  const { replicas = 1, template } = spec ?? {};
  if (replicas > 1) return `altered: ${replicas} replicas`;
  return readPodSpec(template?.metadata?.annotations ?? {}, template?.spec, tainted).specHash;
}

/** Rules whose pod does not carry its own label let nobody in: opened for nobody, so that they are opened anew. */
function asLabelled(network: ObservedNetwork, pods: Stored<"pods">[]): ObservedNetwork {
  if (network.state !== "open") return network;
  const pod = pods.find(({ metadata }) => metadata.uid === network.openedFor);
  return pod === undefined || pod.metadata.labels?.[LABEL.opened] === pod.metadata.uid
    ? network
    : { ...network, openedFor: null };
}

/** "status.observedGeneration": the controller writes it once it has made and ended pods as that generation asks. */
function unsettledText({ metadata, status }: Stored<"statefulsets">): string | null {
  const { namespace, name, generation = 0 } = metadata;
  return (status?.observedGeneration ?? 0) >= generation
    ? null
    : `${describePlace("statefulsets", { namespace, name })}: its controller has not acted on it yet`;
}

/** Whether image, tier or template are not what this WPS would write today; a missing setting is a difference. */
function isOutdated(statefulSet: Stored<"statefulsets">, kind: string, site: KubernetesSite): boolean {
  const posture = POSTURES.find((known) => known === note(statefulSet, NOTE.posture));
  const tier = note(statefulSet, NOTE.tier);
  if (posture === undefined || tier === null) return true;
  const image = statefulSet.spec?.template?.spec?.containers?.find(({ name }) => name === CONTAINER)?.image;
  try {
    const template = templateOf(site, { kind, tier, posture });
    return templateHash(template) !== note(statefulSet, NOTE.templateHash) ||
      template.image.reference !== image;
  } catch {
    return true;
  }
}

/** One pod as an instance; the node's word counts before the pod's. */
export function instanceOf(
  pod: Stored<"pods">,
  snapshot: Pick<Snapshot, "nodes" | "warnings" | "claims" | "volumes">,
): Instance {
  const node = pod.spec?.nodeName ?? null;
  const reading = readPodSpec(pod.metadata.annotations ?? {}, pod.spec, taintedClaims(snapshot));
  const state = stateOf(pod, snapshot.nodes);
  const ready = isReady(pod) && state === "running";
  return {
    uid: pod.metadata.uid,
    name: pod.metadata.name,
    state,
    ready,
    specHash: reading.specHash,
    mounts: reading.mounts,
    gated: reading.gated,
    node,
    reason: ready ? null : reasonOf(pod, state, snapshot),
    trouble: state === "pending" ? troubleOfPod(pod)?.reason ?? gateOf(pod).trouble : null,
  };
}

function stateOf(pod: Stored<"pods">, nodes: Snapshot["nodes"]): Instance["state"] {
  const phase = pod.status?.phase;
  const node = pod.spec?.nodeName;
  // A pod that has ended stays ended, whatever became of its node.
  const hasEnded = phase === "Failed" || phase === "Succeeded";
  const readiness = node === undefined ? undefined : nodes.get(node);
  const isNodeLost = readiness === null ||
    (readiness !== undefined &&
      !readiness.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"));
  if (!hasEnded && (isNodeLost || phase === "Unknown")) return "unreachable";
  if (pod.metadata.deletionTimestamp !== undefined) return "terminating";
  if (hasEnded) return "failed";
  return phase === "Running" ? "running" : "pending";
}

/** Why a pod is not ready, in the platform's words. */
function reasonOf(
  pod: Stored<"pods">,
  state: Instance["state"],
  { warnings }: Pick<Snapshot, "warnings">,
): string | null {
  if (state === "unreachable") return "its node does not answer";
  const { status, metadata } = pod;
  if (state === "terminating") return finalizersOf(pod) ?? "its processes are ending";
  const gate = gateOf(pod);
  if (gate.text !== null) return gate.text;
  for (const container of containersOf(pod)) {
    const { waiting, terminated } = container.state ?? {};
    if (waiting?.reason !== undefined && !/^(ContainerCreating|PodInitializing)$/.test(waiting.reason)) {
      return said(waiting.reason, waiting.message);
    }
    if (terminated !== undefined && terminated.exitCode !== 0) {
      return said(terminated.reason ?? "Error", terminated.message ?? `exit code ${terminated.exitCode}`);
    }
  }
  const refusal = refusalOf(pod);
  return said(refusal?.reason, refusal?.message) ?? said(status?.reason, status?.message) ??
    warnings.get(metadata.uid) ?? null;
}

/** Where to connect; null while the platform has not given an address. */
function endpointOf(
  service: Stored<"services">,
  pods: Stored<"pods">[],
  { settings }: KubernetesSite,
): Endpoint | null {
  const [port] = service.spec?.ports ?? [];
  const protocol = PROTOCOLS.find((known) => known === port?.name);
  if (port === undefined || protocol === undefined) return null;
  const { name, namespace } = service.metadata;
  const { connectionHost, desktopHost, clusterDomain } = settings;
  const at = (host: string | undefined, number: number | undefined): Endpoint | null =>
    host === undefined || number === undefined ? null : { protocol, host, port: number };
  switch (service.spec?.type) {
    case "NodePort":
      return at(
        connectionHost ?? pods.find(({ status }) => status?.hostIP !== undefined)?.status?.hostIP,
        port.nodePort,
      );
    case "LoadBalancer": {
      const [address] = service.status?.loadBalancer?.ingress ?? [];
      return at(connectionHost ?? address?.hostname ?? address?.ip, port.port);
    }
    default:
      return at(
        desktopHost === "name" ? `${name}.${namespace}.svc.${clusterDomain}` : service.spec?.clusterIP,
        port.port,
      );
  }
}

function terminatingText(objects: [string, MetadataOnly | null][]): string | null {
  const texts = objects.flatMap(([kind, object]) =>
    object?.metadata.deletionTimestamp === undefined ? [] : [
      `${kind} ${object.metadata.name} is Terminating: ${
        finalizersOf(object) ?? "its dependents are being deleted"
      }`,
    ]
  );
  return texts.length === 0 ? null : texts.join("; ");
}
