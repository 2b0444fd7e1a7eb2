/** Reads everything of one permit from the API server, in waves of parallel requests, never from a cache. */
import { Fault } from "../../../core/fault.ts";
import { permitName } from "../../../core/names.ts";
import type { Client } from "../client.ts";
import { LABEL } from "../marks.ts";
import type { MetadataOnly, Resource, Stored } from "../wire.ts";

/** What the API server holds for one permit at one moment: the input of every mapping beside this file. */
export interface Snapshot {
  permitId: string;
  namespace: Stored<"namespaces"> | null;
  quotas: Stored<"resourcequotas">[];
  limits: Stored<"limitranges">[];
  accounts: Stored<"serviceaccounts">[];
  bindings: Stored<"rolebindings">[];
  policies: Stored<"networkpolicies">[];
  claims: Stored<"persistentvolumeclaims">[];
  /** Those marked for the permit, and those that its claims name. */
  volumes: Stored<"persistentvolumes">[];
  /** Metadata only: a password never enters an observation. */
  secrets: MetadataOnly[];
  services: Stored<"services">[];
  statefulSets: Stored<"statefulsets">[];
  pods: Stored<"pods">[];
  jobs: Stored<"jobs">[];
  /** Nodes of pods that are not ready, by name; null: such a node does not exist (any more). */
  nodes: ReadonlyMap<string, Stored<"nodes"> | null>;
  /** Newest warning for an object's uid, e.g. "FailedMount: …"; read only while something is not well. */
  warnings: ReadonlyMap<string, string>;
  /** Names of the storage classes; null: not asked for, because no claim has been pending for long. */
  storageClasses: ReadonlySet<string> | null;
  atMs: number;
}

/** What lies within a namespace. */
type Inside = Pick<
  Snapshot,
  | "quotas"
  | "limits"
  | "accounts"
  | "bindings"
  | "policies"
  | "claims"
  | "secrets"
  | "services"
  | "statefulSets"
  | "pods"
  | "jobs"
>;

/** Where a namespace is absent, because the API server ends one only after everything within it. */
const NOTHING_INSIDE: Inside = {
  quotas: [],
  limits: [],
  accounts: [],
  bindings: [],
  policies: [],
  claims: [],
  secrets: [],
  services: [],
  statefulSets: [],
  pods: [],
  jobs: [],
};

/** Of which permit, and since when. */
export interface SnapshotWish {
  permitId: string;
  /** When reading begins, epoch milliseconds. */
  atMs: number;
  /**
   * Whether the namespace stood when it was last heard of. Then everything is read at once; else what is within is
   * asked for only where the namespace is found: a new permit costs two requests instead of thirteen.
   */
  stood: boolean;
}

/** Reads the snapshot. Faults as {@link Client} throws them. */
export async function readSnapshot(
  client: Client,
  wish: SnapshotWish,
  signal: AbortSignal,
): Promise<Snapshot> {
  const siblings = new AbortController();
  try {
    return await readAll(client, wish, AbortSignal.any([signal, siblings.signal]));
  } finally {
    siblings.abort(); // after a failure the other requests have no reader
  }
}

async function readAll(
  client: Client,
  { permitId, atMs, stood }: SnapshotWish,
  signal: AbortSignal,
): Promise<Snapshot> {
  const name = permitName(permitId);
  const reading = client.get("namespaces", { name }, signal);
  const within = stood
    ? readInside(client, name, signal)
    : reading.then((found) => found === null ? NOTHING_INSIDE : readInside(client, name, signal));
  const [namespace, marked, inside] = await Promise.all([
    reading,
    client.list("persistentvolumes", { labels: `${LABEL.permit}=${name}` }, signal),
    within,
  ]);
  const isStuck = (objects: Stored<"pods">[] | Stored<"persistentvolumeclaims">[]): boolean =>
    objects.some((object) => isPendingLong(object, atMs));
  const [unmarked, nodes, warnings, storageClasses] = await Promise.all([
    readUnmarkedVolumes(client, inside.claims, marked, signal),
    readNodes(client, inside.pods, signal),
    isStuck(inside.pods) || isStuck(inside.claims)
      ? readWarnings(client, name, signal)
      : new Map<string, string>(),
    isStuck(inside.claims) ? readClasses(client, signal) : null,
  ]);
  return {
    permitId,
    namespace,
    ...inside,
    volumes: [...marked, ...unmarked],
    nodes,
    warnings,
    storageClasses,
    atMs,
  };
}

