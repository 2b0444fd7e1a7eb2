/** The policies around one pod, read back: what packets are compared with. */
import { permitName, workspaceName } from "../../../core/names.ts";
import { networkOf, readPolicy } from "../observe/network.ts";
import { isDefaultDenyIntact } from "../observe/scope.ts";
import type { KubernetesSite } from "../settings.ts";
import type { Stored } from "../wire.ts";
import type { Writing } from "../write.ts";

/** What is in force, and what of it lets a workspace out; `altered` says what else is not as WPS wrote it. */
export interface PolicyReading {
  policies: Stored<"networkpolicies">[];
  state: "shut" | "open" | "breached";
  /** Who opens it, where it is breached. */
  by: string | null;
  altered: string[];
}

/** Reads the namespace's policies as they add up for a pod. Faults as the client throws them. */
export async function readPolicies(
  { client, permitId, signal }: Writing,
  workspaceKey: string,
  pod: Stored<"pods">,
  site: KubernetesSite,
): Promise<PolicyReading> {
  const policies = await client.list("networkpolicies", { namespace: permitName(permitId) }, signal);
  const name = workspaceName(workspaceKey);
  const own = policies.find(({ metadata }) => metadata.name === name);
  const read = { permitId, policies };
  const labels = pod.metadata.labels ?? {};
  const network = networkOf(read, workspaceKey, { live: [labels], next: labels }, site);
  const altered = [
    isDefaultDenyIntact(read) ? null : "the namespace's default-deny is missing or altered",
    own !== undefined && readPolicy(own, permitId, workspaceKey, site) === null
      ? `NetworkPolicy ${name} is altered`
      : null,
    pod.spec?.hostNetwork === true ? "the pod uses its node's network, which no policy binds" : null,
  ].filter((text) => text !== null);
  return { policies, state: network.state, by: network.state === "breached" ? network.by : null, altered };
}
