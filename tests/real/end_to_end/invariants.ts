/**
 * DESIGN 5 judged at each instant of a recorded history, from the objects alone: who could reach what beside which
 * data. Pure; knows volumes and postures as DESIGN 4 words them, and nothing of WPS's code.
 */
import { isDeepStrictEqual } from "node:util";
import type { Change } from "./history.ts";
import { hasEnded, type KubeObject, MARK, markOf, type Peer } from "./objects.ts";
import { onlyPorts, rulesFor } from "./policies.ts";

/** What the site lets in and out. */
export interface SiteRules {
  gateway: Peer;
  proxy: { cidr: string; port: number };
  /** By holder id: where they upload from. */
  holderCidrs: Record<string, string[]>;
}

/** A rule broken at an instant. */
export interface Violation {
  permitId: string;
  version: number;
  atMs: number;
  text: string;
}

/** What a history showed of some permits. */
export interface Judgement {
  violations: Violation[];
  /** Writes after which a permit's pods, policies and claims were judged. */
  instants: number;
  /** Instants at which a pod had sensitive data: without any, nothing was proven. */
  withData: number;
  /** Instants at which a pod had a way out. */
  withWayOut: number;
}

/** DESIGN 4: sensitive whatever happened to them. */
const ALWAYS_SENSITIVE = ["uploads", "raw", "prepared", "outputs", "staff-home"];
const AIRLOCK_PORT = 2222;
/** What a desktop offers. */
const DESKTOP_PORTS = [3389, 5901];

interface Space {
  permitId: string;
  pods: Map<string, KubeObject>;
  policies: Map<string, KubeObject>;
  claims: Map<string, KubeObject>;
  jobs: Map<string, KubeObject>;
  /** Pods that once had a way out: an open connection lives as long as its pod. */
  exposed: Set<string>;
  /** Volume keys whose consolidation was seen to succeed. */
  consolidated: Set<string>;
}

/**
 * Replays a history and judges the namespaces of these permits after each write. `deletedAtMs`: when a permit's
 * deletion was published; from then on its volumes may go.
 */
export function judgeHistory(
  changes: Change[],
  permits: ReadonlyMap<string, { deletedAtMs: number | null }>,
  site: SiteRules,
): Judgement {
  const judgement: Judgement = { violations: [], instants: 0, withData: 0, withWayOut: 0 };
  const spaces = new Map<string, Space>();
  for (const change of changes) {
    const { kind, object, before, uid, version, atMs } = change;
    const subject = object ?? before;
    if (subject === null) continue;
    if (kind === "namespaces") {
      const permitId = markOf(subject, MARK.permitId);
      if (permits.has(permitId) && !spaces.has(subject.metadata.name)) {
        spaces.set(subject.metadata.name, newSpace(permitId));
      }
      continue;
    }
    const space = spaces.get(subject.metadata.namespace ?? "");
    if (space === undefined) continue;
    const deletedAtMs = permits.get(space.permitId)?.deletedAtMs ?? null;
    const found: string[] = [];
    if (kind === "persistentvolumeclaims" && (deletedAtMs === null || atMs < deletedAtMs)) {
      found.push(...judgeLoss(change, space));
    }
    const map = mapOf(space, kind);
    if (map === null) continue;
    if (object === null) map.delete(uid);
    else map.set(uid, object);
    if (kind === "jobs" && object?.status?.succeeded >= 1) {
      space.consolidated.add(markOf(subject, MARK.volumeKey));
    }
    const instant = judgeInstant(space, site);
    found.push(...instant.texts);
    judgement.instants++;
    if (instant.hasData) judgement.withData++;
    if (instant.hasWayOut) judgement.withWayOut++;
    for (const text of found) judgement.violations.push({ permitId: space.permitId, version, atMs, text });
  }
  return judgement;
}

function newSpace(permitId: string): Space {
  return {
    permitId,
    pods: new Map(),
    policies: new Map(),
    claims: new Map(),
    jobs: new Map(),
    exposed: new Set(),
    consolidated: new Set(),
  };
}

function mapOf(space: Space, kind: Change["kind"]): Map<string, KubeObject> | null {
  switch (kind) {
    case "pods":
      return space.pods;
    case "networkpolicies":
      return space.policies;
    case "persistentvolumeclaims":
      return space.claims;
    case "jobs":
      return space.jobs;
    default:
      return null;
  }
}

/** Invariant 4: before the deletion only uploads go, and only once their consolidation succeeded. */
function judgeLoss({ object, before }: Change, space: Space): string[] {
  const isLost = object === null || (object.metadata.deletionTimestamp !== undefined);
  const wasLost = before?.metadata.deletionTimestamp !== undefined;
  const claim = object ?? before;
  if (!isLost || (wasLost && object !== null) || claim === null) return [];
  const key = markOf(claim, MARK.volumeKey);
  if (volumeOf(key) === "uploads" && space.consolidated.has(key)) return [];
  return [`volume ${key} is destroyed although the permit was not deleted`];
}

/** "uploads/hospital-a@2" → "uploads" */
function volumeOf(key: string): string {
  return key.split("/")[0]?.split("@")[0] ?? "";
}

interface Use {
  pod: KubeObject;
  name: string;
  /** Claims by whether some container writes to them. */
  claims: { key: string; written: boolean; sensitive: boolean; tainted: boolean }[];
  sensitive: boolean;
  /** Now, or since an earlier instant of the same pod. */
  wayOut: boolean;
}

