/**
 * Kubernetes objects as they are on the wire. The models are client-node's, imported as types only: its runtime
 * costs 86 MB and half a second (FACTS 2), and JSON over our own fetch needs nothing of it.
 */
import type {
  CoreV1Event,
  V1ClusterRole,
  V1ConfigMap,
  V1CronJob,
  V1DaemonSet,
  V1Deployment,
  V1Endpoints,
  V1EndpointSlice,
  V1Ingress,
  V1Job,
  V1Lease,
  V1LimitRange,
  V1Namespace,
  V1NetworkPolicy,
  V1Node,
  V1PersistentVolume,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PodDisruptionBudget,
  V1PodTemplate,
  V1ReplicaSet,
  V1ReplicationController,
  V1ResourceQuota,
  V1Role,
  V1RoleBinding,
  V1Secret,
  V1Service,
  V1ServiceAccount,
  V1ServiceCIDR,
  V1StatefulSet,
  V1StorageClass,
  V2HorizontalPodAutoscaler,
} from "@kubernetes/client-node";

/** A client-node model as JSON: names as in the API (its `_from` is `from`), instants as text. */
export type Wire<T> = T extends Date ? string
  : T extends readonly (infer U)[] ? Wire<U>[]
  : T extends object ? { [K in keyof T as K extends `_${infer N}` ? N : K]: Wire<T[K]> }
  : T;

/** The kinds that WPS reads or writes, by their plural name in the API. */
export interface Models {
  namespaces: V1Namespace;
  resourcequotas: V1ResourceQuota;
  limitranges: V1LimitRange;
  serviceaccounts: V1ServiceAccount;
  rolebindings: V1RoleBinding;
  networkpolicies: V1NetworkPolicy;
  persistentvolumeclaims: V1PersistentVolumeClaim;
  persistentvolumes: V1PersistentVolume;
  secrets: V1Secret;
  services: V1Service;
  statefulsets: V1StatefulSet;
  pods: V1Pod;
  jobs: V1Job;
  nodes: V1Node;
  events: CoreV1Event;
  storageclasses: V1StorageClass;
  servicecidrs: V1ServiceCIDR;
  clusterroles: V1ClusterRole;
  configmaps: V1ConfigMap;
  deployments: V1Deployment;
  daemonsets: V1DaemonSet;
  replicasets: V1ReplicaSet;
  cronjobs: V1CronJob;
  ingresses: V1Ingress;
  roles: V1Role;
  endpoints: V1Endpoints;
  endpointslices: V1EndpointSlice;
  horizontalpodautoscalers: V2HorizontalPodAutoscaler;
  leases: V1Lease;
  poddisruptionbudgets: V1PodDisruptionBudget;
  podtemplates: V1PodTemplate;
  replicationcontrollers: V1ReplicationController;
}

/** One of {@link Models}. */
export type Resource = keyof Models;

/** An object as WPS writes it. */
export type Manifest<R extends Resource> = Wire<Models[R]> & { metadata: { name: string } };

/** Metadata that the API server always gives. */
export interface StoredMetadata {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  /** Counts the changes of what is asked for. */
  generation?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  deletionTimestamp?: string;
  creationTimestamp?: string;
  managedFields?: { manager?: string; operation?: string; subresource?: string; fieldsV1?: object }[];
  ownerReferences?: { kind: string; name: string; uid: string; controller?: boolean }[];
}

/** An object as the API server returned it. */
export type Stored<R extends Resource> = Omit<Wire<Models[R]>, "metadata"> & { metadata: StoredMetadata };

/** An object's metadata alone: what is asked for where the rest is secret or of no interest. */
export interface MetadataOnly {
  metadata: StoredMetadata;
}

interface ResourceTraits {
  /** Group and version, e.g. "apps/v1"; "v1" for the core group. */
  apiVersion: string;
  kind: string;
  namespaced: boolean;
}

