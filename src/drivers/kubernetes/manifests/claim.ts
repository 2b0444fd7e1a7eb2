/** The claim of a volume. */
import { permitName, volumeName } from "../../../core/names.ts";
import type { DesiredVolume } from "../../../core/volume.ts";
import { LABEL, type Marks, marks, NOTE } from "../marks.ts";
import type { KubernetesSettings, KubernetesSite } from "../settings.ts";
import type { Manifest } from "../wire.ts";

/** Marks of a claim and, once it is retained, of what backs it. */
export function volumeMarks(permitId: string, key: string, tainted: boolean): Marks {
  return marks(permitId, "volume", { [LABEL.volume]: volumeName(key) }, {
    [NOTE.volumeKey]: key,
    ...(tainted ? { [NOTE.tainted]: "true" } : {}),
  });
}

/** The storage class that the site names for a volume; undefined: the cluster's default. */
export function storageClassOf(
  volume: string,
  { storageClasses }: Pick<KubernetesSettings, "storageClasses">,
): string | undefined {
  return storageClasses[volume] ?? storageClasses["default"];
}

/** A new claim. Sensitive from its first moment where the volume is: the mark is there before any mount (invariant 3). */
export function claimManifest(
  permitId: string,
  { id, key, access, size, sensitive }: DesiredVolume,
  { settings, singleNode }: Pick<KubernetesSite, "settings" | "singleNode">,
): Manifest<"persistentvolumeclaims"> {
  const storageClassName = storageClassOf(id.volume, settings);
  return {
    metadata: {
      name: volumeName(key),
      namespace: permitName(permitId),
      ...volumeMarks(permitId, key, sensitive),
    },
    spec: {
      // On one node ReadWriteOnce may be mounted by many pods, and every storage driver has it.
      accessModes: [singleNode ? "ReadWriteOnce" : access],
      ...(storageClassName === undefined ? {} : { storageClassName }),
      resources: { requests: { storage: size } },
    },
  };
}
