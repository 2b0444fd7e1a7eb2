/** A site and its cluster for rendering and reading objects; complete, valid, with nothing that a case does not need. */
import {
  type ClusterTraits,
  kubernetesSettings,
  type KubernetesSite,
} from "../../../src/drivers/kubernetes/settings.ts";
import type { DesiredWorkspace } from "../../../src/core/workspace.ts";
import type { Gate } from "../../../src/drivers/kubernetes/manifests/gate.ts";
import type { Snapshot } from "../../../src/drivers/kubernetes/observe/snapshot.ts";

/** Settings as a kubeconfig alone gives them, changed by `given`. */
export function settings(given: object = {}): KubernetesSite["settings"] {
  return kubernetesSettings.parse({ kubeconfig: "/etc/wps/kubeconfig", ...given });
}

/** A site with one tier and an image for each kind that cases use. */
export function site(given: Partial<KubernetesSite> = {}): KubernetesSite {
  return {
    settings: settings(),
    images: {
      research: { reference: "registry.site/research:1", readOnlyRoot: true },
      airlock: { reference: "registry.site/airlock:1", readOnlyRoot: false },
    },
    toolsImage: { reference: "registry.site/tools:1", readOnlyRoot: true },
    gateway: {
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "gateway" } },
      podSelector: { matchLabels: { app: "guacamole" } },
    },
    proxy: { url: "http://proxy.site:3128", cidr: "10.0.0.5/32" },
    canaries: [{ host: "192.0.2.10", port: 443 }, { host: "vault.site", port: 8200 }],
    tiers: { standard: { cpu: "4", memory: "16Gi" } },
    volumes: { project: "ReadWriteMany", home: "ReadWriteOnce" },
    singleNode: false,
    ...given,
  };
}

/** What is read once from the cluster. */
export const TRAITS: ClusterTraits = {
  podSecurityVersion: "v1.36",
  account: { kind: "ServiceAccount", namespace: "wps", name: "wps" },
};

/** The permit of all cases. Its id is no name that Kubernetes would take. */
export const PERMIT = "Permit/001";
/** Its namespace: core/names.ts derives it. */
export const NAMESPACE = "wps-permit-001-7c84c05936e4";

/** A gate that is written while two canaries are alive. */
export const GATE: Gate = {
  script: "echo gate",
  lines: ["tcp 192.0.2.10 443", "dns 10.96.0.10 53"],
  control: {
    at: "2026-11-22T10:00:00.000Z",
    alive: ["tcp 192.0.2.10:443", "tcp 192.0.2.20:8200"],
    silent: [],
  },
};

/** A running research workspace without mounts. */
export function research(given: Partial<DesiredWorkspace> = {}): DesiredWorkspace {
  return {
    key: "research/j.virtanen",
    kind: "research",
    owner: "j.virtanen",
    account: { username: "j.virtanen", uid: 21001, gid: 21001 },
    fsGroup: 30100,
    power: "running",
    posture: "isolated",
    protocol: "rdp",
    mounts: [],
    allowedCidrs: [],
    sshPublicKeys: [],
    tier: "standard",
    sensitive: false,
    ...given,
  };
}

/** An airlock that takes uploads of hospital-a. */
export function airlock(given: Partial<DesiredWorkspace> = {}): DesiredWorkspace {
  return research({
    key: "airlock/hospital-a",
    kind: "airlock",
    owner: "hospital-a",
    account: { username: "hospital-a", uid: 30000, gid: 30000 },
    posture: "inbound-allowlist",
    protocol: "sftp",
    allowedCidrs: ["203.0.113.7/32", "198.51.100.0/24"],
    sshPublicKeys: ["ssh-ed25519 AAAA a"],
    ...given,
  });
}

/** What the API server adds to an object's metadata. */
export function asStored<T extends { metadata: object }>(
  object: T,
  more: object = {},
): T & { metadata: { uid: string; resourceVersion: string; name: string } } {
  const name: unknown = Reflect.get(object.metadata, "name");
  const metadata = { ...object.metadata, name: `${name}`, uid: `uid-${name}`, resourceVersion: "7", ...more };
  return { ...object, metadata };
}

/** An empty permit: no namespace, nothing in it. */
export function snapshot(given: Partial<Snapshot> = {}): Snapshot {
  return {
    permitId: PERMIT,
    namespace: null,
    quotas: [],
    limits: [],
    accounts: [],
    bindings: [],
    policies: [],
    claims: [],
    volumes: [],
    secrets: [],
    services: [],
    statefulSets: [],
    pods: [],
    jobs: [],
    nodes: new Map(),
    warnings: new Map(),
    storageClasses: null,
    atMs: 0,
    ...given,
  };
}
