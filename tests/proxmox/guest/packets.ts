/**
 * What the firewall lets pass. The rules are those of the chains that the recorded server made (flow `firewall-effect`):
 * a test reads these chains and compares.
 */
import { findAlias, findIpSet, ipVersion, isInNetwork } from "../state/addresses.ts";
import type { FirewallFile, FirewallRule, IpSet } from "../state/firewall_file.ts";
import { MACROS } from "./macros.ts";

/** The first packet of a connection. */
export interface Packet {
  protocol: "tcp" | "udp" | "icmp";
  source: string;
  destination: string;
  sourcePort?: number | undefined;
  port?: number | undefined;
  /** What the guest writes as its own; its NIC's unless it lies. */
  sourceMac?: string | undefined;
}

/** The port of a VM's NIC through which a packet passes, seen from the guest. */
export interface Gate {
  direction: "in" | "out";
  /** `net0`. */
  nic: string;
  mac: string;
  /** `firewall=1` of the NIC. */
  hasFirewall: boolean;
}

/** What becomes of a packet, and which part of the firewall decided. */
export interface Judgement {
  isAccepted: boolean;
  by: string;
}

const accept = (by: string): Judgement => ({ isAccepted: true, by });
const drop = (by: string): Judgement => ({ isAccepted: false, by });

/** Judges a packet by the cluster's and the VM's file. */
export function judge(packet: Packet, gate: Gate, cluster: FirewallFile, guest: FirewallFile): Judgement {
  const option = (name: string, otherwise: string): string => guest.options.get(name) ?? otherwise;
  if (cluster.options.get("enable") !== "1") return accept("the firewall is off in the cluster");
  if (!gate.hasFirewall) return accept(`${gate.nic} has no firewall`);
  if (option("enable", "0") !== "1") return accept("the firewall is off for the VM");
  // Unset permits it, although the schema says that 0 is the default (PROXMOX, firewall isolation 3).
  if (option("dhcp", "1") === "1" && isDhcp(packet, gate)) return accept("dhcp");
  if (gate.direction === "out") {
    const isOwnMac = packet.sourceMac === undefined ||
      packet.sourceMac.toLowerCase() === gate.mac.toLowerCase();
    if (option("macfilter", "1") === "1" && !isOwnMac) return drop("macfilter");
    if (option("ipfilter", "0") === "1" && !isOwnAddress(packet, gate, cluster, guest)) {
      return drop("ipfilter");
    }
  }
  const byRule = judgeByRules(guest.rules, packet, gate, cluster, guest);
  if (byRule !== undefined) return byRule;
  const policy = gate.direction === "in" ? option("policy_in", "DROP") : option("policy_out", "ACCEPT");
  return policy === "ACCEPT" ? accept(`policy_${gate.direction}`) : drop(`policy_${gate.direction}`);
}

function isDhcp({ protocol, sourcePort, port }: Packet, { direction }: Gate): boolean {
  const [from, to] = direction === "out" ? [68, 67] : [67, 68];
  return protocol === "udp" && sourcePort === from && port === to;
}

/** The set `ipfilter-net0`, or without it an empty one; IPv6 knows the NIC's own link-local address besides. */
function isOwnAddress(packet: Packet, gate: Gate, cluster: FirewallFile, guest: FirewallFile): boolean {
  if (ipVersion(packet.source) === 6 && packet.source === linkLocal(gate.mac)) return true;
  const set = guest.ipsets.get(`ipfilter-${gate.nic}`);
  return set !== undefined && isInSet(packet.source, set, cluster, guest);
}

/** RFC 4291: the address that a NIC gives itself. */
function linkLocal(mac: string): string {
  const [first = 0, ...rest] = mac.split(":").map((byte) => parseInt(byte, 16));
  const bytes = [first ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)];
  const groups = [0, 2, 4, 6].map((at) => ((bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0)).toString(16));
  return `fe80::${groups.join(":")}`;
}

function isInSet(address: string, { entries }: IpSet, cluster: FirewallFile, guest: FirewallFile): boolean {
  const matches = entries.filter(({ cidr }) => {
    const network = ipVersion(cidr) === undefined ? findAlias(cidr, cluster, guest) : cidr;
    return network !== undefined && isInNetwork(address, network);
  });
  return matches.length > 0 && matches.every(({ isNoMatch }) => !isNoMatch);
}

function judgeByRules(
  rules: readonly FirewallRule[],
  packet: Packet,
  gate: Gate,
  cluster: FirewallFile,
  guest: FirewallFile,
): Judgement | undefined {
  for (const [pos, rule] of rules.entries()) {
    const iface = rule.fields.get("iface");
    if (rule.enable !== 1 || (iface !== undefined && iface !== gate.nic)) continue;
    if (rule.type === "group") {
      const inner = judgeByRules(cluster.groups.get(rule.action)?.rules ?? [], packet, gate, cluster, guest);
      if (inner !== undefined) return { ...inner, by: `group ${rule.action}, ${inner.by}` };
    } else if (rule.type === gate.direction && matches(rule, packet, cluster, guest)) {
      return rule.action === "ACCEPT" ? accept(`rule ${pos}`) : drop(`rule ${pos}`);
    }
  }
  return undefined;
}

function matches(
  { fields }: FirewallRule,
  packet: Packet,
  cluster: FirewallFile,
  guest: FirewallFile,
): boolean {
  const isAt = (text: string | undefined, address: string): boolean => {
    return text === undefined || text.split(",").some((part) => isAddress(part, address, cluster, guest));
  };
  if (!isAt(fields.get("source"), packet.source) || !isAt(fields.get("dest"), packet.destination)) {
    return false;
  }
  const macro = fields.get("macro");
  if (macro !== undefined) {
    return (MACROS.get(macro) ?? []).some(({ protocol, port }) => {
      return protocol === packet.protocol && isPort(port, packet.port);
    });
  }
  const protocol = fields.get("proto");
  if (protocol !== undefined && protocol !== packet.protocol) return false;
  return isPort(fields.get("dport"), packet.port) && isPort(fields.get("sport"), packet.sourcePort);
}

function isAddress(text: string, address: string, cluster: FirewallFile, guest: FirewallFile): boolean {
  if (text.startsWith("+")) {
    const set = findIpSet(text, cluster, guest);
    return set !== undefined && isInSet(address, set, cluster, guest);
  }
  const network = ipVersion(text.split("-")[0] ?? "") === undefined ? findAlias(text, cluster, guest) : text;
  return network !== undefined && isInNetwork(address, network);
}

function isPort(text: string | undefined, port: number | undefined): boolean {
  if (text === undefined) return true;
  return port !== undefined && text.split(",").some((range) => {
    const [from, to = from] = range.split(":").map(Number);
    return from !== undefined && to !== undefined && port >= from && port <= to;
  });
}
