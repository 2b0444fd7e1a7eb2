/** The Job that consolidates one holder's uploads (DESIGN 4). */
import type { V1Container, V1PodSpec } from "@kubernetes/client-node";
import { permitName, taskName, volumeName } from "../../../core/names.ts";
import type { Consolidation } from "../../../core/step.ts";
import { LABEL, type Marks, marks, NOTE } from "../marks.ts";
import type { KubernetesSite } from "../settings.ts";
import type { Manifest, Wire } from "../wire.ts";
import { GATE, type Gate, gateContainer, gateNotes } from "./gate.ts";
import { containerSecurity, envOf, placement, podSecurity } from "./pod.ts";
import { GUARD } from "./scope.ts";

/** A node that is drained or a pod that is evicted should not need a person; a refusal by the script should, soon. */
const BACKOFF_LIMIT = 2;
/** Hashing and copying take one core; memory is for lists of names, sorted on disk. */
const RESOURCES = {
  requests: { cpu: "100m", memory: "64Mi" },
  limits: { cpu: "2", memory: "512Mi" },
};
/** Lists of names and hashes: 100 bytes for each of ten million files, four lists. */
const SCRATCH_LIMIT = "4Gi";
/** What consolidate.sh exits with when it will not help to try again; overtaken by another pod it ends with 4. */
const REFUSED = 3;
/** Component, container and Job are named after what they do. */
const NAME = "consolidation";

const SOURCE = "/uploads", TARGET = "/raw", SCRATCH = "/tmp";
const REPORT = "/dev/termination-log";

/** Marks of a task: the Job's and its pods'. */
export function taskMarks(
  permitId: string,
  fromKey: string,
  annotations: Record<string, string> = {},
): Marks {
  const name = taskName(fromKey);
  return marks(permitId, NAME, { [LABEL.name]: NAME, [LABEL.instance]: name, [LABEL.task]: name }, {
    [NOTE.volumeKey]: fromKey,
    ...annotations,
  });
}

/** What of the site a consolidation is rendered from. */
type TaskSite = Pick<KubernetesSite, "settings" | "toolsImage" | "singleNode">;

/** The Job: the holder's uid reads the uploads and writes into the target; no network, removed by remove-task. */
export function consolidationManifest(
  permitId: string,
  consolidation: Consolidation,
  script: string,
  gate: Gate,
  site: TaskSite,
): Manifest<"jobs"> {
  const { fromKey } = consolidation;
  const guard = gateContainer(GATE, gate.script, { mode: "gate", lines: gate.lines }, site);
  const { labels, annotations } = taskMarks(permitId, fromKey, gateNotes(guard, gate.control));
  return {
    metadata: { name: taskName(fromKey), namespace: permitName(permitId), labels, annotations },
    spec: {
      backoffLimit: BACKOFF_LIMIT,
      podReplacementPolicy: "Failed",
      podFailurePolicy: {
        rules: [
          { action: "FailJob", onExitCodes: { containerName: NAME, operator: "In", values: [REFUSED] } },
          // A policy that nobody enforces heals without anybody asking for the Job again. The job controller leaves at
          // most ten minutes between pods.
          { action: "Ignore", onExitCodes: { containerName: GATE, operator: "NotIn", values: [0] } },
        ],
      },
      template: {
        metadata: { labels, annotations },
        spec: podSpec(permitId, consolidation, script, guard, site),
      },
    },
  };
}

function podSpec(
  permitId: string,
  { fromKey, into, uid, gid, fsGroup, folder, accepted }: Consolidation,
  script: string,
  guard: Wire<V1Container>,
  { settings, toolsImage, singleNode }: TaskSite,
): Wire<V1PodSpec> {
  const samePermit = {
    topologyKey: "kubernetes.io/hostname",
    labelSelector: { matchLabels: { [LABEL.permit]: permitName(permitId) } },
  };
  return {
    restartPolicy: "Never",
    serviceAccountName: GUARD.account,
    ...placement(settings),
    ...(singleNode
      ? { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [samePermit] } } }
      : {}),
    dnsPolicy: "None",
    dnsConfig: { nameservers: ["127.0.0.1"] },
    securityContext: podSecurity({ uid, gid, fsGroup }),
    // What copies data passes the same gate as who looks at it (DESIGN 8).
    initContainers: [guard],
    containers: [{
      name: NAME,
      image: toolsImage.reference,
      imagePullPolicy: "IfNotPresent",
      command: ["/bin/sh", "-c", script, NAME],
      env: envOf({
        SOURCE,
        TARGET,
        FOLDER: folder,
        GROUP: `${fsGroup}`,
        SCRATCH,
        REPORT,
        ACCEPTED: accepted ?? "",
        HOME: SCRATCH,
      }),
      terminationMessagePath: REPORT,
      terminationMessagePolicy: "FallbackToLogsOnError",
      resources: RESOURCES,
      securityContext: containerSecurity(true),
      volumeMounts: [
        { name: "from", mountPath: SOURCE, readOnly: true },
        { name: "into", mountPath: TARGET },
        { name: "tmp", mountPath: SCRATCH },
      ],
    }],
    volumes: [
      { name: "from", persistentVolumeClaim: { claimName: volumeName(fromKey), readOnly: true } },
      { name: "into", persistentVolumeClaim: { claimName: volumeName(into.key) } },
      { name: "tmp", emptyDir: { sizeLimit: SCRATCH_LIMIT } },
    ],
  };
}