async function readInside(client: Client, namespace: string, signal: AbortSignal): Promise<Inside> {
  const list = <R extends Resource>(resource: R): Promise<Stored<R>[]> =>
    client.list(resource, { namespace }, signal);
  const computes = list("statefulsets");
  const [quotas, limits, accounts, bindings, policies, claims, secrets, services, statefulSets, pods, jobs] =
    await Promise.all([
      list("resourcequotas"),
      list("limitranges"),
      list("serviceaccounts"),
      list("rolebindings"),
      list("networkpolicies"),
      list("persistentvolumeclaims"),
      listSecrets(client, namespace, signal),
      list("services"),
      computes,
      // What a controller had acted on by then shows in a later list of pods, not in an earlier one.
      computes.then(() => list("pods")),
      list("jobs"),
    ]);
  return {
    quotas,
    limits,
    accounts,
    bindings,
    policies,
    claims,
    secrets,
    services,
    statefulSets,
    pods,
    jobs,
  };
}

/** Secrets are reached only through the namespace's own RoleBinding; while that is missing there are none of ours. */
async function listSecrets(client: Client, namespace: string, signal: AbortSignal): Promise<MetadataOnly[]> {
  try {
    return (await client.listMetadata("secrets", { namespace }, signal)).items;
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.reason === "denied" && thrown.disposition === "stalled") return [];
    throw thrown;
  }
}

/** A volume gets its marks when it is retained; until then only its claim leads to it. */
async function readUnmarkedVolumes(
  client: Client,
  claims: Stored<"persistentvolumeclaims">[],
  marked: Stored<"persistentvolumes">[],
  signal: AbortSignal,
): Promise<Stored<"persistentvolumes">[]> {
  const known = new Set(marked.map(({ metadata }) => metadata.name));
  const names = claims.flatMap(({ spec }) =>
    spec?.volumeName === undefined || known.has(spec.volumeName) ? [] : [spec.volumeName]
  );
  const found = await Promise.all(names.map((name) => client.get("persistentvolumes", { name }, signal)));
  return found.filter((volume) => volume !== null);
}

/** Only a node whose pod is not ready can be unreachable: its controller takes readiness away first. */
async function readNodes(
  client: Client,
  pods: Stored<"pods">[],
  signal: AbortSignal,
): Promise<Map<string, Stored<"nodes"> | null>> {
  const names = new Set(pods.filter((pod) => !isReady(pod)).flatMap(({ spec }) => spec?.nodeName ?? []));
  const found = await Promise.all(
    [...names].map(async (name) => [name, await client.get("nodes", { name }, signal)] as const),
  );
  return new Map(found);
}

/** Whether a pod's own Ready condition holds. */
export function isReady({ status }: Stored<"pods">): boolean {
  return status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}

/** What is younger has no trouble yet, it is only new; each look saves a request. */
const NEW_MS = 2_000;

function isPendingLong(
  { metadata, status }: Stored<"pods"> | Stored<"persistentvolumeclaims">,
  nowMs: number,
): boolean {
  const ageMs = nowMs - Date.parse(metadata.creationTimestamp ?? "");
  // A clock that is ahead of ours makes nothing new for ever.
  return status?.phase === "Pending" && !(ageMs >= 0 && ageMs < NEW_MS);
}

/** A claim of a class that does not exist is pending for ever. A hint like the warnings. */
async function readClasses(client: Client, signal: AbortSignal): Promise<ReadonlySet<string> | null> {
  const classes = await orNull(client.listMetadata("storageclasses", {}, signal));
  return classes === null ? null : new Set(classes.items.map(({ metadata }) => metadata.name));
}

async function orNull<T>(hint: Promise<T>): Promise<T | null> {
  try {
    return await hint;
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.disposition !== "cancelled") return null;
    throw thrown;
  }
}

/** Why a claim is not provisioned or a mount fails stands in events alone. They are a hint: nothing depends on them. */
async function readWarnings(
  client: Client,
  namespace: string,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const events = await orNull(
    client.list("events", { namespace, fields: "type=Warning" }, signal),
  ) ?? [];
  const when = (event: Stored<"events">): string => event.lastTimestamp ?? event.eventTime ?? "";
  const newestLast = events.sort((a, b) => when(a) < when(b) ? -1 : when(a) > when(b) ? 1 : 0);
  return new Map(
    newestLast.flatMap(({ involvedObject, reason, message }) =>
      involvedObject.uid === undefined ? [] : [[involvedObject.uid, `${reason}: ${message}`] as const]
    ),
  );
}
