/** Builders of desired things for driver cases: complete, valid, and as small as a case wants to speak of. */
import { permitName } from "../../src/core/names.ts";
import type { Instance, ObservedVolume, ObservedWorkspace } from "../../src/core/observed.ts";
import type { Consolidation } from "../../src/core/step.ts";
import {
  type DesiredVolume,
  type MountMode,
  parseVolumeKey,
  type VolumeAccess,
} from "../../src/core/volume.ts";
import type { DesiredWorkspace, Mount } from "../../src/core/workspace.ts";

/** The group of every pod of a permit under test; within the default accounts.uidRange. */
export const FS_GROUP = 30100;
/** The uid and gid of workspaces and holders under test; at least 1000, as intake demands. */
export const MEMBER_ID = 21001;

/** One per person or holder, as volumes.yaml has it; all others are shared by the permit. */
const READ_WRITE_ONCE = ["home", "uploads"];

/** A volume by key, e.g. "prepared" or "home/j.virtanen@2"; access follows the volume's name. */
export function volume(key: string, given: Partial<DesiredVolume> = {}): DesiredVolume {
  const id = parseVolumeKey(key);
  const access: VolumeAccess = READ_WRITE_ONCE.includes(id.volume) ? "ReadWriteOnce" : "ReadWriteMany";
  return { id, key, access, size: "64Mi", sensitive: false, ...given };
}

/** A mount of a volume at `/data/{volume}` unless `path` says otherwise. */
export function mount(volumeKey: string, mode: MountMode, path?: string): Mount {
  const id = parseVolumeKey(volumeKey);
  return { volume: id, volumeKey, path: path ?? `/data/${id.volume}`, mode };
}

/** A running, isolated workspace without mounts, of the key's kind and owner; `given` replaces fields. */
export function workspace(key: string, given: Partial<DesiredWorkspace> = {}): DesiredWorkspace {
  const slash = key.indexOf("/");
  const owner = key.slice(slash + 1);
  const kind = key.slice(0, slash);
  return {
    key,
    kind,
    owner,
    account: { username: owner, uid: MEMBER_ID, gid: MEMBER_ID },
    fsGroup: FS_GROUP,
    power: "running",
    posture: kind === "airlock" ? "inbound-allowlist" : "isolated",
    protocol: kind === "airlock" ? "sftp" : "rdp",
    mounts: [],
    allowedCidrs: [],
    sshPublicKeys: [],
    tier: "standard",
    sensitive: false,
    ...given,
  };
}

/** The consolidation of `uploads/{holder}` into `raw`. */
export function consolidation(
  holder: string,
  batch = 1,
  given: Partial<Consolidation> = {},
): Consolidation {
  const fromKey = batch === 1 ? `uploads/${holder}` : `uploads/${holder}@${batch}`;
  return {
    from: parseVolumeKey(fromKey),
    fromKey,
    into: volume("raw", { sensitive: true }),
    uid: MEMBER_ID,
    gid: MEMBER_ID,
    fsGroup: FS_GROUP,
    folder: `${holder}/batch-${batch}`,
    holder,
    accepted: null,
    ...given,
  };
}

/** What an observation says of a workspace that has never been: what a late writer may still hold in its hands. */
export function neverSeen(key: string): ObservedWorkspace {
  const slash = key.indexOf("/");
  return {
    key,
    kind: key.slice(0, slash),
    owner: key.slice(slash + 1),
    power: null,
    specHash: null,
    outdated: false,
    identityHash: null,
    network: { state: "shut", seen: null },
    instances: [],
    endpoint: null,
    compute: null,
    unsettled: null,
    terminating: null,
  };
}

/** A pod that is ready behind its gate and mounts nothing; `given` replaces fields. */
export function readyInstance(given: Partial<Instance> = {}): Instance {
  return {
    uid: "uid-1",
    name: "research-a-0",
    state: "running",
    ready: true,
    specHash: "",
    mounts: [],
    gated: true,
    node: "node-1",
    reason: null,
    ...given,
  };
}

/** A volume that is bound and retained, without taint; `given` replaces fields. */
export function boundVolume(key: string, given: Partial<ObservedVolume> = {}): ObservedVolume {
  return {
    id: parseVolumeKey(key),
    key,
    name: `vol-${key}`,
    state: "bound",
    retained: true,
    tainted: false,
    size: "1Gi",
    detail: null,
    seen: null,
    ...given,
  };
}

/** Two observations of one volume are of the same thing, whatever its version. */
export function sameVolume(a: ObservedVolume, b: ObservedVolume): boolean {
  return a.key === b.key && a.seen?.uid === b.seen?.uid;
}

/** The name of the permit's space, as DESIGN 3 derives it. */
export function scopeName(permitId: string): string {
  return permitName(permitId);
}
