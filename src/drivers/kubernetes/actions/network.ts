/** Actions on one workspace's network: cut and open, for exactly one pod. */
import type { ApplyResult } from "../../../core/driver.ts";
import { Fault, type Reason } from "../../../core/fault.ts";
import { permitName, workspaceName } from "../../../core/names.ts";
import { canonicalJson } from "../../../core/sha256.ts";
import type { Action } from "../../../core/step.ts";
import { foreignFault } from "../faults.ts";
import { openPolicyManifest, openSpec, rulesOf, shutPolicyManifest, shutSpec } from "../manifests/policy.ts";
import { isOurs, LABEL, whyForeign } from "../marks.ts";
import type { KubernetesSite } from "../settings.ts";
import { describePlace, type Stored } from "../wire.ts";
import { applyOwned, applySeen, changedFault, findOurs, type Writing } from "../write.ts";

type Of<K extends Action["kind"]> = Extract<Action, { kind: K }>;

/**
 * What may keep a cut from being written without being a reason to fail: the stop that follows is what helps then, and
 * it must be reached. The next observation shows whether the network is shut.
 */
const CUT_IN_VAIN: Partial<Record<Reason, string>> = {
  "not-found": "nothing to cut: the namespace is gone",
  "foreign-object": "cannot be cut: a policy of that name is somebody else's; stopping takes its access",
  "terminating": "cannot be cut: the namespace is being deleted, and its pods with it",
};

/**
 * Denies both ways by the workspace's own policy. Also where none stands: then one is created, so that a late writer
 * that saw none cannot create an open one afterwards. Never fails because the policy's version moved; where the
 * permit has no namespace, or not its own, nothing of it can be open.
 */
export async function cutNetwork(writing: Writing, { workspace }: Of<"cut-network">): Promise<ApplyResult> {
  const { seen } = workspace.network;
  const { permitId } = writing;
  if (seen === null && await findOurs(writing, "namespaces", { name: permitName(permitId) }) === null) {
    return { detail: "nothing to cut: the permit has no namespace" };
  }
  const manifest = shutPolicyManifest(permitId, workspace, seen?.version ?? "absent");
  try {
    const stored = await applyOwned(writing, "networkpolicies", manifest, seen?.uid ?? null);
    if (isStored(stored, shutSpec(manifest.metadata.name))) return { detail: "its policy denies both ways" };
    return {
      detail: "cannot be cut: the policy was stored otherwise than it was written; stopping takes its access",
    };
  } catch (thrown) {
    const detail = thrown instanceof Fault ? CUT_IN_VAIN[thrown.reason] : undefined;
    if (detail === undefined) throw thrown;
    return { detail };
  }
}

/** What the API server stored must be what was sent: a webhook, or a field of somebody else's, may have changed it. */
function isStored({ spec }: Stored<"networkpolicies">, wanted: object): boolean {
  return canonicalJson(spec) === canonicalJson(wanted);
}

/**
 * The posture's rules, for exactly one pod: the policy selects by the pod's own uid, which is written on the pod as
 * a label. A pod that takes its place later is not selected, and stays shut.
 */
export async function openNetwork(
  writing: Writing,
  { workspace, instanceUid, seen }: Of<"open-network">,
  site: KubernetesSite,
): Promise<ApplyResult> {
  const { client, permitId, signal } = writing;
  const pod = await findInstance(writing, workspace.key, instanceUid);
  const rules = rulesOf(workspace, site);
  const manifest = openPolicyManifest(permitId, workspace, rules, instanceUid);
  // The label first: alone it opens nothing, and then the conditional write of the policy alone decides.
  await client.merge("pods", { namespace: permitName(permitId), name: pod.metadata.name }, {
    metadata: { uid: instanceUid, labels: { [LABEL.opened]: instanceUid } },
  }, signal);
  const stored = await applySeen(writing, "networkpolicies", manifest, seen);
  if (!isStored(stored, openSpec(manifest.metadata.name, rules, instanceUid))) {
    throw alteredFault(describePlace("networkpolicies", stored.metadata));
  }
  return { detail: `${workspace.posture}: open for pod ${pod.metadata.name}` };
}

/** The live pod of a workspace that has this uid; a conflict Fault when it is not there or on its way out. */
export async function findInstance(
  { client, permitId, signal }: Writing,
  workspaceKey: string,
  instanceUid: string,
): Promise<Stored<"pods">> {
  // A StatefulSet's only pod.
  const place = { namespace: permitName(permitId), name: `${workspaceName(workspaceKey)}-0` };
  const pod = await client.get("pods", place, signal);
  const target = describePlace("pods", place);
  if (pod === null || pod.metadata.uid !== instanceUid || pod.metadata.deletionTimestamp !== undefined) {
    throw changedFault(target);
  }
  if (!isOurs(pod, permitId)) throw foreignFault(target, whyForeign(pod, permitId));
  return pod;
}

function alteredFault(target: string): Fault {
  return new Fault(
    "stalled",
    "policy-refused",
    `Cannot rely on ${target}: it was stored otherwise than it was written`,
    {
      target,
      advice:
        "Find out who changes NetworkPolicies (kubectl get mutatingwebhookconfigurations), then run wps jobs retry",
    },
  );
}