function judgeInstant(
  space: Space,
  site: SiteRules,
): { texts: string[]; hasData: boolean; hasWayOut: boolean } {
  const texts: string[] = [];
  const policies = [...space.policies.values()];
  const uses = [...space.pods.values()].filter((pod) => !hasEnded(pod)).map((pod) => useOf(pod, space));
  for (const use of uses) texts.push(...judgePod(use, policies, site, space.exposed));
  for (const [index, one] of uses.entries()) {
    for (const other of uses.slice(index + 1)) texts.push(...judgePair(one, other));
  }
  return {
    texts,
    hasData: uses.some(({ sensitive }) => sensitive),
    hasWayOut: uses.some(({ wayOut }) => wayOut),
  };
}

function useOf(pod: KubeObject, space: Space): Use {
  const byName = new Map([...space.claims.values()].map((claim) => [claim.metadata.name, claim]));
  const volumes: { name: string; persistentVolumeClaim?: { claimName: string } }[] = pod.spec.volumes ?? [];
  const containers: { volumeMounts?: { name: string; readOnly?: boolean }[] }[] = [
    ...(pod.spec.initContainers ?? []),
    ...pod.spec.containers,
  ];
  const mounts = containers.flatMap(({ volumeMounts = [] }) => volumeMounts);
  const claims = volumes.flatMap(({ name, persistentVolumeClaim }) => {
    if (persistentVolumeClaim === undefined) return [];
    const claim = byName.get(persistentVolumeClaim.claimName);
    const key = claim === undefined ? persistentVolumeClaim.claimName : markOf(claim, MARK.volumeKey);
    const tainted = claim !== undefined && markOf(claim, MARK.tainted) === "true";
    return [{
      key,
      tainted,
      written: mounts.some((mount) => mount.name === name && mount.readOnly !== true),
      sensitive: claim === undefined || tainted || ALWAYS_SENSITIVE.includes(volumeOf(key)),
    }];
  });
  return {
    pod,
    name: pod.metadata.name,
    claims,
    sensitive: claims.some(({ sensitive }) => sensitive),
    wayOut: false,
  };
}

function judgePod(use: Use, policies: KubeObject[], site: SiteRules, exposed: Set<string>): string[] {
  const texts: string[] = [];
  const { pod, name, claims } = use;
  const egress = rulesFor(pod, policies, "Egress"), ingress = rulesFor(pod, policies, "Ingress");
  if (egress === null || egress.length > 0) exposed.add(pod.metadata.uid);
  use.wayOut = exposed.has(pod.metadata.uid);
  if (egress === null || ingress === null) texts.push(`no policy binds ${name}`);
  const data = claims.filter(({ sensitive }) => sensitive).map(({ key }) => key);
  if (use.wayOut && use.sensitive) texts.push(`${name} has a way out beside ${data}`);
  for (const { peers, ports } of egress ?? []) {
    const fits = peers?.every((peer) => isDeepStrictEqual(peer, { ipBlock: { cidr: site.proxy.cidr } }));
    if (!fits || !onlyPorts(ports, [site.proxy.port])) texts.push(`${name} may reach more than the proxy`);
  }
  const holders = claims.map(({ key }) => key.match(/^uploads\/([^@]+)/)?.[1]);
  const [holder] = holders;
  const isAirlock = markOf(pod, MARK.kind) === "airlock";
  if (isAirlock && (holders.length !== 1 || holder === undefined)) {
    texts.push(`airlock ${name} mounts ${data}`);
  }
  for (const { peers, ports } of ingress ?? []) {
    const cidrs = isAirlock && holder !== undefined ? site.holderCidrs[holder] ?? [] : null;
    const fits = peers !== undefined && peers.length > 0 &&
      peers.every((peer) =>
        cidrs === null
          ? isDeepStrictEqual(peer, site.gateway)
          : isDeepStrictEqual(Object.keys(peer), ["ipBlock"]) &&
            cidrs.includes(peer.ipBlock?.cidr ?? "") && peer.ipBlock?.except === undefined
      );
    const inside = onlyPorts(ports, cidrs === null ? DESKTOP_PORTS : [AIRLOCK_PORT]);
    if (!fits || !inside) texts.push(`${name} lets in ${JSON.stringify(peers)} on ${JSON.stringify(ports)}`);
  }
  if (use.sensitive) {
    for (const { key, written, tainted } of claims) {
      if (written && !tainted) texts.push(`${key} is written in ${name} beside ${data} without its taint`);
    }
  }
  return texts;
}

/** Invariant 2's barrier, and one pod per workspace. */
function judgePair(one: Use, other: Use): string[] {
  const texts: string[] = [];
  const workspace = markOf(one.pod, MARK.workspace);
  if (workspace !== "" && workspace === markOf(other.pod, MARK.workspace)) {
    texts.push(`two pods of workspace ${workspace}: ${one.name} and ${other.name}`);
  }
  for (const [data, out] of [[one, other], [other, one]] as const) {
    const shared = out.claims.filter(({ key }) => data.claims.some((claim) => claim.key === key));
    if (data.sensitive && out.wayOut && shared.length > 0) {
      texts.push(`${data.name} has data while ${out.name}, which shares ${shared[0]?.key}, has a way out`);
    }
  }
  return texts;
}
