/** Whether NetworkPolicies are enforced, as far as the API tells, and whether ours can work at all. */
import { z } from "zod";
import { type Cidr, overlaps, parseCidr } from "../../../core/cidr.ts";
import type { CheckLine } from "../../../core/driver.ts";
import { Fault } from "../../../core/fault.ts";
import type { Client } from "../client.ts";
import { isOfCanaries } from "../manifests/canaries.ts";
import type { KubernetesSite } from "../settings.ts";

/** API groups that network plugins bring along which are known to enforce NetworkPolicy. */
const ENFORCERS: Readonly<Record<string, string>> = {
  "crd.projectcalico.org": "Calico",
  "projectcalico.org": "Calico",
  "cilium.io": "Cilium",
  "crd.antrea.io": "Antrea",
  "kubeovn.io": "Kube-OVN",
  "k8s.ovn.org": "OVN-Kubernetes",
};
/** Groups of policies that stand above NetworkPolicy: their rules can let through what ours deny. */
const OVERRULERS: readonly string[] = ["policy.networking.k8s.io"];

const groupsSchema = z.object({ groups: z.array(z.object({ name: z.string() })) });

/** Reads the API groups. Only packets prove enforcement; the isolation gate sends them. */
export async function checkPolicySupport(client: Client, signal: AbortSignal): Promise<CheckLine> {
  const { groups } = groupsSchema.parse(await client.raw("/apis", signal));
  return judgePolicySupport(groups.map(({ name }) => name));
}

/** The judgement on the API groups; pure. */
export function judgePolicySupport(groups: string[]): CheckLine {
  const check = "network policy";
  const plugins = [...new Set(groups.flatMap((name) => ENFORCERS[name] ?? []))];
  if (plugins.length === 0) {
    return {
      check,
      result: "warning",
      detail: "no network plugin that is known to enforce NetworkPolicy shows in the API",
      advice:
        "Make sure that the cluster's network plugin enforces NetworkPolicy, ingress and egress; without it nothing is isolated",
    };
  }
  const over = OVERRULERS.filter((name) => groups.includes(name));
  if (over.length > 0) {
    return {
      check,
      result: "warning",
      detail: `${plugins.join(", ")}; ${
        over.join(", ")
      } is installed, whose policies can overrule NetworkPolicy`,
      advice: "Make sure that no AdminNetworkPolicy with action Allow selects the namespaces of permits",
    };
  }
  return { check, result: "ok", detail: plugins.join(", "), advice: "" };
}

/** A policy sees addresses after DNAT, so a Service's address in one matches nothing (DESIGN 10). */
export async function checkAddresses(
  client: Client,
  site: Pick<KubernetesSite, "gateway" | "proxy">,
  signal: AbortSignal,
): Promise<CheckLine> {
  let ranges: string[];
  try {
    ranges = (await client.list("servicecidrs", {}, signal)).flatMap(({ spec }) => spec?.cidrs ?? []);
  } catch (thrown) {
    // The kind came with Kubernetes 1.33.
    if (thrown instanceof Fault && thrown.reason === "not-found") ranges = [];
    else throw thrown;
  }
  return judgeAddresses(ranges, site);
}

/** The judgement on the Services' ranges; pure. */
export function judgeAddresses(
  serviceCidrs: string[],
  { gateway, proxy }: Pick<KubernetesSite, "gateway" | "proxy">,
): CheckLine {
  const check = "addresses";
  const given: [string, string][] = [
    ...("cidr" in gateway ? [["network.gateway.cidr", gateway.cidr] as [string, string]] : []),
    ...(proxy === null ? [] : [["network.proxy.cidr", proxy.cidr] as [string, string]]),
  ];
  const ranges = serviceCidrs.map(parseCidr).filter((range): range is Cidr => !("error" in range));
  const wrong = given.filter(([, text]) => {
    const block = parseCidr(text);
    return "error" in block || ranges.some((range) => overlaps(range, block));
  });
  if (wrong.length > 0) {
    return {
      check,
      result: "failed",
      detail: `${
        wrong.map(([key, text]) => `${key} ${text}`).join(", ")
      } lies within the Services' addresses (${serviceCidrs.join(", ")})`,
      advice:
        "Name the pods' or the host's own addresses: a policy is applied after the Service's address has been replaced",
    };
  }
  if (ranges.length === 0 && given.length > 0) {
    return {
      check,
      result: "warning",
      detail: "the cluster does not tell the Services' addresses, so they cannot be compared",
      advice: `Make sure that ${given.map(([key]) => key).join(" and ")} name no Service's address`,
    };
  }
  return {
    check,
    result: "ok",
    detail: given.length === 0 ? "no address in a policy" : given.map(([, text]) => text).join(", "),
    advice: "",
  };
}

/** How many canaries there are, and whether WPS may use the namespace from which it asks them. */
export async function checkCanaries(
  client: Client,
  { canaries, settings: { canaryNamespace } }: Pick<KubernetesSite, "canaries" | "settings">,
  signal: AbortSignal,
): Promise<CheckLine> {
  const check = "canaries";
  const found = await client.getMetadata("namespaces", { name: canaryNamespace }, signal);
  if (found !== null && !isOfCanaries(found)) {
    return {
      check,
      result: "failed",
      detail: `Namespace ${canaryNamespace} is not of WPS's canaries`,
      advice:
        "Set drivers.kubernetes.canaryNamespace to a name that nobody uses, there and in deploy/kubernetes",
    };
  }
  const detail =
    `${canaries.length} of the site; API server, node, metadata address, and a listener in ${canaryNamespace}`;
  if (canaries.length > 0) return { check, result: "ok", detail, advice: "" };
  return {
    check,
    result: "warning",
    detail,
    advice: "Name addresses in network.canaries that nobody isolated may reach: the proxy, a file server",
  };
}
