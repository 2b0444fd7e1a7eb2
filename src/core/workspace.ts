/** One workspace as it should be. */
import type { Account } from "./member.ts";
import type { Posture, Protocol } from "./phase.ts";
import type { MountMode, VolumeId } from "./volume.ts";
import { fingerprint } from "./sha256.ts";

/** A mount with its volume resolved. */
export interface Mount {
  volume: VolumeId;
  /** See `volumeKey`. */
  volumeKey: string;
  path: string;
  mode: MountMode;
}

/** A workspace that should exist. `key` is `${kind}/${owner}`. */
export interface DesiredWorkspace {
  key: string;
  kind: string;
  /** A holder's id, or a username. */
  owner: string;
  account: Account;
  fsGroup: number;
  power: "running" | "stopped";
  posture: Posture;
  protocol: Protocol;
  mounts: Mount[];
  /** Airlock only. */
  allowedCidrs: string[];
  sshPublicKeys: string[];
  tier: string;
  /** Holds or mounts sensitive data: what invariant 1 is about. */
  sensitive: boolean;
}

/** What a pod is replaced for (DESIGN 8): network, mounts, account. Image and tier are not in it. */
export interface RunningSpec {
  posture: Posture;
  mounts: { volumeKey: string; path: string; mode: MountMode }[];
  account: Account;
}

/** Fingerprint of {@link RunningSpec}; the order of mounts does not count, `wo` equals `rw` to the kernel. */
export function specHash(spec: RunningSpec): string {
  const mounts = spec.mounts
    .map(({ volumeKey, path, mode }) => ({ volumeKey, path, mode: mode === "ro" ? "ro" : "rw" }))
    .sort((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
  const { username, uid, gid } = spec.account;
  return fingerprint({ posture: spec.posture, mounts, account: { username, uid, gid } });
}

/** Fingerprint of what may change without a new pod: keys in the mounted Secret. */
export function identityHash(workspace: DesiredWorkspace): string {
  const { account, sshPublicKeys, kind } = workspace;
  return fingerprint({ account, sshPublicKeys, kind });
}

/** Fingerprint of the rules that an opened network has; changed ones are opened anew, nobody restarts. */
export function networkHash(
  workspace: Pick<DesiredWorkspace, "posture" | "protocol" | "allowedCidrs">,
): string {
  const { posture, protocol, allowedCidrs } = workspace;
  return fingerprint({ posture, protocol, allowedCidrs: [...allowedCidrs].sort() });
}

/** The port of a protocol (DESIGN 4: what an image may count on). */
export function portOf(protocol: Protocol): number {
  return { rdp: 3389, vnc: 5901, sftp: 2222 }[protocol];
}
