/** The container that runs gate.sh: as a pod's isolation gate, as probe, as control (DESIGN 8). */
import type { V1Container, V1PodSpec } from "@kubernetes/client-node";
import type { ControlEvidence } from "../../../core/evidence.ts";
import { fingerprint } from "../../../core/sha256.ts";
import { NOTE } from "../marks.ts";
import type { Image, KubernetesSettings } from "../settings.ts";
import type { Wire } from "../wire.ts";
import { containerSecurity, envOf } from "./pod.ts";

/** The init container's name. */
export const GATE = "gate";
const REPORT = "/dev/termination-log";
/** A shell that waits most of the time. */
const RESOURCES = { requests: { cpu: "10m", memory: "16Mi" }, limits: { cpu: "500m", memory: "64Mi" } };
/**
 * A policy may be enforced only after a pod's first packets; several rounds in a row without an answer show that it is,
 * and a cluster that needs longer than this for a policy does not enforce it. A probe is as new a pod to the network plugin
 * as the workspace's was: with less patience it would halt what passed its gate on that very node. The price: a way out that
 * only packets show is told of a minute after its probe began; one that a policy shows is told of at once.
 */
const BOUNDS = { CLEAN_ROUNDS: "3", DEADLINE_SECONDS: "60", CONNECT_SECONDS: "1" };

/** What a gate tries, and what is known of those canaries when its pod is started. */
export interface Gate {
  /** gate.sh. */
  script: string;
  /** One line each: `tcp ADDRESS PORT` or `dns ADDRESS PORT`. */
  lines: string[];
  /** The control's answer that the start relies on. */
  control: ControlEvidence;
}

/** What a container that runs gate.sh is rendered from. */
interface GateSite {
  settings: Pick<KubernetesSettings, "clusterDomain">;
  toolsImage: Image;
}

/** Environment and bounds per mode. */
export type GateMode =
  | { mode: "gate" | "probe"; lines: string[] }
  | { mode: "control"; lines: string[] }
  | { mode: "listen"; port: number };

/** A container that runs gate.sh; it mounts nothing. */
export function gateContainer(
  name: string,
  script: string,
  given: GateMode,
  { settings, toolsImage }: GateSite,
): Wire<V1Container> {
  const own: Record<string, string> = given.mode === "listen" ? { MODE: "listen", PORT: `${given.port}` } : {
    MODE: given.mode === "control" ? "control" : "gate",
    CANARIES: given.lines.join("\n"),
    QUESTION: `kubernetes.default.svc.${settings.clusterDomain}`,
    ...BOUNDS,
  };
  return {
    name,
    image: toolsImage.reference,
    imagePullPolicy: "IfNotPresent",
    command: ["/bin/sh", "-c", script, GATE],
    env: [
      ...envOf({ ...own, REPORT }),
      { name: "NODE", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "status.hostIP" } } },
    ],
    terminationMessagePath: REPORT,
    terminationMessagePolicy: "File",
    resources: RESOURCES,
    securityContext: containerSecurity(true),
  };
}

/** The annotations that a gate leaves on its pod. */
export function gateNotes(container: Wire<V1Container>, control: ControlEvidence): Record<string, string> {
  return { [NOTE.gateHash]: gateHash(container), [NOTE.canaries]: JSON.stringify(control) };
}

/**
 * What is wrong with a pod's isolation gate, for a person; null: it stands as it was written. The image may be rewritten
 * by a site's mirror; what it runs, and that nothing is mounted, may not.
 */
export function gateFault(
  annotations: Record<string, string>,
  spec: Wire<V1PodSpec> | undefined,
): string | null {
  const at = (spec?.initContainers ?? []).findIndex(({ name }) => name === GATE);
  const gate = spec?.initContainers?.[at];
  if (gate === undefined) return "no isolation gate beside sensitive data";
  if (at !== 0) return "another container runs before the isolation gate";
  if ((gate.volumeMounts ?? []).length > 0 || (gate.volumeDevices ?? []).length > 0) {
    return "the isolation gate mounts something";
  }
  return annotations[NOTE.gateHash] === gateHash(gate) ? null : "another isolation gate";
}

/** Whether a container runs this very script as a gate. */
export function runsScript(container: Wire<V1Container> | undefined, script: string): boolean {
  return container?.command?.[2] === script;
}

/** The canaries that a container tries. */
export function linesOf(container: Wire<V1Container> | undefined): string[] {
  return container?.env?.find(({ name }) => name === "CANARIES")?.value?.split("\n") ?? [];
}

/** What decides about a gate: what runs with which settings, and how it may fail. */
function gateHash({ command, args, env, restartPolicy, lifecycle }: Wire<V1Container>): string {
  return fingerprint({
    command: command ?? [],
    args: args ?? [],
    env: (env ?? []).map((
      { name, value, valueFrom },
    ) => [name, value ?? valueFrom?.fieldRef?.fieldPath ?? ""]),
    restartPolicy: restartPolicy ?? null, // "Always" would make it a sidecar, which nobody waits for
    lifecycle: lifecycle === undefined ? null : JSON.stringify(lifecycle),
  });
}
