/** How a pod's isolation gate fares, from its container's status. */
import type { V1ContainerStatus, V1PodSpec } from "@kubernetes/client-node";
import type { Trouble } from "../../../core/observed.ts";
import { GATE, gateFault } from "../manifests/gate.ts";
import { NOTE } from "../marks.ts";
import { describeFailure, type GateReport, parseGateReport } from "../report.ts";
import type { Stored, Wire } from "../wire.ts";

/** What there is to say of a gate; both null: none, not begun, or passed. */
export interface GateState {
  text: string | null;
  trouble: Trouble | null;
}

const NOTHING: GateState = { text: null, trouble: null };

/** The gate's status; undefined: the pod has none, or it has not begun. */
export function gateStatusOf({ status }: Stored<"pods">): Wire<V1ContainerStatus> | undefined {
  return status?.initContainerStatuses?.find(({ name }) => name === GATE);
}

/** Whether what comes after the gate may have begun. */
export function isPastGate(pod: Stored<"pods">): boolean {
  return gateStatusOf(pod)?.state?.terminated?.exitCode === 0;
}

/** Runs, has failed (kubelet begins it again), or nothing to say. */
export function gateOf(pod: Stored<"pods">): GateState {
  const gate = gateStatusOf(pod);
  if (gate === undefined || isPastGate(pod)) return NOTHING;
  const failed = gate.state?.terminated ?? gate.lastState?.terminated;
  if (failed !== undefined && failed.exitCode !== 0) {
    const text = describeFailure(parseGateReport(failed.message), failed.exitCode);
    return { text, trouble: "isolation-unproven" };
  }
  return gate.state?.running === undefined ? NOTHING : { text: "gate: round in progress", trouble: null };
}

/**
 * What is wrong with the gate of a pod (or a template of one) that should have one, for a person: it mounts a claim of
 * `tainted`, or bears the note of a gate. Null: it needs none, or its gate stands as it was written (DESIGN 8).
 */
export function gateFaultBeside(
  tainted: ReadonlySet<string>,
  annotations: Record<string, string>,
  spec: Wire<V1PodSpec> | undefined,
): string | null {
  const isNearData = (spec?.volumes ?? []).some(({ persistentVolumeClaim }) =>
    persistentVolumeClaim !== undefined && tainted.has(persistentVolumeClaim.claimName)
  );
  return isNearData || annotations[NOTE.gateHash] !== undefined ? gateFault(annotations, spec) : null;
}

/** The report of a gate that this very pod has passed; null: it has not. */
export function passedReport(pod: Stored<"pods">): GateReport | null {
  const { exitCode, message } = gateStatusOf(pod)?.state?.terminated ?? {};
  const report = exitCode === 0 ? parseGateReport(message) : null;
  return report?.result === "clean" ? report : null;
}
