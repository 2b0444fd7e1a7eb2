/** prove-isolation: the gate's packets, the canaries around them, and the policies as they are read back (DESIGN 8). */
import type { ApplyResult } from "../../../core/driver.ts";
import { Fault } from "../../../core/fault.ts";
import type { Action } from "../../../core/step.ts";
import type { Canaries } from "../canaries.ts";
import { BEFORE_MAX_MS, evidenceOf, parseControl, provenTargets, tooFew } from "../evidence.ts";
import { GATE, gateFault, runsScript } from "../manifests/gate.ts";
import { NOTE, note } from "../marks.ts";
import { passedReport } from "../observe/gate.ts";
import type { KubernetesSite } from "../settings.ts";
import type { Stored } from "../wire.ts";
import type { Writing } from "../write.ts";
import { findInstance } from "./network.ts";
import { type PolicyReading, readPolicies } from "./policies.ts";
import { probeInstance, type ProbeParts } from "./probe.ts";

type Of<K extends Action["kind"]> = Extract<Action, { kind: K }>;

/** What proving needs beside the write. */
export interface ProveParts {
  site: KubernetesSite;
  canaries: Canaries;
  probe: ProbeParts;
  /** gate.sh as it is today. */
  script: string;
}

/**
 * Judges one pod. The evidence says what was tried; a Fault `isolation-unproven` says what is missing, and
 * `isolation-breached` what got out beside a pod that runs: its permit is to be halted (DESIGN 8). A pod that came
 * of itself long after its workspace was started, whose gate is of another version of WPS, or whose canaries have gone
 * since, is proven by a probe.
 */
export async function proveIsolation(
  writing: Writing,
  { workspace, instanceUid }: Of<"prove-isolation">,
  parts: ProveParts,
): Promise<ApplyResult> {
  const pod = await findInstance(writing, workspace.key, instanceUid);
  const reading = await readPolicies(writing, workspace.key, pod, parts.site);
  refuseAltered(workspace.key, reading);
  const gate = gateOfPod(pod, parts.script);
  if (gate === null) return await proveByProbe(writing, workspace.key, instanceUid, parts.probe);
  const answer = parts.canaries.answer;
  if (answer === null || !answer.after.includes(instanceUid)) {
    throw unproven("retry", workspace.key, "the canaries have not been asked since its gate");
  }
  const { report, before } = gate;
  const proven = provenTargets(report, before, answer.evidence);
  // The canaries changed around the gate: a probe asks them anew before and after.
  if (tooFew(proven) !== null) return await proveByProbe(writing, workspace.key, instanceUid, parts.probe);
  const instance = { name: pod.metadata.name, uid: instanceUid };
  const { policies } = reading;
  return {
    detail: `pod ${instance.name}: its gate reached none of ${report.targets.length} targets, ` +
      `${proven.length} of them alive before and after; denied both ways by policy`,
    evidence: evidenceOf({ method: "gate", pod, instance, report, before, after: answer.evidence, policies }),
  };
}

/** What a pod's own gate says, when it counts: passed, unaltered, of this version, and not long after its start. */
function gateOfPod(
  pod: Stored<"pods">,
  script: string,
): {
  report: NonNullable<ReturnType<typeof passedReport>>;
  before: NonNullable<ReturnType<typeof parseControl>>;
} | null {
  const report = passedReport(pod);
  const before = parseControl(note(pod, NOTE.canaries));
  if (report === null || before === null) return null;
  const container = pod.spec?.initContainers?.find(({ name }) => name === GATE);
  if (gateFault(pod.metadata.annotations ?? {}, pod.spec) !== null || !runsScript(container, script)) {
    return null;
  }
  return report.begun * 1000 - Date.parse(before.at) <= BEFORE_MAX_MS ? { report, before } : null;
}

async function proveByProbe(
  writing: Writing,
  workspaceKey: string,
  instanceUid: string,
  parts: ProbeParts,
): Promise<ApplyResult> {
  const found = await probeInstance(writing, { workspaceKey, instanceUid }, parts);
  switch (found.found) {
    case "isolated":
      return {
        detail: `a probe beside the pod reached none of ${found.evidence.targets.length} targets`,
        evidence: found.evidence,
      };
    case "breached":
      throw unproven("breached", workspaceKey, `a probe beside it reached ${found.reached.join(", ")}`);
    case "unknown":
      throw unproven("retry", workspaceKey, found.why);
  }
}

function refuseAltered(key: string, { state, by, altered }: PolicyReading): void {
  const missing = [
    ...altered,
    ...(state === "shut" ? [] : [state === "breached" ? `${by} opens it` : "its own policy is open"]),
  ];
  if (missing.length === 0) return;
  throw unproven(state === "breached" ? "breached" : "stalled", key, missing.join("; "));
}

function unproven(how: "retry" | "stalled" | "breached", key: string, why: string): Fault {
  const disposition = how === "breached" ? "stalled" : how;
  const reason = how === "breached" ? "isolation-breached" : "isolation-unproven";
  return new Fault(disposition, reason, `Cannot show that ${key} is isolated: ${why}`, {
    target: key,
    advice: ADVICE[how],
  });
}

const ADVICE = {
  breached: "Find out what lets it out and remove it, then run wps resume; the permit is halted until then",
  stalled: "Remove what opens it, then run wps jobs retry; its network stays shut until then",
  retry: "None needed while the canaries are alive: WPS asks them again; its network stays shut until then",
};
