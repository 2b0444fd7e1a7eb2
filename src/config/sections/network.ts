/** Who may reach a workspace and what it may reach (DESIGN 4, 8). */
import { isIP } from "node:net";
import { z } from "zod";
import { contains, parseCidr } from "../../core/cidr.ts";
import { cidr, type HostPort, parseHostPort, section, text, url, word } from "../fields.ts";

/** The isolation gate must be refused by each; more only slow the start of a workspace. */
const CANARIES_MAX = 16;
const SELECTOR_MAX = 32;

/** A Kubernetes LabelSelector. */
export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: {
    key: string;
    operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    values?: string[];
  }[];
}

/** Where the gateway connects from: pods, or addresses outside the cluster. */
export type Gateway =
  | { by: "pods"; namespaceSelector: LabelSelector; podSelector: LabelSelector }
  | { by: "address"; cidr: string };

/** The allow-listing proxy. */
export interface Proxy {
  /** As workspaces get it in HTTP_PROXY, without a path. */
  url: string;
  /** The proxy's addresses; egress goes only there. */
  cidr: string;
  /** The host in the URL; a name becomes a hostAliases entry. */
  host: string;
  port: number;
  /** The single address of `cidr`, or null where it holds several. */
  address: string | null;
}

/** `network:`. */
export interface NetworkSettings {
  gateway: Gateway | null;
  proxy: Proxy | null;
  canaries: HostPort[];
}

// Kubernetes: optional DNS prefix and "/", then at most 63 characters; a value may be empty.
const LABEL_KEY = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;

const labelKey = text(LABEL_KEY, "a Kubernetes label key such as app.kubernetes.io/name");
const labelValue = text(LABEL_VALUE, "a Kubernetes label value (quote true, false and numbers)");

const selector = section({
  matchLabels: z.record(labelKey, labelValue, { error: "expected a mapping of labels" }).optional(),
  matchExpressions: z.array(section({
    key: labelKey,
    operator: word("In", "NotIn", "Exists", "DoesNotExist"),
    values: z.array(labelValue).max(SELECTOR_MAX).optional(),
  })).max(SELECTOR_MAX).optional(),
}).refine(
  ({ matchLabels, matchExpressions }) =>
    Object.keys(matchLabels ?? {}).length + (matchExpressions ?? []).length > 0,
  {
    error:
      "an empty selector means everyone; expected e.g. { matchLabels: { app.kubernetes.io/name: guacamole } }",
  },
);

const gateway = section({
  namespaceSelector: selector.optional(),
  podSelector: selector.optional(),
  cidr: cidr().optional(),
}).transform((given, context): Gateway => {
  const { namespaceSelector, podSelector } = given;
  const selects = namespaceSelector !== undefined || podSelector !== undefined;
  if (given.cidr !== undefined && !selects) return { by: "address", cidr: given.cidr };
  if (given.cidr === undefined && namespaceSelector !== undefined && podSelector !== undefined) {
    return { by: "pods", namespaceSelector, podSelector };
  }
  const message =
    "expected either namespaceSelector and podSelector (pods of the gateway), or cidr (its address)";
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

const proxy = section({
  url: url(["http:", "https:"], "http://proxy.site:3128"),
  cidr: cidr(),
}).transform((given, context): Proxy => {
  const parsed = new URL(given.url);
  const refuse = (key: string, message: string): void => {
    context.addIssue({ code: "custom", path: [key], message });
  };
  if (parsed.username !== "" || parsed.password !== "") {
    refuse("url", "expected a URL without user and password: every workspace would see them");
  }
  if (parsed.pathname !== "/" || parsed.search !== "") refuse("url", "expected a URL without path or query");
  const host = parsed.hostname.replace(/^\[|\]$/g, "");
  const address = singleAddress(given.cidr);
  const family = isIP(host);
  if (family === 0 && address === null) {
    const message =
      "the URL has a name, which workspaces cannot resolve; expected the one address it stands for, " +
      "such as 10.0.0.5/32";
    refuse("cidr", message);
  }
  if (family !== 0 && !holds(given.cidr, `${host}/${family === 4 ? 32 : 128}`)) {
    refuse("cidr", "expected a range that holds the address in the proxy's URL");
  }
  const port = parsed.port === "" ? (parsed.protocol === "https:" ? 443 : 80) : Number(parsed.port);
  return { url: `${parsed.protocol}//${parsed.hostname}:${port}`, cidr: given.cidr, host, port, address };
});

function singleAddress(range: string): string | null {
  const [address = "", bits] = range.split("/");
  return bits === (isIP(address) === 4 ? "32" : "128") ? address : null;
}

function holds(outer: string, inner: string): boolean {
  const [a, b] = [parseCidr(outer), parseCidr(inner)];
  return !("error" in a) && !("error" in b) && contains(a, b);
}

const CANARY = "expected an address or name, and a port, such as 192.0.2.10:443";

const canary = z.string({ error: CANARY }).transform((given, context): HostPort => {
  const parsed = parseHostPort(given, true);
  if (parsed !== null && parsed.port > 0) return parsed;
  context.addIssue({ code: "custom", message: CANARY });
  return z.NEVER;
});

/** `network:`. A ClusterIP cannot be told from other addresses here; the driver's start check refuses it. */
export const networkSection: z.ZodType<NetworkSettings> = section({
  gateway: gateway.optional(),
  proxy: proxy.optional(),
  canaries: z.array(canary, { error: "expected a list of canaries" }).max(CANARIES_MAX, {
    error: `expected at most ${CANARIES_MAX} canaries`,
  }).default([]),
}).prefault({}).transform((given) => ({
  gateway: given.gateway ?? null,
  proxy: given.proxy ?? null,
  canaries: given.canaries,
}));
