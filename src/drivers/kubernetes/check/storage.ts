/** Whether the cluster's storage classes can give what the volumes ask for, as far as the API tells. */
import type { CheckLine } from "../../../core/driver.ts";
import type { Client } from "../client.ts";
import { storageClassOf } from "../manifests/claim.ts";
import type { KubernetesSite } from "../settings.ts";
import type { Stored } from "../wire.ts";

type StorageClass = Stored<"storageclasses">;

const DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";
/** Provisioners of block devices or of a node's own disk: one node at a time (their own documentation). */
const ONE_NODE: readonly RegExp[] = [
  /^ebs\.csi\.aws\.com$/,
  /^disk\.csi\.azure\.com$/,
  /^pd\.csi\.storage\.gke\.io$/,
  /(^|\.)rbd\.csi\.ceph\.com$/,
  /^cinder\.csi\.openstack\.org$/,
  /^csi\.vsphere\.vmware\.com$/,
  /^rancher\.io\/local-path$/,
  /^topolvm\.io$/,
  /^(local|zfs)\.csi\.openebs\.io$/,
  /^openebs\.io\/local$/,
  /^linstor\.csi\.linbit\.com$/,
];
/** Shared file systems: many nodes at a time. */
const MANY_NODES: readonly RegExp[] = [
  /^nfs\.csi\.k8s\.io$/,
  /nfs-subdir-external-provisioner/,
  /(^|\.)cephfs\.csi\.ceph\.com$/,
  /^efs\.csi\.aws\.com$/,
  /^file\.csi\.azure\.com$/,
  /^filestore\.csi\.storage\.gke\.io$/,
  /^smb\.csi\.k8s\.io$/,
  /^driver\.longhorn\.io$/,
  /^csi\.juicefs\.com$/,
  /^beegfs\.csi\.netapp\.com$/,
  /^csi\.weka\.io$/,
];

/** Two lines: do the classes exist, and can shared volumes be mounted by several pods. */
export async function checkStorage(
  client: Client,
  site: KubernetesSite,
  signal: AbortSignal,
): Promise<CheckLine[]> {
  return judgeStorage(await client.list("storageclasses", {}, signal), site);
}

/** The judgement on a list of classes; pure. */
export function judgeStorage(
  classes: StorageClass[],
  { settings, volumes, singleNode }: Pick<KubernetesSite, "settings" | "volumes" | "singleNode">,
): CheckLine[] {
  const names = new Set(classes.map(({ metadata }) => metadata.name));
  const defaults = classes.filter(({ metadata }) => metadata.annotations?.[DEFAULT_CLASS] === "true");
  const classFor = (volume: string): string | undefined =>
    storageClassOf(volume, settings) ?? defaults.at(-1)?.metadata.name;
  const missing = Object.keys(volumes).flatMap((volume) => {
    const name = classFor(volume);
    if (name === undefined) return [`${volume} (no class is named and the cluster has no default one)`];
    return names.has(name) ? [] : [`${volume} (class ${name} does not exist)`];
  });
  const existence: CheckLine = missing.length === 0
    ? { check: "storage classes", result: "ok", detail: `${[...names].join(", ")}`, advice: "" }
    : {
      check: "storage classes",
      result: "failed",
      detail: `no storage class for ${missing.join(", ")}`,
      advice: "Set drivers.kubernetes.storageClasses, or make the class",
    };
  const shared = Object.entries(volumes).filter(([, access]) => access === "ReadWriteMany").map(([volume]) =>
    volume
  );
  return [
    existence,
    judgeShared(
      shared,
      (volume) => classes.find(({ metadata }) => metadata.name === classFor(volume)),
      singleNode,
    ),
  ];
}

function judgeShared(
  shared: string[],
  classOf: (volume: string) => StorageClass | undefined,
  singleNode: boolean,
): CheckLine {
  const check = "shared volumes";
  if (singleNode) {
    return {
      check,
      result: "ok",
      detail: "volumes.singleNode keeps the pods of a permit on one node",
      advice: "",
    };
  }
  const matching = (list: readonly RegExp[]): string[] =>
    shared.filter((volume) => list.some((pattern) => pattern.test(classOf(volume)?.provisioner ?? "")));
  const oneNode = matching(ONE_NODE), manyNodes = matching(MANY_NODES);
  const describe = (volume: string): string => `${volume} (${classOf(volume)?.provisioner ?? "no class"})`;
  if (oneNode.length > 0) {
    return {
      check,
      result: "failed",
      detail: `ReadWriteMany is not possible for ${oneNode.map(describe).join(", ")}`,
      advice:
        "Name a class of a shared file system for them in drivers.kubernetes.storageClasses, or set volumes.singleNode: true",
    };
  }
  const unknown = shared.filter((volume) => !manyNodes.includes(volume));
  if (unknown.length === 0) {
    return { check, result: "ok", detail: shared.map(describe).join(", "), advice: "" };
  }
  return {
    check,
    result: "warning",
    detail: `whether ReadWriteMany is possible cannot be read from the cluster for ${
      unknown.map(describe).join(", ")
    }`,
    advice: "Check the storage driver's documentation; a volume that stays Pending says why in wps status",
  };
}
