/** A workspace's StatefulSet and Service (DESIGN 8), as pure functions. */
import type {
  V1HostAlias,
  V1PodAffinityTerm,
  V1PodSpec,
  V1Volume,
  V1VolumeMount,
} from "@kubernetes/client-node";
import { permitName, volumeName, workspaceName } from "../../../core/names.ts";
import { type DesiredWorkspace, type Mount, portOf } from "../../../core/workspace.ts";
import { LABEL, type Marks, marks, NOTE, ROLE } from "../marks.ts";
import type { KubernetesSite } from "../settings.ts";
import type { Manifest, Wire } from "../wire.ts";
import { GATE, type Gate, gateContainer, gateNotes } from "./gate.ts";
import { containerSecurity, envOf, placement, podSecurity, resourcesOf, scratch } from "./pod.ts";
import { GUARD } from "./scope.ts";
import { type Template, templateHash, templateOf } from "./template.ts";
import { proxyEnv, proxyHost } from "./proxy.ts";

/** The container that is the workspace; the gate is an init container with a name of its own. */
export const CONTAINER = "workspace";
/** The volume of a pod that holds its Secret. */
export const SECRET_VOLUME = "identity";
/** Where an image finds password and keys (DESIGN 4). */
const IDENTITY_FOLDER = "/run/wps";
/** Readable by the permit's group, which each of its pods is in; Kubernetes wants the mode in decimal. */
const GROUP_READABLE = 0o440;
const WORLD_READABLE = 0o444;
/** A TCP connect once a second costs nothing, and nobody waits longer than that for a desktop that is ready. */
const READINESS_PERIOD_SECONDS = 1;
/** Old templates are of no use: a stopped workspace is always written anew before it starts. */
const REVISIONS_KEPT = 1;

/** Marks and labels of everything that belongs to one workspace. */
export function workspaceMarks(
  permitId: string,
  workspace: { key: string; kind: string },
  annotations: Record<string, string> = {},
): Marks {
  const name = workspaceName(workspace.key);
  const labels = { [LABEL.name]: workspace.kind, [LABEL.instance]: name, [LABEL.workspace]: name };
  return marks(permitId, "workspace", labels, { [NOTE.workspaceKey]: workspace.key, ...annotations });
}

/** What Service and StatefulSet select by: a probe has the workspace's label, too, because policies select by that alone. */
function desktopLabels(name: string): Record<string, string> {
  return { [LABEL.workspace]: name, [LABEL.role]: ROLE.desktop };
}

/**
 * The StatefulSet that runs one pod, the workspace. A running pod is never replaced by a change of it (OnDelete). `gate`:
 * for who is near sensitive data; null: for who is not. It takes no part in any hash by which pods are replaced.
 */
export function statefulSetManifest(
  permitId: string,
  workspace: DesiredWorkspace,
  site: KubernetesSite,
  gate: Gate | null,
): Manifest<"statefulsets"> {
  const name = workspaceName(workspace.key);
  const template = templateOf(site, workspace);
  const guard = gate === null
    ? null
    : gateContainer(GATE, gate.script, { mode: "gate", lines: gate.lines }, site);
  const { labels, annotations } = workspaceMarks(permitId, workspace, {
    [NOTE.username]: workspace.account.username,
    [NOTE.posture]: workspace.posture,
    [NOTE.protocol]: workspace.protocol,
    [NOTE.tier]: workspace.tier,
    [NOTE.volumeKeys]: JSON.stringify(workspace.mounts.map(({ volumeKey }) => volumeKey).sort()),
    [NOTE.templateHash]: templateHash(template),
  });
  return {
    metadata: { name, namespace: permitName(permitId), labels, annotations },
    spec: {
      replicas: 1,
      serviceName: name,
      selector: { matchLabels: desktopLabels(name) },
      podManagementPolicy: "OrderedReady",
      updateStrategy: { type: "OnDelete" },
      revisionHistoryLimit: REVISIONS_KEPT,
      template: {
        metadata: {
          labels: { ...labels, ...desktopLabels(name) },
          annotations: {
            ...annotations,
            ...(gate === null || guard === null ? {} : gateNotes(guard, gate.control)),
          },
        },
        spec: {
          ...podSpec(permitId, workspace, template),
          ...(guard === null ? {} : { initContainers: [guard] }),
        },
      },
    },
  };
}

function podSpec(permitId: string, workspace: DesiredWorkspace, template: Template): Wire<V1PodSpec> {
  const { account, fsGroup, protocol, posture } = workspace;
  const { image, compute, proxy, settings } = template;
  const data = dataVolumes(workspace.mounts);
  const space = scratch();
  const port = portOf(protocol);
  return {
    serviceAccountName: GUARD.account,
    ...placement(settings),
    ...nameResolution(posture === "open", proxy === null ? [] : proxyHost(proxy)),
    ...affinity(permitId, template),
    securityContext: podSecurity({ uid: account.uid, gid: account.gid, fsGroup }),
    containers: [{
      name: CONTAINER,
      image: image.reference,
      imagePullPolicy: "IfNotPresent",
      env: envOf({
        WORKSPACE_USER: account.username,
        WORKSPACE_UID: `${account.uid}`,
        WORKSPACE_GID: `${account.gid}`,
        WORKSPACE_KIND: workspace.kind,
        HOME: homeOf(workspace),
        ...(proxy === null ? {} : proxyEnv(proxy)),
      }),
      ports: [{ name: protocol, containerPort: port, protocol: "TCP" }],
      readinessProbe: { tcpSocket: { port }, periodSeconds: READINESS_PERIOD_SECONDS },
      resources: resourcesOf(compute, settings.cpuRequestPercent),
      securityContext: containerSecurity(image.readOnlyRoot),
      volumeMounts: [...space.mounts, ...identityMounts(), ...data.mounts],
    }],
    volumes: [...space.volumes, identityVolume(workspace), ...data.volumes],
  };
}

