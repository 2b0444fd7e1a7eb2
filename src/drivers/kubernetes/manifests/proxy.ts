/** The allow-listing proxy as workspaces and policies know it. */
import { isIP } from "node:net";
import type { V1HostAlias } from "@kubernetes/client-node";
import { Fault } from "../../../core/fault.ts";
import type { Proxy } from "../settings.ts";
import type { Wire } from "../wire.ts";

/** Never through the proxy: what stays in the pod. */
const NO_PROXY = "localhost,127.0.0.1,::1";

/** The port that egress is opened to. */
export function proxyPort({ url }: Proxy): number {
  const { port, protocol } = new URL(url);
  if (port !== "") return Number(port);
  return protocol === "https:" ? 443 : 80;
}

/** Programs disagree on upper and lower case, so both are set. */
export function proxyEnv({ url }: Proxy): Record<string, string> {
  const pairs = { HTTP_PROXY: url, HTTPS_PROXY: url, NO_PROXY };
  const lower = Object.fromEntries(Object.entries(pairs).map(([name, value]) => [name.toLowerCase(), value]));
  return { ...pairs, ...lower };
}

/** The pod has no DNS, so a proxy that is named gets its one address by /etc/hosts. */
export function proxyHost({ url, cidr }: Proxy): Wire<V1HostAlias>[] {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) !== 0) return [];
  const [address = "", prefix] = cidr.split("/");
  if (prefix !== (isIP(address) === 6 ? "128" : "32")) {
    throw new Fault(
      "stalled",
      "invalid",
      `Cannot render a proxied workspace: ${host} needs one address, ${cidr} is a range`,
      {
        advice: "Set network.proxy.cidr to the proxy's single address, or its url to an address",
      },
    );
  }
  return [{ ip: address, hostnames: [host] }];
}