/** Where the API server keeps each kind. */
export const RESOURCES: Record<Resource, ResourceTraits> = {
  namespaces: { apiVersion: "v1", kind: "Namespace", namespaced: false },
  resourcequotas: { apiVersion: "v1", kind: "ResourceQuota", namespaced: true },
  limitranges: { apiVersion: "v1", kind: "LimitRange", namespaced: true },
  serviceaccounts: { apiVersion: "v1", kind: "ServiceAccount", namespaced: true },
  rolebindings: { apiVersion: "rbac.authorization.k8s.io/v1", kind: "RoleBinding", namespaced: true },
  networkpolicies: { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", namespaced: true },
  persistentvolumeclaims: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespaced: true },
  persistentvolumes: { apiVersion: "v1", kind: "PersistentVolume", namespaced: false },
  secrets: { apiVersion: "v1", kind: "Secret", namespaced: true },
  services: { apiVersion: "v1", kind: "Service", namespaced: true },
  statefulsets: { apiVersion: "apps/v1", kind: "StatefulSet", namespaced: true },
  pods: { apiVersion: "v1", kind: "Pod", namespaced: true },
  jobs: { apiVersion: "batch/v1", kind: "Job", namespaced: true },
  nodes: { apiVersion: "v1", kind: "Node", namespaced: false },
  events: { apiVersion: "v1", kind: "Event", namespaced: true },
  storageclasses: { apiVersion: "storage.k8s.io/v1", kind: "StorageClass", namespaced: false },
  servicecidrs: { apiVersion: "networking.k8s.io/v1", kind: "ServiceCIDR", namespaced: false },
  clusterroles: { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", namespaced: false },
  configmaps: { apiVersion: "v1", kind: "ConfigMap", namespaced: true },
  deployments: { apiVersion: "apps/v1", kind: "Deployment", namespaced: true },
  daemonsets: { apiVersion: "apps/v1", kind: "DaemonSet", namespaced: true },
  replicasets: { apiVersion: "apps/v1", kind: "ReplicaSet", namespaced: true },
  cronjobs: { apiVersion: "batch/v1", kind: "CronJob", namespaced: true },
  ingresses: { apiVersion: "networking.k8s.io/v1", kind: "Ingress", namespaced: true },
  roles: { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", namespaced: true },
  endpoints: { apiVersion: "v1", kind: "Endpoints", namespaced: true },
  endpointslices: { apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", namespaced: true },
  horizontalpodautoscalers: {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    namespaced: true,
  },
  leases: { apiVersion: "coordination.k8s.io/v1", kind: "Lease", namespaced: true },
  poddisruptionbudgets: { apiVersion: "policy/v1", kind: "PodDisruptionBudget", namespaced: true },
  podtemplates: { apiVersion: "v1", kind: "PodTemplate", namespaced: true },
  replicationcontrollers: { apiVersion: "v1", kind: "ReplicationController", namespaced: true },
};

/** A kind that only discovery knows, as the API server told of it. */
export interface OtherKind {
  group: string;
  /** Group and version, e.g. "snapshot.storage.k8s.io/v1". */
  apiVersion: string;
  /** Its plural name, e.g. "volumesnapshots". */
  resource: string;
  kind: string;
}

/** Which object: `namespace` for namespaced kinds only. */
export interface Place {
  namespace?: string;
  name: string;
}

/** The API path of a kind, of one namespace's part of it, or of one object. */
export function pathOf(resource: Resource, place: Partial<Place> = {}): string {
  const { apiVersion } = RESOURCES[resource];
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = place.namespace === undefined ? "" : `/namespaces/${encodeURIComponent(place.namespace)}`;
  const name = place.name === undefined ? "" : `/${encodeURIComponent(place.name)}`;
  return `${root}${scope}/${resource}${name}`;
}

/** The API group of a kind as RBAC names it; "" for the core group. */
export function groupOf(resource: Resource): string {
  const { apiVersion } = RESOURCES[resource];
  return apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
}

/** An object for a person: "StatefulSet wps-p7-…/research-a-…". */
export function describePlace(resource: Resource, place: Partial<Place>): string {
  const name = [place.namespace, place.name].filter((part) => part !== undefined).join("/");
  return name === "" ? resource : `${RESOURCES[resource].kind} ${name}`;
}
