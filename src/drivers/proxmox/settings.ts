/** The configuration of the way to Proxmox VE: where it is, who it must be, who WPS is there, and how long anything may take. */
import { z } from "zod";
import { count, duration, readableFile, section, text, url } from "../../config/fields.ts";

/** `drivers.proxmox`, as far as the connection needs it; durations in milliseconds. */
export interface ProxmoxConnection {
  /** Scheme, host and port alone, e.g. "https://pve1.site:8006". */
  url: string;
  /** Holds the API token, user@realm!id=secret; read anew for each request. */
  tokenFile: string;
  /** Authorities, one of which has signed the server's certificate itself; null: `fingerprint` says. */
  caFile: string | null;
  /** SHA-256 of the server's certificate, 64 lower-case hexadecimal digits; null: `caFile` says. */
  fingerprint: string | null;
  /** For one answer. */
  requestTimeoutMs: number;
  /** For a task that copies no disk. */
  taskDeadlineMs: number;
  /** For a task that may copy a disk: clone, move, import, upload. */
  copyDeadlineMs: number;
  /** Requests under way at once, what only takes access away not counted. */
  parallelRequests: number;
}

/** `drivers.proxmox`: exactly one of `caFile` and `fingerprint`, unless it is plain HTTP on this machine's loopback. */
export const proxmoxConnection: z.ZodType<ProxmoxConnection> = section({
  url: url(["https:", "http:"], "https://pve1.site:8006"),
  tokenFile: readableFile(),
  caFile: readableFile().optional(),
  fingerprint: text(
    /^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$/,
    "the SHA-256 fingerprint of the server's certificate, such as 9F:86:D0:…",
  ).optional(),
  // pveproxy gives the daemon behind it, and other nodes, 30 s, and then says itself what is wrong.
  requestTimeout: duration(500, 300_000).prefault("35s"),
  taskDeadline: duration(1_000, 3_600_000).prefault("10m"),
  copyDeadline: duration(1_000, 7 * 86_400_000).prefault("2h"),
  // pvedaemon works with three processes that do one call at a time: more would queue there, where no cut goes ahead.
  parallelRequests: count(1, 64).default(8),
}).transform((given, context): ProxmoxConnection => {
  const refuse = (message: string, ...path: string[]): void => {
    context.addIssue({ code: "custom", path, message });
  };
  const { origin, protocol, hostname, pathname, search, username } = new URL(given.url);
  if (pathname !== "/" || search !== "" || username !== "") {
    refuse("expected scheme, host and port alone, such as https://pve1.site:8006", "url");
  }
  const isPinned = given.caFile !== undefined || given.fingerprint !== undefined;
  if (protocol === "http:" && !isLoopback(hostname)) {
    refuse(
      "expected https: the token would go there in plain text, and whoever is on the way could use it",
      "url",
    );
  } else if (protocol === "http:" && isPinned) {
    refuse("expected neither caFile nor fingerprint: plain HTTP shows no certificate");
  } else if (protocol === "https:" && (given.caFile === undefined) === (given.fingerprint === undefined)) {
    refuse(
      "expected exactly one of caFile: PATH and fingerprint: SHA-256, so that the server can prove who it is",
    );
  }
  return {
    url: origin,
    tokenFile: given.tokenFile,
    caFile: given.caFile ?? null,
    fingerprint: given.fingerprint?.replaceAll(":", "").toLowerCase() ?? null,
    requestTimeoutMs: given.requestTimeout,
    taskDeadlineMs: given.taskDeadline,
    copyDeadlineMs: given.copyDeadline,
    parallelRequests: given.parallelRequests,
  };
});

/** Whether nobody but this machine is on the way. `hostname`: as in a URL, IPv6 in brackets. */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}
