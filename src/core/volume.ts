/** Volumes: what they are (volumes.yaml), which one is meant, and how it is keyed. */

/** One per permit, per data holder, per person, or per workspace kind and person. */
export type VolumePer = "permit" | "dataHolder" | "person" | "workspace";
/** Kubernetes' access modes that WPS uses. */
export type VolumeAccess = "ReadWriteOnce" | "ReadWriteMany";
/** `wo` (airlock only) is rw to the kernel: the SFTP server refuses to read and list. */
export type MountMode = "ro" | "rw" | "wo";

/** What volumes.yaml says of one volume. */
export interface VolumeRule {
  name: string;
  per: VolumePer;
  /** `when-tainted`: research home and project, sensitive only after invariant 3 made them so. */
  sensitive: "always" | "when-tainted";
  access: VolumeAccess;
  /** Size where the tier names none, as a Kubernetes quantity. */
  size: string;
  description: string;
}

/** One concrete volume. `owner` is null for one per permit; generation counts from 1. */
export interface VolumeId {
  volume: string;
  owner: string | null;
  generation: number;
}

/** A volume that should exist. */
export interface DesiredVolume {
  id: VolumeId;
  key: string;
  access: VolumeAccess;
  size: string;
  /** Sensitive now: always, or tainted already, or tainted by what this phase mounts beside it. */
  sensitive: boolean;
}

/** "prepared", "home/j.virtanen", "uploads/hospital-a@2": the generation shows from the second on. */
export function volumeKey(id: VolumeId): string {
  const base = id.owner === null ? id.volume : `${id.volume}/${id.owner}`;
  return id.generation > 1 ? `${base}@${id.generation}` : base;
}

/** The inverse of {@link volumeKey}; owners cannot contain "@" (usernames and holder ids are checked at intake). */
export function parseVolumeKey(key: string): VolumeId {
  const [base = "", generation] = key.split("@");
  const slash = base.indexOf("/");
  return {
    volume: slash < 0 ? base : base.slice(0, slash),
    owner: slash < 0 ? null : base.slice(slash + 1),
    generation: generation === undefined ? 1 : Number(generation),
  };
}
