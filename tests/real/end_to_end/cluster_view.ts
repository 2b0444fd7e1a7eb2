/** One permit as the API server has it, and how that differs from what should be. */
import assert from "node:assert/strict";
import type { Cluster } from "../../cluster/harness.ts";
import type { Expected, ExpectedWorkspace } from "./expected.ts";
import type { ClusterHistory } from "./history.ts";
import { rulesFor } from "./policies.ts";
import { hasEnded, isReady, type Kind, KINDS, type KubeObject, MARK, markOf } from "./objects.ts";

/** A permit's objects by kind; volumes are those that its claims are or were bound to. */
export type PermitView = { namespace: string | null } & Record<Kind, KubeObject[]>;

/** A permit as a recorded history has it now: for waiting, a few milliseconds late. */
export function viewOf(history: ClusterHistory, permitId: string): PermitView {
  const all = (kind: Kind): KubeObject[] => history.list(kind);
  return gather(permitId, Object.fromEntries(kinds().map((kind) => [kind, all(kind)])));
}

/** A permit as the API server says it is now: for judging. */
export async function readView(cluster: Cluster, permitId: string): Promise<PermitView> {
  const lists = await Promise.all(
    kinds().map(async (kind): Promise<[Kind, KubeObject[]]> => {
      const response = await cluster.fetch(KINDS[kind]);
      const body = await response.json();
      assert.ok(response.ok, `list ${kind}: ${body.message}`);
      return [kind, body.items];
    }),
  );
  return gather(permitId, Object.fromEntries(lists));
}

function kinds(): Kind[] {
  return Object.keys(KINDS) as Kind[]; // keys of KINDS are its kinds
}

function gather(permitId: string, lists: Partial<Record<Kind, KubeObject[]>>): PermitView {
  const mine = (lists.namespaces ?? []).filter((object) => markOf(object, MARK.permitId) === permitId);
  assert.ok(mine.length <= 1, `${permitId} has several namespaces`);
  const namespace = mine[0]?.metadata.name ?? null;
  const own = (kind: Kind): KubeObject[] =>
    (lists[kind] ?? []).filter((object) => namespace !== null && object.metadata.namespace === namespace);
  const volumes = (lists.persistentvolumes ?? []).filter((volume) =>
    markOf(volume, MARK.permitId) === permitId ||
    (namespace !== null && volume.spec.claimRef?.namespace === namespace)
  );
  const view = Object.fromEntries(kinds().map((kind) => [kind, own(kind)]));
  // every kind is in KINDS
  return { ...view as Record<Kind, KubeObject[]>, namespace, namespaces: mine, persistentvolumes: volumes };
}

/** "research/j.virtanen": kind and person of a workspace's object. */
export function nameOf(object: KubeObject): string {
  return `${markOf(object, MARK.kind)}/${markOf(object, MARK.username)}`;
}

/** The pods of workspaces that have not ended. */
export function workspacePods(view: PermitView): KubeObject[] {
  return view.pods.filter((pod) => markOf(pod, MARK.workspace) !== "" && !hasEnded(pod));
}

/** The one pod of a workspace. Fails when there is none or more. */
export function podOf(view: PermitView, { kind, username }: ExpectedWorkspace): KubeObject {
  const found = workspacePods(view).filter((pod) => nameOf(pod) === `${kind}/${username}`);
  const [pod] = found;
  assert.ok(pod !== undefined && found.length === 1, `${kind}/${username} has ${found.length} pods`);
  return pod;
}

/** What differs between a permit's objects and what should be; empty: nothing. */
export function differences(view: PermitView, expected: Expected): string[] {
  const wanted = new Map(expected.workspaces.map((w) => [`${w.kind}/${w.username}`, w]));
  const texts = compare("StatefulSets", view.statefulsets.map(nameOf), [...wanted.keys()]);
  for (const object of view.statefulsets) {
    const replicas = wanted.get(nameOf(object))?.power === "running" ? 1 : 0;
    if (object.spec.replicas !== replicas) {
      texts.push(`${nameOf(object)} has replicas ${object.spec.replicas}`);
    }
  }
  const running = expected.workspaces.filter(({ power }) => power === "running");
  texts.push(...compare("pods", view.pods.map(nameOf), running.map((w) => `${w.kind}/${w.username}`)));
  texts.push(...compare("Jobs", view.jobs.map(({ metadata }) => metadata.name), []));
  for (const pod of view.pods) if (!isReady(pod)) texts.push(`pod ${pod.metadata.name} is not ready`);
  texts.push(...strayParts(view, running), ...shutPods(view), ...volumeDifferences(view, expected.volumes));
  return texts;
}

/** Each workspace has one Service, one Secret and one policy; running ones must, removed ones must not. */
function strayParts(view: PermitView, running: ExpectedWorkspace[]): string[] {
  const standing = view.statefulsets.map((object) => markOf(object, MARK.workspace));
  const needed = running.length;
  return (["services", "secrets", "networkpolicies"] as const).flatMap((kind) => {
    const owners = view[kind].map((object) => markOf(object, MARK.workspace)).filter((name) => name !== "");
    const stray = owners.filter((name) => !standing.includes(name));
    const texts = stray.map((name) => `${kind} of ${name} without a workspace`);
    if (new Set(owners).size !== owners.length) texts.push(`${kind}: several for one workspace`);
    if (owners.length < needed) texts.push(`${kind}: ${owners.length} for ${needed} running workspaces`);
    return texts;
  });
}

/** A running workspace is of use only once somebody is let in. */
function shutPods({ pods, networkpolicies }: PermitView): string[] {
  return pods.flatMap((pod) => {
    const rules = rulesFor(pod, networkpolicies, "Ingress") ?? [];
    return rules.length > 0 ? [] : [`nobody may reach ${pod.metadata.name} yet`];
  });
}

function volumeDifferences(view: PermitView, volumes: Expected["volumes"]): string[] {
  if (volumes === undefined) return [];
  const claims = view.persistentvolumeclaims;
  const texts = compare(
    "volumes",
    claims.map((claim) => markOf(claim, MARK.volumeKey)),
    Object.keys(volumes),
  );
  for (const claim of claims) {
    const key = markOf(claim, MARK.volumeKey);
    const taint = markOf(claim, MARK.tainted) === "true" ? "tainted" : "clean";
    if (taint !== volumes[key]) texts.push(`${key} is ${taint}`);
    if (claim.status?.phase !== "Bound") texts.push(`${key} is ${claim.status?.phase}`);
    const volume = view.persistentvolumes.find(({ metadata }) => metadata.name === claim.spec.volumeName);
    const policy = volume?.spec.persistentVolumeReclaimPolicy;
    if (policy !== "Retain") texts.push(`${key} would be reclaimed by ${policy}`);
  }
  if (view.persistentvolumes.length !== claims.length) {
    texts.push(`${view.persistentvolumes.length} PersistentVolumes for ${claims.length} claims`);
  }
  return texts;
}

function compare(what: string, found: string[], wanted: string[]): string[] {
  const [one, other] = [found.toSorted(), wanted.toSorted()];
  return one.join() === other.join() ? [] : [`${what}: ${one.join(", ")} instead of ${other.join(", ")}`];
}
