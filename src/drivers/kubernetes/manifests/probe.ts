/** The pod that shows beside a running workspace that it still has no way out (DESIGN 8: repeated while running). */
import type { V1Pod } from "@kubernetes/client-node";
import { workspaceName } from "../../../core/names.ts";
import { LABEL, marks, ROLE } from "../marks.ts";
import type { KubernetesSite } from "../settings.ts";
import type { Manifest, Stored, Wire } from "../wire.ts";
import { gateContainer } from "./gate.ts";
import { placement, podSecurity } from "./pod.ts";
import { GUARD } from "./scope.ts";

/** kubelet ends a probe that nobody looks after any more. */
const PROBE_LIFE_SECONDS = 180;
/** The container's name. */
const PROBE = "probe";

/** What a probe is rendered from. */
export interface ProbeInput {
  permitId: string;
  workspaceKey: string;
  /** The running pod of the workspace. */
  beside: Stored<"pods">;
  /** A name that no other pod has. */
  name: string;
  script: string;
  lines: string[];
}

/** Selects a workspace's probes. */
export function probeSelector(workspaceKey: string): string {
  return `${LABEL.workspace}=${workspaceName(workspaceKey)},${LABEL.role}=${ROLE.probe}`;
}

/**
 * On the same node, with every label by which policies select the workspace's own pod, and another role, so that neither
 * Service nor StatefulSet takes it for theirs. It mounts nothing, and carries no workspace key: it is no instance.
 */
export function probeManifest(
  { permitId, workspaceKey, beside, name, script, lines }: ProbeInput,
  site: Pick<KubernetesSite, "settings" | "toolsImage">,
): Manifest<"pods"> {
  const { uid } = beside.metadata;
  const { labels, annotations } = marks(permitId, "workspace", {
    ...beside.metadata.labels,
    [LABEL.workspace]: workspaceName(workspaceKey),
    [LABEL.opened]: uid,
    [LABEL.role]: ROLE.probe,
  });
  for (const key of CONTROLLERS_LABELS) delete labels[key];
  const { runAsUser = 65534, runAsGroup = 65534 } = beside.spec?.securityContext ?? {};
  const spec: Wire<V1Pod>["spec"] = {
    serviceAccountName: GUARD.account,
    ...placement(site.settings),
    terminationGracePeriodSeconds: 1,
    ...(beside.spec?.nodeName === undefined ? {} : { nodeName: beside.spec.nodeName }),
    dnsPolicy: "None",
    dnsConfig: { nameservers: ["127.0.0.1"] },
    restartPolicy: "Never",
    activeDeadlineSeconds: PROBE_LIFE_SECONDS,
    securityContext: podSecurity({ uid: runAsUser, gid: runAsGroup, fsGroup: runAsGroup }),
    containers: [gateContainer(PROBE, script, { mode: "probe", lines }, site)],
  };
  return {
    metadata: { name, namespace: beside.metadata.namespace, labels, annotations },
    spec,
  };
}

/** Set by the StatefulSet's controller and its revision: a pod that has them might be adopted. */
const CONTROLLERS_LABELS = [
  "controller-revision-hash",
  "statefulset.kubernetes.io/pod-name",
  "apps.kubernetes.io/pod-index",
];
