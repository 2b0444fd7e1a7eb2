/** prove-isolation: shows from the API server's own policies that the shut network holds for one pod. */
import type { ApplyResult } from "../../../core/driver.ts";
import { Fault } from "../../../core/fault.ts";
import { permitName, workspaceName } from "../../../core/names.ts";
import type { Action } from "../../../core/step.ts";
import { isDefaultDenyIntact } from "../observe/scope.ts";
import { networkOf, readPolicy } from "../observe/network.ts";
import type { KubernetesSite } from "../settings.ts";
import type { Writing } from "../write.ts";
import { findInstance } from "./network.ts";

type Of<K extends Action["kind"]> = Extract<Action, { kind: K }>;

/**
 * Reads pod and policies back. The evidence says what was read; a Fault `isolation-unproven` says what is missing.
 * The isolation gate's packets (DESIGN 8) add to this evidence; this reading stays.
 */
export async function proveIsolation(
  writing: Writing,
  { workspace, instanceUid }: Of<"prove-isolation">,
  site: KubernetesSite,
): Promise<ApplyResult> {
  const { client, permitId, signal } = writing;
  const namespace = permitName(permitId);
  const [pod, policies] = await Promise.all([
    findInstance(writing, workspace.key, instanceUid),
    client.list("networkpolicies", { namespace }, signal),
  ]);
  const name = workspaceName(workspace.key);
  const own = policies.find(({ metadata }) => metadata.name === name);
  const reading = own === undefined ? null : readPolicy(own, permitId, workspace.key);
  const read = { permitId, policies };
  const network = networkOf(read, workspace.key, [pod.metadata.labels ?? {}], site);
  const missing = [
    isDefaultDenyIntact(read) ? null : "the namespace's default-deny is missing or altered",
    network.state === "shut"
      ? null
      : network.state === "breached"
      ? `${network.by} opens it`
      : "its own policy is open",
    own !== undefined && reading === null ? `NetworkPolicy ${name} is altered` : null,
    pod.spec?.hostNetwork === true ? "the pod uses its node's network, which no policy binds" : null,
  ].filter((text) => text !== null);
  if (missing.length > 0) {
    throw new Fault(
      "stalled",
      "isolation-unproven",
      `Cannot show that ${workspace.key} is isolated: ${missing.join("; ")}`,
      {
        target: workspace.key,
        advice: "Remove what opens it, then run wps jobs retry; its network stays shut until then",
      },
    );
  }
  const relevant = policies.map(({ metadata }) => ({
    name: metadata.name,
    uid: metadata.uid,
    version: metadata.resourceVersion,
  }));
  return {
    detail: `pod ${pod.metadata.name}: denied both ways by ${
      own === undefined ? "default-deny" : "its own policy and default-deny"
    }`,
    evidence: {
      method: "policy-read-back",
      pod: { name: pod.metadata.name, uid: instanceUid, node: pod.spec?.nodeName ?? null },
      policies: relevant.slice(0, EVIDENCE_POLICIES_MAX),
      policyCount: relevant.length,
    },
  };
}

/** Evidence has at most 4096 bytes; a policy's line has some 150. */
const EVIDENCE_POLICIES_MAX = 20;
