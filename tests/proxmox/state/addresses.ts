/** IP addresses and networks, and the firewall's names for them. */
import { isIpv4, isIpv6 } from "../schema/formats.ts";
import type { FirewallFile, IpSet } from "./firewall_file.ts";

/** 4, 6, or undefined for what is no address or network. */
export function ipVersion(text: string): 4 | 6 | undefined {
  const [address = ""] = text.split("/");
  if (isIpv4(address)) return 4;
  return isIpv6(address) ? 6 : undefined;
}

/** A single address without its prefix length; a network stays as it is. */
export function bareAddress(cidr: string): string {
  return cidr.replace(/\/32$/, "").replace(/(:.*)\/128$/, "$1");
}

function bits(address: string): bigint {
  if (isIpv4(address)) return address.split(".").reduce((sum, quad) => sum * 256n + BigInt(quad), 0n);
  const [head = "", tail] = address.split("::");
  const groups = (part: string): string[] => part === "" ? [] : part.split(":");
  const [before, after] = [groups(head), groups(tail ?? "")];
  const zeros = tail === undefined ? [] : Array<string>(8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n);
}

/** Whether an address is in a network, or is that one address. */
export function isInNetwork(address: string, cidr: string): boolean {
  const [network = "", prefix] = cidr.split("/");
  if (ipVersion(address) !== ipVersion(network)) return false;
  const width = ipVersion(address) === 4 ? 32 : 128;
  const shift = BigInt(width - Number(prefix ?? width));
  return bits(address) >> shift === bits(network) >> shift;
}

/** Where a name is looked for: `dc/` in the cluster's file, `guest/` in the VM's, without either first in the VM's. */
function scopes(
  name: string,
  cluster: FirewallFile,
  guest: FirewallFile | undefined,
): [string, FirewallFile[]] {
  const [scope, rest] = name.includes("/") ? name.split("/", 2) : ["", name];
  const files = scope === "dc" ? [cluster] : scope === "guest" ? [guest] : [guest, cluster];
  return [(rest ?? "").toLowerCase(), files.filter((file) => file !== undefined)];
}

/** The IP set of `+name`. */
export function findIpSet(
  name: string,
  cluster: FirewallFile,
  guest: FirewallFile | undefined,
): IpSet | undefined {
  const [key, files] = scopes(name.replace(/^\+/, ""), cluster, guest);
  return files.map(({ ipsets }) => ipsets.get(key)).find((set) => set !== undefined);
}

/** The address of an alias. */
export function findAlias(
  name: string,
  cluster: FirewallFile,
  guest: FirewallFile | undefined,
): string | undefined {
  const [key, files] = scopes(name, cluster, guest);
  return files.map(({ aliases }) => aliases.get(key)?.cidr).find((cidr) => cidr !== undefined);
}
