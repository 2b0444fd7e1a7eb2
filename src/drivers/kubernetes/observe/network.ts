/** A workspace's network as the policies in force add up (DESIGN 8: a foreign policy adds to ours). */
import type { V1LabelSelector, V1NetworkPolicySpec } from "@kubernetes/client-node";
import { workspaceName } from "../../../core/names.ts";
import type { ObservedNetwork, TaskNetwork } from "../../../core/observed.ts";
import { canonicalJson } from "../../../core/sha256.ts";
import { networkHash } from "../../../core/workspace.ts";
import { GUARD } from "../manifests/scope.ts";
import { openSpec, parseRules, type Rules, rulesOf, shutSpec } from "../manifests/policy.ts";
import { isOurs, LABEL, NOTE, note } from "../marks.ts";
import type { KubernetesSite } from "../settings.ts";
import type { Stored, Wire } from "../wire.ts";
import { isDefaultDenyIntact, seenOf } from "./scope.ts";
import type { Snapshot } from "./snapshot.ts";

/** What lets pods out where nothing does anything: for a person. */
const UNGUARDED = `NetworkPolicy ${GUARD.defaultDeny} (missing or altered)`;

type Policy = Stored<"networkpolicies">;
/** The part of a snapshot that networks are judged from. */
type Policies = Pick<Snapshot, "policies" | "permitId">;

/** Labels of a workspace's pods. */
export interface PodLabels {
  /** Of each pod that has not ended. */
  live: readonly Record<string, string>[];
  /** Of the pods that its template makes. */
  next: Record<string, string>;
}

/** What a policy of ours says, when it says exactly what WPS writes. */
export type Reading = { is: "shut" } | { is: "open"; rules: Rules; podUid: string };

/**
 * Reads a policy as one of WPS's own for a workspace; null: it is altered, or not ours at all. Of the rules that it says
 * it was rendered from only posture, protocol and allow-list are believed, which the planner compares with the wanted
 * ones. Who the gateway and the proxy are only this site's settings say: whoever may write the policy may write its
 * annotation too, so that rules of earlier settings cannot be told from somebody's own, and both let in or out whom no
 * setting names (a way out, DESIGN 4).
 */
export function readPolicy(
  policy: Policy,
  permitId: string,
  workspaceKey: string,
  site: Pick<KubernetesSite, "gateway" | "proxy">,
): Reading | null {
  const name = workspaceName(workspaceKey);
  if (policy.metadata.name !== name || !isOurs(policy, permitId)) return null;
  const live = canonicalJson(policy.spec);
  if (live === canonicalJson(shutSpec(name))) return { is: "shut" };
  const noted = parseRules(note(policy, NOTE.rules));
  const podUid = policy.spec?.podSelector?.matchLabels?.[LABEL.opened];
  if (noted === null || podUid === undefined) return null;
  const rules = rulesOf(noted, site);
  return live === canonicalJson(openSpec(name, rules, podUid)) ? { is: "open", rules, podUid } : null;
}

/**
 * The state of one workspace's network. Breached when anything but WPS's own exact policy lets traffic through, or when
 * nothing denies it to one of its pods: without the default-deny a pod is open that no exact policy of WPS selects, be it
 * that the workspace's own was opened for another pod or that somebody took the pod's label off. The next pod counts
 * where there is none: as long as one is there, the default-deny may be mended before another comes.
 */
export function networkOf(
  snapshot: Policies,
  workspaceKey: string,
  { live, next }: PodLabels,
  site: Pick<KubernetesSite, "gateway" | "proxy">,
): ObservedNetwork {
  const { policies, permitId } = snapshot;
  const name = workspaceName(workspaceKey);
  const own = policies.find(({ metadata }) => metadata.name === name);
  const seen = own !== undefined && isOurs(own, permitId) ? seenOf(own) : null;
  const stray = strayPolicies(snapshot, site).find(({ spec }) =>
    allowsAnything(spec) && [...live, next].some((labels) => selects(spec?.podSelector, labels))
  );
  if (stray !== undefined) return { state: "breached", by: describePolicy(stray, permitId), seen };
  const reading = own === undefined ? null : readPolicy(own, permitId, workspaceKey, site);
  const isDenied = (labels: Record<string, string>): boolean =>
    reading !== null && selects(own?.spec?.podSelector, labels);
  if (!isDefaultDenyIntact(snapshot) && !(live.length > 0 ? live : [next]).every(isDenied)) {
    return { state: "breached", by: UNGUARDED, seen };
  }
  // An altered policy of ours that allows nothing denies less than it should; the default-deny holds all the same.
  if (reading === null || reading.is === "shut") return { state: "shut", seen };
  const { rules, podUid } = reading;
  return { state: "open", posture: rules.posture, hash: networkHash(rules), openedFor: podUid, seen };
}

/**
 * The network of a consolidation. `podLabels`: of each pod that may run, the template's included. WPS opens nothing for one,
 * so whatever lets its traffic through is a breach, WPS's own rules for a workspace included.
 */
export function taskNetwork(snapshot: Policies, podLabels: Record<string, string>[]): TaskNetwork {
  const { policies, permitId } = snapshot;
  const opener = policies.find(({ spec }) =>
    allowsAnything(spec) && podLabels.some((labels) => selects(spec?.podSelector, labels))
  );
  if (opener !== undefined) return { state: "breached", by: describePolicy(opener, permitId) };
  return isDefaultDenyIntact(snapshot) ? { state: "shut" } : { state: "breached", by: UNGUARDED };
}

/** Every policy of the namespace that is not exactly what WPS writes: each may open what it selects. */
function strayPolicies(snapshot: Policies, site: Pick<KubernetesSite, "gateway" | "proxy">): Policy[] {
  const { policies, permitId } = snapshot;
  return policies.filter((policy) => {
    if (policy.metadata.name === GUARD.defaultDeny && isDefaultDenyIntact(snapshot)) return false;
    const key = note(policy, NOTE.workspaceKey);
    return key === null || readPolicy(policy, permitId, key, site) === null;
  });
}

/** "NetworkPolicy x", and what became of it where it was WPS's. */
export function describePolicy(policy: Policy, permitId: string): string {
  const name = `NetworkPolicy ${policy.metadata.name}`;
  if (!isOurs(policy, permitId)) return name;
  const rules = parseRules(note(policy, NOTE.rules));
  const podUid = policy.spec?.podSelector?.matchLabels?.[LABEL.opened];
  const isOfOtherSettings = rules !== null && podUid !== undefined &&
    canonicalJson(policy.spec) === canonicalJson(openSpec(policy.metadata.name, rules, podUid));
  return `${name} (${isOfOtherSettings ? "altered, or of other network settings" : "altered"})`;
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
