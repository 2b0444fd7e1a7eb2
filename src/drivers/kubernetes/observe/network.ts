/** A workspace's network as the policies in force add up (DESIGN 8: a foreign policy adds to ours). */
import type { V1LabelSelector, V1NetworkPolicySpec } from "@kubernetes/client-node";
import { workspaceName } from "../../../core/names.ts";
import type { ObservedNetwork, TaskNetwork } from "../../../core/observed.ts";
import { canonicalJson, fingerprint } from "../../../core/sha256.ts";
import { networkHash } from "../../../core/workspace.ts";
import { GUARD } from "../manifests/scope.ts";
import { openSpec, parseRules, type Rules, rulesOf, shutSpec } from "../manifests/policy.ts";
import { isOurs, LABEL, NOTE, note } from "../marks.ts";
import type { KubernetesSite } from "../settings.ts";
import type { Stored, Wire } from "../wire.ts";
import { isDefaultDenyIntact, seenOf } from "./scope.ts";
import type { Snapshot } from "./snapshot.ts";

type Policy = Stored<"networkpolicies">;
/** The part of a snapshot that networks are judged from. */
type Policies = Pick<Snapshot, "policies" | "permitId">;

/** What a policy of ours says, when it says exactly what WPS writes. */
export type Reading = { is: "shut" } | { is: "open"; rules: Rules; podUid: string };

/** Reads a policy as one of WPS's own for a workspace; null: it is altered, or not ours at all. */
export function readPolicy(policy: Policy, permitId: string, workspaceKey: string): Reading | null {
  const name = workspaceName(workspaceKey);
  if (policy.metadata.name !== name || !isOurs(policy, permitId)) return null;
  const live = canonicalJson(policy.spec);
  if (live === canonicalJson(shutSpec(name))) return { is: "shut" };
  const rules = parseRules(note(policy, NOTE.rules));
  const podUid = policy.spec?.podSelector?.matchLabels?.[LABEL.opened];
  if (rules === null || podUid === undefined || live !== canonicalJson(openSpec(name, rules, podUid))) {
    return null;
  }
  return { is: "open", rules, podUid };
}

/** The hash that tells whether an opened network is the wanted one; rules of an older configuration never are. */
export function rulesHash(rules: Rules, site: Pick<KubernetesSite, "gateway" | "proxy">): string {
  const hash = networkHash(rules);
  const isCurrent = canonicalJson(rules) === canonicalJson(rulesOf(rules, site));
  return isCurrent ? hash : fingerprint({ hash, rules });
}

/**
 * The state of one workspace's network. `podLabels`: the labels of each pod that may run, the template's included.
 * Breached when anything but WPS's own exact policy lets traffic through, or when nothing denies it.
 */
export function networkOf(
  snapshot: Policies,
  workspaceKey: string,
  podLabels: Record<string, string>[],
  site: Pick<KubernetesSite, "gateway" | "proxy">,
): ObservedNetwork {
  const { policies, permitId } = snapshot;
  const name = workspaceName(workspaceKey);
  const own = policies.find(({ metadata }) => metadata.name === name);
  const isMarked = own !== undefined && isOurs(own, permitId);
  const seen = own !== undefined && isMarked ? seenOf(own) : null;
  const stray = strayPolicies(snapshot).find((policy) =>
    allowsAnything(policy.spec) && podLabels.some((labels) => selects(policy.spec?.podSelector, labels))
  );
  if (stray !== undefined) return { state: "breached", by: describePolicy(stray, permitId), seen };
  if (own === undefined || !isMarked) {
    if (isDefaultDenyIntact(snapshot)) return { state: "shut", seen };
    return { state: "breached", by: `NetworkPolicy ${GUARD.defaultDeny} (missing or altered)`, seen };
  }
  const reading = readPolicy(own, permitId, workspaceKey);
  // An altered policy of ours that allows nothing denies less than it should; only the default-deny then holds.
  if (reading === null && !isDefaultDenyIntact(snapshot)) {
    return { state: "breached", by: describePolicy(own, permitId), seen };
  }
  if (reading === null || reading.is === "shut") return { state: "shut", seen };
  const { rules, podUid } = reading;
  return { state: "open", posture: rules.posture, hash: rulesHash(rules, site), openedFor: podUid, seen };
}

/**
 * The network of a consolidation. `podLabels`: as of {@link networkOf}. WPS opens nothing for one, so whatever lets its
 * traffic through is a breach, WPS's own rules for a workspace included.
 */
export function taskNetwork(snapshot: Policies, podLabels: Record<string, string>[]): TaskNetwork {
  const { policies, permitId } = snapshot;
  const opener = policies.find(({ spec }) =>
    allowsAnything(spec) && podLabels.some((labels) => selects(spec?.podSelector, labels))
  );
  if (opener !== undefined) return { state: "breached", by: describePolicy(opener, permitId) };
  return isDefaultDenyIntact(snapshot)
    ? { state: "shut" }
    : { state: "breached", by: `NetworkPolicy ${GUARD.defaultDeny} (missing or altered)` };
}

/** Every policy of the namespace that is not exactly what WPS writes: each may open what it selects. */
export function strayPolicies(snapshot: Policies): Policy[] {
  const { policies, permitId } = snapshot;
  return policies.filter((policy) => {
    if (policy.metadata.name === GUARD.defaultDeny && isDefaultDenyIntact(snapshot)) return false;
    const key = note(policy, NOTE.workspaceKey);
    return key === null || readPolicy(policy, permitId, key) === null;
  });
}

/** "NetworkPolicy x", and whether it was WPS's. */
export function describePolicy(policy: Policy, permitId: string): string {
  return `NetworkPolicy ${policy.metadata.name}${isOurs(policy, permitId) ? " (altered)" : ""}`;
}

/** Whether a policy lets any traffic through; one that only denies never opens anything. */
export function allowsAnything(spec: Wire<V1NetworkPolicySpec> | undefined): boolean {
  return (spec?.egress ?? []).length > 0 || (spec?.ingress ?? []).length > 0;
}

/** Kubernetes' label selectors; an operator that is not known here counts as a match, because doubt opens nothing. */
export function selects(
  selector: Wire<V1LabelSelector> | undefined,
  labels: Record<string, string>,
): boolean {
  const equal = Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
  return equal && (selector?.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key];
    switch (operator) {
      case "In":
        return value !== undefined && values.includes(value);
      case "NotIn":
        return value === undefined || !values.includes(value);
      case "Exists":
        return value !== undefined;
      case "DoesNotExist":
        return value === undefined;
      default:
        return true;
    }
  });
}
