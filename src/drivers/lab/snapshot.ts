/** The truth of one permit for people and tests: what the demo shows after each phase. */
import { permitName } from "../../core/names.ts";
import type { Account } from "../../core/member.ts";
import type { LabCluster } from "./cluster.ts";
import type { LabTarget } from "./network.ts";
import type { LabScope } from "./objects.ts";
import { truthOf } from "./truth.ts";
import type { World } from "./world.ts";

/** A pod, judged by its mounts and by packets. */
export interface PodSnapshot {
  name: string;
  uid: string;
  /** Workspace key, or the key of the uploads that a task consolidates. */
  of: string;
  kind: "workspace" | "task";
  account: Account;
  phase: "pending" | "running" | "succeeded" | "failed" | "terminating";
  ready: boolean;
  node: string | null;
  mounts: { path: string; volumeKey: string; mode: "ro" | "rw"; sensitive: boolean }[];
  /** Where its packets get to. */
  leaves: LabTarget[];
  /** Whose packets get in: "gateway", "stranger", address ranges. */
  enters: string[];
  connections: string[];
}

/** A volume with what is on it. */
export interface VolumeSnapshot {
  key: string;
  /** A claim is bound to it. */
  claimed: boolean;
  retained: boolean;
  /** Marked as tainted. */
  marked: boolean;
  /** Really holds or held sensitive data. */
  sensitive: boolean;
  files: { path: string; text: string; uid: number; gid: number; mode: number }[];
}

/** Secret and Service of a workspace. */
export interface IdentitySnapshot {
  key: string;
  protocol: "rdp" | "vnc" | "sftp";
  /** SHA-256 of the password in the Secret. */
  passwordHash: string | null;
  hasHostKey: boolean;
  hasService: boolean;
}

/** Everything that exists of one permit. */
export interface PermitSnapshot {
  permitId: string;
  scope: "absent" | "present" | "terminating" | "foreign";
  pods: PodSnapshot[];
  volumes: VolumeSnapshot[];
  identities: IdentitySnapshot[];
  /** Compute objects that ask for no pod. */
  stopped: string[];
  tasks: { key: string; state: "running" | "succeeded" | "failed" }[];
  atMs: number;
}

/** The truth of one permit at this instant. */
export function snapshotOf(cluster: LabCluster, permitId: string): PermitSnapshot {
  return cluster.read((world) => {
    const scope = world.state.scopes[permitName(permitId)];
    const byKey = (a: { key: string }, b: { key: string }): number => a.key < b.key ? -1 : 1;
    return {
      permitId,
      scope: scope === undefined
        ? "absent"
        : !scope.owned
        ? "foreign"
        : scope.deletedAtMs === null
        ? "present"
        : "terminating",
      pods: scope === undefined ? [] : podSnapshots(world, scope),
      volumes: volumeSnapshots(world, permitId, scope).sort(byKey),
      identities: Object.values(scope?.identities ?? {}).map((identity) => {
        const { key, protocol, passwordHash, hasHostKey, hasService } = identity;
        return { key, protocol, passwordHash, hasHostKey, hasService };
      }).sort(byKey),
      stopped: Object.values(scope?.computes ?? {}).filter(({ replicas }) => replicas === 0)
        .map(({ key }) => key).sort(),
      tasks: Object.values(scope?.tasks ?? {}).map(({ key, state }) => ({ key, state })).sort(byKey),
      atMs: world.nowMs,
    };
  });
}

function podSnapshots(world: World, scope: LabScope): PodSnapshot[] {
  return Object.values(scope.pods).map((pod): PodSnapshot => {
    const { mounts, leaves, enters, connections } = truthOf(world, scope, pod);
    return {
      name: pod.name,
      uid: pod.uid,
      of: pod.belongs.key,
      kind: pod.belongs.to,
      account: { ...pod.template.account },
      phase: pod.deletedAtMs === null ? pod.phase : "terminating",
      ready: pod.ready,
      node: pod.node,
      mounts: mounts.map(({ path, volumeKey, writable, sensitive }) => ({
        path,
        volumeKey,
        mode: writable ? "rw" : "ro",
        sensitive,
      })),
      leaves,
      enters,
      connections,
    };
  }).sort((a, b) => a.name < b.name ? -1 : 1);
}

function volumeSnapshots(world: World, permitId: string, scope: LabScope | undefined): VolumeSnapshot[] {
  const claims = Object.values(scope?.claims ?? {});
  return Object.values(world.state.backings).filter((backing) => backing.permitId === permitId).map((
    backing,
  ) => ({
    key: backing.key,
    claimed: backing.claimUid !== null,
    retained: backing.reclaim === "Retain",
    marked: backing.tainted || claims.some(({ uid, tainted }) => uid === backing.claimUid && tainted),
    sensitive: backing.touched,
    files: Object.entries(backing.files).sort(([a], [b]) => a < b ? -1 : 1).map(([path, file]) => ({
      path,
      text: file.text,
      uid: file.uid,
      gid: file.gid,
      mode: file.mode,
    })),
  }));
}
