/** The firewall macros that the double knows; the server has some eighty. */

/** What a macro matches: protocol and port or range, or a kind of ICMP. */
export interface MacroMatch {
  protocol: "tcp" | "udp" | "icmp";
  port?: string;
}

/** By name. */
export const MACROS: ReadonlyMap<string, readonly MacroMatch[]> = new Map([
  ["DNS", [{ protocol: "udp", port: "53" }, { protocol: "tcp", port: "53" }]],
  ["HTTP", [{ protocol: "tcp", port: "80" }]],
  ["HTTPS", [{ protocol: "tcp", port: "443" }]],
  ["NTP", [{ protocol: "udp", port: "123" }]],
  ["Ping", [{ protocol: "icmp" }]],
  ["RDP", [{ protocol: "tcp", port: "3389" }]],
  ["SSH", [{ protocol: "tcp", port: "22" }]],
  ["Squid", [{ protocol: "tcp", port: "3128" }]],
  ["VNC", [{ protocol: "tcp", port: "5900:5999" }]],
  ["Web", [{ protocol: "tcp", port: "80" }, { protocol: "tcp", port: "443" }]],
]);
