/** What the files below /etc/pve/firewall hold. */

/** A rule; `fields` are what was given beside: `source`, `dest`, `proto`, `dport`, `iface`, `macro`, `comment` … */
export interface FirewallRule {
  type: string;
  /** ACCEPT, DROP, REJECT, or a group's name. */
  action: string;
  /** 0 when `enable` was left out. */
  enable: number;
  fields: Map<string, string>;
}

/** An entry of an IP set. */
export interface IpSetEntry {
  cidr: string;
  isNoMatch: boolean;
  comment: string | undefined;
}

/** A named set of networks. */
export interface IpSet {
  comment: string | undefined;
  entries: IpSetEntry[];
}

/** A named address. */
export interface Alias {
  cidr: string;
  comment: string | undefined;
}

/** One file: of a VM, or of the cluster. */
export interface FirewallFile {
  /** Only what was set. */
  options: Map<string, string>;
  rules: FirewallRule[];
  ipsets: Map<string, IpSet>;
  aliases: Map<string, Alias>;
  /** Security groups, which only the cluster's file has. */
  groups: Map<string, { comment: string | undefined; rules: FirewallRule[] }>;
}

/** A file in which nothing is set, which is the same as none. */
export function emptyFirewall(): FirewallFile {
  return { options: new Map(), rules: [], ipsets: new Map(), aliases: new Map(), groups: new Map() };
}

/** A copy that shares nothing. */
export function copyFirewall(file: FirewallFile): FirewallFile {
  return structuredClone(file);
}