/** Without a way out a name cannot be resolved; asking nobody fails at once instead of timing out. */
function nameResolution(
  hasDns: boolean,
  hostAliases: Wire<V1HostAlias>[],
): Pick<Wire<V1PodSpec>, "dnsPolicy" | "dnsConfig" | "hostAliases"> {
  if (hasDns) return { dnsPolicy: "ClusterFirst" };
  return {
    dnsPolicy: "None",
    dnsConfig: { nameservers: ["127.0.0.1"] },
    ...(hostAliases.length === 0 ? {} : { hostAliases }),
  };
}

/** One node for all pods of a permit where storage demands it; otherwise, if wished, different ones. */
function affinity(permitId: string, { singleNode, settings }: Template): Pick<Wire<V1PodSpec>, "affinity"> {
  const others: Wire<V1PodAffinityTerm> = {
    topologyKey: "kubernetes.io/hostname",
    labelSelector: { matchLabels: { [LABEL.permit]: permitName(permitId) } },
  };
  if (singleNode) {
    return { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [others] } } };
  }
  if (!settings.spreadPods) return {};
  const preferred = [{ weight: 100, podAffinityTerm: others }];
  return { affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: preferred } } };
}

/** One pod volume per claim, read-only at claim level too unless some mount of it writes. */
function dataVolumes(mounts: Mount[]): { volumes: Wire<V1Volume>[]; mounts: Wire<V1VolumeMount>[] } {
  const keys = [...new Set(mounts.map(({ volumeKey }) => volumeKey))].sort();
  const isWritten = (key: string): boolean =>
    mounts.some((mount) => mount.volumeKey === key && mount.mode !== "ro");
  return {
    volumes: keys.map((key) => ({
      name: volumeName(key),
      persistentVolumeClaim: { claimName: volumeName(key), ...(isWritten(key) ? {} : { readOnly: true }) },
    })),
    mounts: mounts.map(({ volumeKey, path, mode }) => ({
      name: volumeName(volumeKey),
      mountPath: path,
      ...(mode === "ro" ? { readOnly: true } : {}),
    })),
  };
}

function identityVolume({ key, protocol }: DesiredWorkspace): Wire<V1Volume> {
  const item = (name: string, mode: number): { key: string; path: string; mode: number } => ({
    key: name,
    path: name,
    mode,
  });
  const keys = protocol === "sftp"
    ? [item("authorized_keys", GROUP_READABLE), item("ssh_host_key", GROUP_READABLE)]
    : [];
  return {
    name: SECRET_VOLUME,
    secret: {
      secretName: workspaceName(key),
      defaultMode: GROUP_READABLE,
      items: [
        item("password", GROUP_READABLE),
        item("passwd", WORLD_READABLE),
        item("group", WORLD_READABLE),
        ...keys,
      ],
    },
  };
}

/** The folder follows changed keys; the two subPaths are fixed for the life of a pod, as its account is. */
function identityMounts(): Wire<V1VolumeMount>[] {
  return [
    { name: SECRET_VOLUME, mountPath: IDENTITY_FOLDER, readOnly: true },
    { name: SECRET_VOLUME, mountPath: "/etc/passwd", subPath: "passwd", readOnly: true },
    { name: SECRET_VOLUME, mountPath: "/etc/group", subPath: "group", readOnly: true },
  ];
}

/** The person's home: the writable mount below /home, or scratch space. */
export function homeOf({ mounts }: Pick<DesiredWorkspace, "mounts">): string {
  return mounts.find(({ path, mode }) => mode === "rw" && path.startsWith("/home/"))?.path ?? "/tmp";
}

/**
 * The Service: a stable address for the gateway, or for a holder from outside, whose own address must be kept
 * (externalTrafficPolicy Local) because policies judge it.
 */
export function serviceManifest(
  permitId: string,
  workspace: DesiredWorkspace,
  site: KubernetesSite,
): Manifest<"services"> {
  const name = workspaceName(workspace.key);
  const { protocol } = workspace;
  const port = portOf(protocol);
  const type = protocol === "sftp" ? site.settings.airlockService : "ClusterIP";
  return {
    metadata: {
      name,
      namespace: permitName(permitId),
      ...workspaceMarks(permitId, workspace, { [NOTE.protocol]: protocol }),
    },
    spec: {
      type,
      ...(type === "ClusterIP" ? {} : { externalTrafficPolicy: "Local" }),
      selector: desktopLabels(name),
      ports: [{ name: protocol, protocol: "TCP", port, targetPort: port }],
    },
  };
}
