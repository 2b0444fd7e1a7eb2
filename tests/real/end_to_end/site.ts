/** The site of these tests: its configuration file, and the people of its permits. */
import { type Cluster, NET, STORAGE } from "../../cluster/harness.ts";
import type { SiteRules } from "./invariants.ts";

/** Where things of the site are. */
export interface SitePlaces {
  /** Namespace of the gateway: its pods with label app=gateway. */
  namespace: string;
  proxyAddress: string;
  /** `address:port` of things that are alive and that nobody isolated may reach. */
  canaries: string[];
  amqpUrl: string;
  /** Absent: the configuration's own. */
  heartbeat?: string | undefined;
  /** Path of the service's credentials. */
  kubeconfig: string;
}

/** Port of the proxy. */
export const PROXY_PORT = 3128;

/** Sizes of the test cluster's folders; small, because they are counted against nothing. */
const SIZES = ["home", "project", "uploads", "raw", "prepared", "outputs", "staff-home"]
  .map((volume) => `${volume}: 64Mi`).join(", ");
const KINDS = ["research", "preprocessing", "preparation-review", "setup-review", "airlock", "tools"];

/** The configuration without what {@link ServiceProcess} writes itself. */
export function siteYaml(
  cluster: Cluster,
  { namespace, proxyAddress, canaries, amqpUrl, heartbeat = "60s", kubeconfig }: SitePlaces,
): string {
  const images = KINDS.map((kind) => `${kind}: "${cluster.images.box}"`).join(", ");
  return `broker: { url: "${amqpUrl}", heartbeat: ${heartbeat}, reconnectMax: 500ms }
drivers:
  kubernetes:
    kubeconfig: ${kubeconfig}
    podGraceSeconds: 1
    storageClasses: { default: ${STORAGE.standard} }
network:
  gateway:
    namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: ${namespace} } }
    podSelector: { matchLabels: { app: gateway } }
  proxy: { url: "http://${proxyAddress}:${PROXY_PORT}", cidr: ${proxyAddress}/32 }
  canaries: ${JSON.stringify(canaries)}
accounts: { uidRange: 30000-39999 }
images: { ${images} }
tiers: { standard: { cpu: 100m, memory: 64Mi, ${SIZES} } }
runner: { parallelPermits: 16 }
`;
}

/** What that configuration allows, in the judge's words. */
export function siteRules(
  { namespace, proxyAddress }: Pick<SitePlaces, "namespace" | "proxyAddress">,
): SiteRules {
  return {
    gateway: {
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
      podSelector: { matchLabels: { app: "gateway" } },
    },
    proxy: { cidr: `${proxyAddress}/32`, port: PROXY_PORT },
    holderCidrs: Object.fromEntries(HOLDERS.map(({ id, allowedCidrs }) => [id, allowedCidrs])),
  };
}

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

/** Holder a uploads from this machine, holder b from elsewhere; b's account is named unlike the holder. */
export const HOLDERS = [
  { id: "hospital-a", username: "hospital-a", allowedCidrs: [`${NET.host}/32`], sshPublicKeys: [`${KEY} a`] },
  { id: "hospital-b", username: "h.bauer", allowedCidrs: ["203.0.113.0/24"], sshPublicKeys: [`${KEY} b`] },
];

/** Two researchers who come with numbers of their own. */
export const RESEARCHERS = [
  { username: "j.virtanen", uid: 21001, gid: 21001 },
  { username: "m.laine", uid: 21002, gid: 21050 },
];

/** Two holders, two researchers; one person reviews both. */
export const PEOPLE = {
  dataHolders: HOLDERS,
  preprocessor: { username: "m.keller" },
  reviewer: { username: "a.rossi" },
  setupReviewer: { username: "a.rossi" },
  researchers: RESEARCHERS,
};

/** One of each: enough where many permits live at once. */
export const FEW_PEOPLE = {
  ...PEOPLE,
  dataHolders: HOLDERS.slice(0, 1),
  researchers: RESEARCHERS.slice(0, 1),
};
