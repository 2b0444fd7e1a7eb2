/** A workspace's NetworkPolicy, shut and opened (DESIGN 4: network postures). */
import type {
  V1NetworkPolicyEgressRule,
  V1NetworkPolicyIngressRule,
  V1NetworkPolicySpec,
} from "@kubernetes/client-node";
import { permitName, workspaceName } from "../../../core/names.ts";
import { POSTURES } from "../../../core/phase.ts";
import { type DesiredWorkspace, portOf } from "../../../core/workspace.ts";
import { LABEL, NOTE } from "../marks.ts";
import type { Gateway, KubernetesSite, Proxy } from "../settings.ts";
import type { Manifest, Wire } from "../wire.ts";
import { proxyPort } from "./proxy.ts";
import { workspaceMarks } from "./workspace.ts";
import { z } from "zod";

/** What an opened policy is rendered from; kept on it as an annotation so that it can be rendered again and compared. */
export interface Rules {
  posture: DesiredWorkspace["posture"];
  protocol: DesiredWorkspace["protocol"];
  /** Sorted. */
  allowedCidrs: string[];
  gateway: Gateway;
  proxy: Proxy | null;
}

const gateway: z.ZodType<Gateway> = z.union([
  z.strictObject({ cidr: z.string() }),
  z.strictObject({
    namespaceSelector: z.record(z.string(), z.unknown()),
    podSelector: z.record(z.string(), z.unknown()).optional(),
  }),
]);
const rulesSchema: z.ZodType<Rules> = z.strictObject({
  posture: z.enum(POSTURES),
  protocol: z.enum(["rdp", "vnc", "sftp"]),
  allowedCidrs: z.array(z.string()),
  gateway,
  proxy: z.strictObject({ url: z.string(), cidr: z.string() }).nullable(),
});

/** The rules that a workspace's opened network has on this site. */
export function rulesOf(
  { posture, protocol, allowedCidrs }: Pick<DesiredWorkspace, "posture" | "protocol" | "allowedCidrs">,
  site: Pick<KubernetesSite, "gateway" | "proxy">,
): Rules {
  const proxy = posture === "proxied" ? site.proxy : null;
  return { posture, protocol, allowedCidrs: [...allowedCidrs].sort(), gateway: site.gateway, proxy };
}

/** The rules that a policy says it was rendered from; null when it says nothing that can be read. */
export function parseRules(annotation: string | null): Rules | null {
  if (annotation === null) return null;
  try {
    return rulesSchema.parse(JSON.parse(annotation));
  } catch {
    return null;
  }
}

/** The policy that denies both ways, by itself and whatever the default-deny says. `after`: see NOTE.cutAfter. */
export function shutPolicyManifest(
  permitId: string,
  workspace: { key: string; kind: string },
  after: string,
): Manifest<"networkpolicies"> {
  const name = workspaceName(workspace.key);
  return {
    metadata: {
      name,
      namespace: permitName(permitId),
      ...workspaceMarks(permitId, workspace, { [NOTE.cutAfter]: after }),
    },
    // Said, not left out: an apply takes back what somebody else put into a list only if it names the list.
    spec: { ...shutSpec(name), ingress: [], egress: [] },
  };
}

/** The spec of {@link shutPolicyManifest}. `name` is the workspace's. */
export function shutSpec(name: string): Wire<V1NetworkPolicySpec> {
  return { podSelector: { matchLabels: { [LABEL.workspace]: name } }, policyTypes: ["Ingress", "Egress"] };
}

/** The policy with the posture's rules, for exactly one pod. */
export function openPolicyManifest(
  permitId: string,
  workspace: { key: string; kind: string },
  rules: Rules,
  podUid: string,
): Manifest<"networkpolicies"> {
  const name = workspaceName(workspace.key);
  return {
    metadata: {
      name,
      namespace: permitName(permitId),
      ...workspaceMarks(permitId, workspace, { [NOTE.rules]: JSON.stringify(rules) }),
    },
    spec: openSpec(name, rules, podUid),
  };
}

/** The spec of {@link openPolicyManifest}: it holds only for the pod that carries its own uid as a label. */
export function openSpec(name: string, rules: Rules, podUid: string): Wire<V1NetworkPolicySpec> {
  const ingress = ingressOf(rules), egress = egressOf(rules);
  return {
    podSelector: { matchLabels: { [LABEL.workspace]: name, [LABEL.opened]: podUid } },
    policyTypes: ["Ingress", "Egress"],
    ...(ingress.length === 0 ? {} : { ingress }),
    ...(egress.length === 0 ? {} : { egress }),
  };
}

function ingressOf({ posture, protocol, allowedCidrs, gateway }: Rules): Wire<V1NetworkPolicyIngressRule>[] {
  const ports = [{ protocol: "TCP", port: portOf(protocol) }];
  if (posture !== "inbound-allowlist") {
    return [{ from: ["cidr" in gateway ? { ipBlock: { cidr: gateway.cidr } } : gateway], ports }];
  }
  // An empty `from` would let everybody in: without an address there is no rule at all.
  if (allowedCidrs.length === 0) return [];
  return [{ from: allowedCidrs.map((cidr) => ({ ipBlock: { cidr } })), ports }];
}

function egressOf({ posture, proxy }: Rules): Wire<V1NetworkPolicyEgressRule>[] {
  if (posture === "open") return [{}];
  if (posture !== "proxied" || proxy === null) return [];
  return [{ to: [{ ipBlock: { cidr: proxy.cidr } }], ports: [{ protocol: "TCP", port: proxyPort(proxy) }] }];
}
