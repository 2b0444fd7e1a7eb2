/** How a pod's isolation gate fares, from its container's status. */
import type { V1ContainerStatus } from "@kubernetes/client-node";
import type { Trouble } from "../../../core/observed.ts";
import { GATE } from "../manifests/gate.ts";
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

/** Runs, has failed (kubelet begins it again), or nothing to say. */
export function gateOf(pod: Stored<"pods">): GateState {
  const gate = gateStatusOf(pod);
  if (gate === undefined || gate.state?.terminated?.exitCode === 0) return NOTHING;
  const failed = gate.state?.terminated ?? gate.lastState?.terminated;
  if (failed !== undefined && failed.exitCode !== 0) {
    const text = describeFailure(parseGateReport(failed.message), failed.exitCode);
    return { text, trouble: "isolation-unproven" };
  }
  return gate.state?.running === undefined ? NOTHING : { text: "gate: round in progress", trouble: null };
}

/** The report of a gate that this very pod has passed; null: it has not. */
export function passedReport(pod: Stored<"pods">): GateReport | null {
  const { exitCode, message } = gateStatusOf(pod)?.state?.terminated ?? {};
  const report = exitCode === 0 ? parseGateReport(message) : null;
  return report?.result === "clean" ? report : null;
}
