/** The configuration of this driver: `drivers.kubernetes`, and what it needs of the site's other sections. */
import { z } from "zod";
import { count, flag, readableFile, section, text, word } from "../../config/fields.ts";
import type { VolumeAccess } from "../../core/volume.ts";
import type { Manifest, Wire } from "./wire.ts";
import type { V1LabelSelector } from "@kubernetes/client-node";

/** DNS label or subdomain, as Kubernetes names classes, roles, secrets and hosts. */
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const NAME_WORDS = "a name of lower-case letters, digits, dashes and dots";
/** Label keys and values (Kubernetes: labels and selectors), also as node selectors. */
const LABEL_KEY = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const KIND_AND_NAME = /^[A-Z][A-Za-z]{1,62}\/[a-z0-9]([a-z0-9.:-]{0,251}[a-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;

const toleration = section({
  key: text(LABEL_KEY, "a taint's key").optional(),
  operator: word("Exists", "Equal").optional(),
  value: text(LABEL_VALUE, "a taint's value").optional(),
  effect: word("NoSchedule", "PreferNoSchedule", "NoExecute").optional(),
});

/** `drivers.kubernetes.*`. Exactly one of `kubeconfig` and `inCluster: true`. */
export const kubernetesSettings = section({
  /** Path of a kubeconfig: CA, and token, token file or client certificate. Exec plugins are refused. */
  kubeconfig: readableFile().optional(),
  /** Use the service account that Kubernetes mounts into WPS's own pod. */
  inCluster: flag().default(false),
  /** A context of the kubeconfig other than its current one. */
  context: text(/^[^\0]{1,253}$/, "the name of a context").optional(),
  /** Storage class by volume name (volumes.yaml); `default` for all others; absent: the cluster's default class. */
  storageClasses: z.record(text(NAME, NAME_WORDS), text(NAME, NAME_WORDS)).default({}),
  /** What data holders connect to; absent: the LoadBalancer's address, or with NodePort that of the pod's node. */
  connectionHost: text(/^[A-Za-z0-9.:-]{1,253}$/, "a host name or address").optional(),
  airlockService: word("NodePort", "LoadBalancer").default("NodePort"),
  /** How the gateway is told to reach a desktop: by the Service's name in this DNS zone, or by its address. */
  desktopHost: word("name", "address").default("name"),
  clusterDomain: text(NAME, "a DNS zone").default("cluster.local"),
  /** Version of the Pod Security standard that is enforced, e.g. v1.36; absent: the API server's own. */
  podSecurityVersion: text(/^v1\.\d{1,3}$/, "a version such as v1.36").optional(),
  /** How long a stopping pod may take before its processes are killed. */
  podGraceSeconds: count(0, 3600).default(30),
  /** Share of a tier's CPUs that a pod reserves; its memory is reserved in full. */
  cpuRequestPercent: count(1, 100).default(25),
  nodeSelector: z.record(text(LABEL_KEY, "a node label"), text(LABEL_VALUE, "a label's value")).default({}),
  tolerations: z.array(toleration).max(16).default([]),
  runtimeClassName: text(NAME, NAME_WORDS).optional(),
  /** Prefer different nodes for the pods of one permit. Has no meaning beside `volumes.singleNode`. */
  spreadPods: flag().default(false),
  /** Names of pull Secrets that another tool of the site puts into each namespace. */
  imagePullSecrets: z.array(text(NAME, NAME_WORDS)).max(8).default([]),
  /** "Kind/name" of what else another tool of the site puts into each namespace: it may go with a deleted permit's. */
  inEachNamespace: z.array(text(KIND_AND_NAME, "an object as Kind/name, such as ConfigMap/site-ca")).max(32)
    .default([]),
  /** ClusterRole that WPS binds to itself in each permit's namespace: the only way it reaches Secrets. */
  secretsRole: text(NAME, NAME_WORDS).default("wps-permit-secrets"),
  /** Where a pod that no policy binds shows that the canaries are alive. Named in deploy/kubernetes/admission.yaml, too. */
  canaryNamespace: text(DNS_LABEL, "a name of lower-case letters, digits and dashes").default("wps-canaries"),
  requestTimeoutMs: count(500, 120_000).default(10_000),
  /** HTTP/2 connections for requests; watches have one of their own. */
  connections: count(1, 16).default(4),
  /**
   * Requests under way at once, watches and what only takes access away not counted. 24 permits at work ask for 300 at
   * once, more than an API server's fairness lets through of one user by default: what is urgent would queue there.
   */
  parallelRequests: count(4, 512).default(32),
}).check((context) => {
  const { kubeconfig, inCluster } = context.value;
  if ((kubeconfig === undefined) === inCluster) return;
  context.issues.push({
    code: "custom",
    input: context.value,
    message: "expected exactly one of kubeconfig: PATH and inCluster: true",
  });
});

/** {@link kubernetesSettings} with defaults filled in. */
export type KubernetesSettings = z.output<typeof kubernetesSettings>;

/** One image of the site. `readOnlyRoot: false` for an image that must write outside of its mounts. */
export interface Image {
  reference: string;
  readOnlyRoot: boolean;
}

/** Who is let in to desktops: an address block, or pods by labels. The namespace selector must not be empty. */
export type Gateway =
  | { cidr: string }
  | { namespaceSelector: Wire<V1LabelSelector>; podSelector?: Wire<V1LabelSelector> };

/** The allow-listing proxy: its URL as workspaces get it, and the address block that policies let through. */
export interface Proxy {
  url: string;
  cidr: string;
}

/** An address, or a name that the control pod resolves, and a TCP port at which something always answers. */
export interface Canary {
  host: string;
  port: number;
}

/** CPU and memory of a workspace, as Kubernetes quantities. */
export interface Compute {
  cpu: string;
  memory: string;
}

/** Everything of the site that this driver renders objects from. */
export interface KubernetesSite {
  settings: KubernetesSettings;
  /** By workspace kind. */
  images: Readonly<Record<string, Image>>;
  /** BusyBox or better: runs the consolidation and the isolation gate. */
  toolsImage: Image;
  gateway: Gateway;
  /** Null: no phase of the site is `proxied`. */
  proxy: Proxy | null;
  /** What nobody isolated may reach; changing them restarts nobody. */
  canaries: readonly Canary[];
  tiers: Readonly<Record<string, Compute>>;
  /** Access mode by volume name (volumes.yaml): for the self-check. */
  volumes: Readonly<Record<string, VolumeAccess>>;
  /** `volumes.singleNode`: all pods of one permit on one node, for storage without ReadWriteMany. */
  singleNode: boolean;
}

/** Settings of the cluster that are read once from it. */
export interface ClusterTraits {
  /** For Pod Security, e.g. "v1.36". */
  podSecurityVersion: string;
  /** Who WPS is there, for the binding of `secretsRole`. */
  account: NonNullable<Manifest<"rolebindings">["subjects"]>[number];
}
