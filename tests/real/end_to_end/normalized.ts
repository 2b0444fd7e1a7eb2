/** A permit's objects without what differs from one permit, and one run, to the next: for comparing end states. */
import type { PermitView } from "./cluster_view.ts";
import type { Change } from "./history.ts";
import { type Kind, KINDS, type KubeObject, MARK, markOf } from "./objects.ts";

/** Objects that Kubernetes makes in every namespace by itself. */
const NOT_OURS = /^(default|kube-root-ca\.crt)$/;
/** What the API server and controllers fill in. */
const FILLED_IN = [
  "clusterIP",
  "clusterIPs",
  "nodePort",
  "healthCheckNodePort",
  "nodeName",
  "resourceVersion",
];
/** Labels and annotations that carry a version, an account's fingerprint, a time, or another party's word. */
const PASSING =
  /-after$|identity-hash$|controller-revision-hash$|^spe\.wps\/canaries$|^cni\.projectcalico\.org\/|^(pv|volume)\.kubernetes\.io\//;
/** What a phase says of an object beyond its spec. */
const STATUS: Partial<Record<Kind, string>> = { persistentvolumeclaims: "phase", persistentvolumes: "phase" };

/** By "kind name", in order. */
export type Normalized = Record<string, unknown>;

/** What a permit consists of. */
export function normalize(permitId: string, view: PermitView): Normalized {
  const kinds = Object.keys(KINDS) as Kind[]; // keys of KINDS are its kinds
  const entries = kinds.flatMap((kind) =>
    view[kind].filter(({ metadata }) => kind === "namespaces" || !NOT_OURS.test(metadata.name))
      .map((object) => entryOf(permitId, view.namespace ?? "", kind, object))
  );
  return Object.fromEntries(entries.sort(([one], [other]) => one < other ? -1 : 1));
}

function entryOf(
  permitId: string,
  namespace: string,
  kind: Kind,
  object: KubeObject,
): [string, unknown] {
  const { metadata: { name, labels = {}, annotations = {}, deletionTimestamp }, spec } = object;
  const status = STATUS[kind];
  const content = {
    marks: kept({ ...labels, ...annotations }),
    leaving: deletionTimestamp !== undefined,
    spec,
    ...(kind === "secrets" ? { keys: Object.keys(object["data"] ?? {}).sort() } : {}),
    ...(kind === "rolebindings" ? { role: object["roleRef"], subjects: object["subjects"] } : {}),
    ...(status === undefined ? {} : { status: object.status?.[status] }),
  };
  const text = JSON.stringify(content, (key, value) => {
    if (FILLED_IN.includes(key)) return undefined;
    return value !== null && typeof value === "object" && !Array.isArray(value) ? kept(value) : value;
  });
  return [
    plain(permitId, namespace, `${kind} ${nameFor(kind, object, name)}`),
    JSON.parse(plain(permitId, namespace, text)),
  ];
}

/** A volume's own name is made of its claim's uid. */
function nameFor(kind: Kind, object: KubeObject, name: string): string {
  return kind === "persistentvolumes" ? `for ${object.spec.claimRef?.name}` : name;
}

/** The same object with its keys in order, and without passing ones. */
function kept(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object).filter(([name]) => !PASSING.test(name)).sort(([a], [b]) => a < b ? -1 : 1),
  );
}

function plain(permitId: string, namespace: string, text: string): string {
  return text.replaceAll(permitId, "PERMIT").replaceAll(namespace, "NAMESPACE")
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UUID").replace(/\b3\d{4}\b/g, "30000");
}

/** How often each object of a permit was created over a history, volumes by their claims; policies and pods apart. */
export function creations(changes: Change[], permitId: string): Record<string, number> {
  const counts: Record<string, number> = {};
  let namespace = "";
  for (const { kind, object, before } of changes) {
    if (object === null || before !== null) continue;
    if (kind === "namespaces" && markOf(object, MARK.permitId) === permitId) namespace = object.metadata.name;
    const home = object.metadata.namespace ?? object.spec?.claimRef?.namespace ?? object.metadata.name;
    if (namespace === "" || home !== namespace || NOT_OURS.test(object.metadata.name)) continue;
    const name = plain(permitId, namespace, `${kind} ${nameFor(kind, object, object.metadata.name)}`);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
