/** The named formats, whose checks the schema leaves to the server. */
import type { Properties } from "./schema.ts";

/** What a refused value is told; each text is the server's own and ends with a line break there. */
type FormatCheck = (value: string) => string | undefined;

const LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const DNS_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*\\.?$`);
const STORAGE_ID = /^[a-z][a-z0-9\-_.]*[a-z0-9]$/i;
const VOLUME_ID = /^[a-z][a-z0-9\-_.]*[a-z0-9]:\S+$/i;

function matching(expression: RegExp, complaint: string): FormatCheck {
  return (value) => expression.test(value) ? undefined : complaint;
}

/** Whether it is a dotted IPv4 address. */
export function isIpv4(text: string): boolean {
  const quads = text.split(".");
  return quads.length === 4 && quads.every((quad) => /^\d{1,3}$/.test(quad) && Number(quad) <= 255);
}

/** Whether it is an IPv6 address: eight groups, or fewer around one `::`. */
export function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => half === "" ? [] : half.split(":"));
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return false;
  return halves.length === 2 ? groups.length < 8 : groups.length === 8;
}

function isCidr(text: string, isAddress: (text: string) => boolean, bits: number): boolean {
  const [address = "", prefix = "", ...rest] = text.split("/");
  return rest.length === 0 && isAddress(address) && /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits;
}

/** Whether it is an IPv4 or IPv6 network with its prefix length. */
export function isNetwork(text: string): boolean {
  return isCidr(text, isIpv4, 32) || isCidr(text, isIpv6, 128);
}

/** The protocols of /etc/protocols that somebody names in a firewall rule. */
const PROTOCOLS = new Set(
  "tcp udp icmp igmp ggp ipencap st egp igp pup hmp xns-idp rdp dccp xtp ddp idpr-cmtp ipv6 ipv6-route ipv6-frag idrp rsvp gre esp ah skip ipv6-icmp icmpv6 ipv6-nonxt ipv6-opts vmtp eigrp ospf ax.25 ipip etherip encap pim ipcomp vrrp l2tp isis sctp fc mobility-header udplite mpls-in-ip hip shim6 wesp rohc"
    .split(" "),
);

function checkPort(text: string): string | undefined {
  for (const port of text.split(",").flatMap((range) => range.split(":"))) {
    const isNumber = /^\d+$/.test(port);
    if (isNumber ? Number(port) > 65535 : !/^[a-z][a-z0-9-]*$/.test(port)) return `invalid port '${port}'`;
  }
  return undefined;
}

function checkFirewallAddress(text: string): string | undefined {
  for (const part of text.split(",")) {
    if (
      /^\+(?:(?:dc|guest|sdn)\/)?[a-z][\w-]*$/i.test(part) || /^(?:(?:dc|guest)\/)?[a-z][\w-]*$/i.test(part)
    ) continue;
    const ends = part.split("-");
    for (const end of ends.length === 2 ? ends : [part]) {
      const complaint = checkAddress(end);
      if (complaint !== undefined) return complaint;
    }
  }
  return undefined;
}

function checkAddress(text: string): string | undefined {
  const [address = "", prefix] = text.split("/");
  const bad = address.split(".").find((quad) => /^\d+$/.test(quad) && Number(quad) > 255);
  if (bad !== undefined) return `invalid IP address: Invalid quad in IP address ${address} - ${bad}`;
  const isRight = prefix === undefined ? isIpv4(address) || isIpv6(address) : isNetwork(text);
  return isRight ? undefined : `invalid IP address: ${text}`;
}

const CHECKS = new Map<string, FormatCheck>([
  ["CIDR", (value) => isNetwork(value) ? undefined : "value does not look like a valid CIDR network"],
  [
    "IPorCIDR",
    (value) =>
      checkAddress(value) === undefined
        ? undefined
        : "value does not look like an IP address or CIDR network",
  ],
  ["dns-name", matching(DNS_NAME, "value does not look like a valid DNS name")],
  ["ipv4", (value) => isIpv4(value) ? undefined : "value does not look like a valid ipv4 address"],
  ["ipv6", (value) => isIpv6(value) ? undefined : "value does not look like a valid ipv6 address"],
  [
    "mac-addr",
    matching(
      /^[a-f0-9][02468ace](?::[a-f0-9]{2}){5}$/i,
      "value does not look like a valid unicast MAC address",
    ),
  ],
  ["pve-bridge-id", matching(/^[\w.-]+$/, "invalid bridge ID")],
  [
    "pve-configid",
    (value) => /^[a-z][a-z0-9_-]+$/i.test(value) ? undefined : `invalid configuration ID '${value}'`,
  ],
  ["pve-fw-addr-spec", checkFirewallAddress],
  ["pve-fw-dport-spec", checkPort],
  [
    "pve-fw-protocol-spec",
    (value) =>
      PROTOCOLS.has(value.toLowerCase()) || (/^\d+$/.test(value) && Number(value) < 256)
        ? undefined
        : `unknown protocol '${value}'`,
  ],
  ["pve-fw-sport-spec", checkPort],
  [
    "pve-ipv4-config",
    (value) =>
      value === "dhcp" || isCidr(value, isIpv4, 32)
        ? undefined
        : "value does not look like a valid ipv4 network configuration",
  ],
  [
    "pve-ipv6-config",
    (value) =>
      value === "dhcp" || value === "auto" || isCidr(value, isIpv6, 128)
        ? undefined
        : "value does not look like a valid ipv6 network configuration",
  ],
  ["pve-node", matching(new RegExp(`^${LABEL}$`), "value does not look like a valid node name")],
  [
    "pve-poolid",
    matching(/^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+){0,2}$/, "value contains invalid characters"),
  ],
  ["pve-roleid", matching(/^[A-Za-z0-9._-]+$/, "value contains invalid characters")],
  [
    "pve-storage-id",
    (value) => STORAGE_ID.test(value) ? undefined : `storage ID '${value}' contains illegal characters`,
  ],
  ["pve-storage-path", matching(/^\/\S*$/, "invalid storage path")],
  ["pve-tag", matching(/^[a-z0-9_][a-z0-9_\-+.]*$/i, "invalid characters in tag")],
  [
    "pve-userid",
    matching(/^[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+$/, "value does not look like a valid user name"),
  ],
  [
    "pve-vmid",
    (value) =>
      Number(value) >= 100 && Number(value) <= 999_999_999
        ? undefined
        : "value does not look like a valid VM ID",
  ],
  ["pve-volume-id", (value) => VOLUME_ID.test(value) ? undefined : `unable to parse volume ID '${value}'`],
  [
    "urlencoded",
    (value) => /^[-%a-zA-Z0-9_.!~*'()]*$/.test(value) ? undefined : `invalid urlencoded string: ${value}`,
  ],
]);

const text = { type: "string", optional: 1 };
const volume = { ...text, format: "pve-volume-id" };

/** The keys of those property strings of which the schema gives only a name. */
const PROPERTY_STRINGS = new Map<string, Properties>([
  ["pve-qm-boot", { legacy: { ...text, default_key: 1, pattern: "[acdn]{1,4}" }, order: text }],
  ["pve-qm-cicustom", { meta: volume, network: volume, user: volume, vendor: volume }],
  ["pve-qm-ipconfig", {
    gw: { ...text, format: "ipv4", requires: "ip" },
    gw6: { ...text, format: "ipv6", requires: "ip6" },
    ip: { ...text, format: "pve-ipv4-config" },
    ip6: { ...text, format: "pve-ipv6-config" },
  }],
  ["pve-qm-smbios1", {
    base64: { type: "boolean", optional: 1 },
    family: text,
    manufacturer: text,
    product: text,
    serial: text,
    sku: text,
    uuid: { ...text, pattern: "[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}" },
    version: text,
  }],
]);

/** The keys that a named format stands for; undefined when it is no property string, or the double does not know it. */
export function keysOfFormat(name: string): Properties | undefined {
  return PROPERTY_STRINGS.get(name);
}

/** Separates the elements of a list parameter, as the server does. */
export function splitList(value: string): string[] {
  return value.split(/[,;\0\s]+/).filter((part) => part !== "");
}

/**
 * What a value of a named format is told, or undefined when it is right. A format that is not known here passes:
 * README.md says which of them matter.
 */
export function checkFormat(name: string, value: string): string | undefined {
  const base = name.endsWith("-list") && !CHECKS.has(name) ? name.slice(0, -"-list".length) : undefined;
  if (base === undefined) return CHECKS.get(name)?.(value);
  for (const part of splitList(value)) {
    const complaint = CHECKS.get(base)?.(part);
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}
