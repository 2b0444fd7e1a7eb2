/** What keeps a pod or a claim from coming about until a person acts, read from the API's own codes. */
import type { V1ContainerStatus } from "@kubernetes/client-node";
import type { ObservedTask, ObservedVolume, Trouble } from "../../../core/observed.ts";
import type { Stored, Wire } from "../wire.ts";
import type { Snapshot } from "./snapshot.ts";

/** Kubelet's codes for an image that cannot be had (kubernetes/pkg/kubelet/images). */
const IMAGE_REASONS: ReadonlySet<string> = new Set([
  "ErrImageNeverPull",
  "ErrImagePull",
  "ImageInspectError",
  "ImagePullBackOff",
  "InvalidImageName",
  "RegistryUnavailable",
  "SignatureValidationFailed",
]);

/** The statuses of all containers of a pod, in the order in which they start. */
export function containersOf({ status }: Stored<"pods">): Wire<V1ContainerStatus>[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}

/** "ImagePullBackOff: Back-off pulling …"; null without a reason. */
export function said(reason: string | undefined, message: string | undefined): string | null {
  return reason === undefined
    ? null
    : message === undefined || message === ""
    ? reason
    : `${reason}: ${message}`;
}

/** The scheduler's refusal, or null. */
export function refusalOf({ status }: Stored<"pods">): { reason?: string; message?: string } | null {
  return status?.conditions?.find(({ type, status }) => type === "PodScheduled" && status === "False") ??
    null;
}

/** Why a pod that is pending stays so, with the platform's words; null: nothing that a person must mend. */
export function troubleOfPod(pod: Stored<"pods">): ObservedTask["trouble"] {
  if (pod.status?.phase !== "Pending") return null;
  for (const { state } of containersOf(pod)) {
    const { reason, message } = state?.waiting ?? {};
    if (reason === undefined || !IMAGE_REASONS.has(reason)) continue;
    return { reason: "image-unavailable", text: said(reason, message) ?? reason };
  }
  const refusal = refusalOf(pod);
  if (refusal?.reason !== "Unschedulable") return null;
  return { reason: "unschedulable", text: said(refusal.reason, refusal.message) ?? refusal.reason };
}

/** Why a claim is pending, and the trouble in it. A claim that names its volume is bound without a class. */
export function pendingOf(
  claim: Stored<"persistentvolumeclaims">,
  { storageClasses, warnings }: Pick<Snapshot, "storageClasses" | "warnings">,
): Pick<ObservedVolume, "detail" | "trouble"> {
  const name = claim.spec?.storageClassName;
  const trouble: Trouble = "storage-class-missing";
  if (storageClasses !== null && claim.spec?.volumeName === undefined) {
    if (name === undefined) {
      return { detail: "it names no storage class, and the cluster has no default one", trouble };
    }
    if (name !== "" && !storageClasses.has(name)) {
      return { detail: `storage class ${name} does not exist`, trouble };
    }
  }
  const detail = warnings.get(claim.metadata.uid) ?? `storage class ${name ?? "(none)"} has not bound it`;
  return { detail, trouble: null };
}
