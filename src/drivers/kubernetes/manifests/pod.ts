/** What every pod of WPS has in common: the restricted security context, scratch space, resources. */
import type {
  V1Container,
  V1EnvVar,
  V1PodSecurityContext,
  V1PodSpec,
  V1ResourceRequirements,
  V1Volume,
  V1VolumeMount,
} from "@kubernetes/client-node";
import type { Compute, KubernetesSettings } from "../settings.ts";
import type { Wire } from "../wire.ts";

/** Disk for /tmp: beyond it kubelet evicts the pod, so that one workspace cannot fill a node. */
const TMP_LIMIT = "10Gi";
/** /run is memory and counts towards the pod's limit; sockets and pid files need little. */
const RUN_LIMIT = "64Mi";

/** Whose processes run, and the group through which the pods of a permit share files. */
export interface PodIdentity {
  uid: number;
  gid: number;
  fsGroup: number;
}

/** Pod Security `restricted`, and the owner of files; large volumes are not walked when their root fits already. */
export function podSecurity({ uid, gid, fsGroup }: PodIdentity): Wire<V1PodSecurityContext> {
  return {
    runAsNonRoot: true,
    runAsUser: uid,
    runAsGroup: gid,
    fsGroup,
    fsGroupChangePolicy: "OnRootMismatch",
    seccompProfile: { type: "RuntimeDefault" },
  };
}

/** Pod Security `restricted` for one container. */
export function containerSecurity(readOnlyRoot: boolean): NonNullable<Wire<V1Container>["securityContext"]> {
  return {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: readOnlyRoot,
    capabilities: { drop: ["ALL"] },
  };
}

/** Writable whatever the image's root is (DESIGN 4). */
export function scratch(): { volumes: Wire<V1Volume>[]; mounts: Wire<V1VolumeMount>[] } {
  return {
    volumes: [
      { name: "tmp", emptyDir: { sizeLimit: TMP_LIMIT } },
      { name: "run", emptyDir: { medium: "Memory", sizeLimit: RUN_LIMIT } },
    ],
    mounts: [{ name: "tmp", mountPath: "/tmp" }, { name: "run", mountPath: "/run" }],
  };
}

/** Limits by tier; memory is reserved in full so that no neighbour's growth kills a pod, processors in part. */
export function resourcesOf(compute: Compute, cpuRequestPercent: number): Wire<V1ResourceRequirements> {
  const milli = Math.max(1, Math.round(milliCpu(compute.cpu) * cpuRequestPercent / 100));
  return {
    limits: { cpu: compute.cpu, memory: compute.memory },
    requests: { cpu: milli % 1000 === 0 ? `${milli / 1000}` : `${milli}m`, memory: compute.memory },
  };
}

/** "4" → 4000, "500m" → 500. */
function milliCpu(quantity: string): number {
  return quantity.endsWith("m") ? Number(quantity.slice(0, -1)) : Number(quantity) * 1000;
}

/** Environment from pairs, in their order. */
export function envOf(pairs: Record<string, string>): Wire<V1EnvVar>[] {
  return Object.entries(pairs).map(([name, value]) => ({ name, value }));
}

/** Where pods may run, and what they never get: a token, service links, more time than the grace. */
export function placement(settings: KubernetesSettings): Pick<
  Wire<V1PodSpec>,
  | "automountServiceAccountToken"
  | "enableServiceLinks"
  | "terminationGracePeriodSeconds"
  | "nodeSelector"
  | "tolerations"
  | "runtimeClassName"
  | "imagePullSecrets"
> {
  const { nodeSelector, tolerations, runtimeClassName, imagePullSecrets, podGraceSeconds } = settings;
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: podGraceSeconds,
    ...(Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector }),
    ...(tolerations.length === 0 ? {} : { tolerations }),
    ...(runtimeClassName === undefined ? {} : { runtimeClassName }),
    ...(imagePullSecrets.length === 0
      ? {}
      : { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) }),
  };
}
