/** Files as a container sees them: mounts by path, POSIX owner, group and mode. */
import type { LabFile, LabPod, LabScope } from "./objects.ts";
import { mountedBacking } from "./volumes.ts";
import type { World } from "./world.ts";

/** Largest text that one simulated file may hold: the whole cluster is one JSON snapshot. */
export const FILE_MAX = 65_536;

/** Who reads or writes. */
export interface Identity {
  uid: number;
  groups: number[];
}

function isAllowed(file: LabFile, { uid, groups }: Identity, bit: 4 | 2): boolean {
  if (uid === 0) return true;
  const shift = uid === file.uid ? 6 : groups.includes(file.gid) ? 3 : 0;
  return ((file.mode >> shift) & bit) !== 0;
}

/** Whether the mode lets somebody read a file. */
export function mayRead(file: LabFile, who: Identity): boolean {
  return isAllowed(file, who, 4);
}

/** A link as consolidate.sh lists it. */
export function linkLine(path: string, target: string): string {
  return `link ./${path} -> ${target}`;
}

/** A place within a pod: the mount that covers an absolute path, and the path below it. */
interface Place {
  mode: "ro" | "rw" | "wo";
  volumeKey: string;
  path: string;
}

function placeOf(pod: LabPod, path: string): Place | null {
  const covering = pod.template.mounts.filter((mount) => path.startsWith(`${mount.path}/`))
    .sort((a, b) => b.path.length - a.path.length)[0];
  if (covering === undefined) return null;
  const { mode, volumeKey } = covering;
  return { mode, volumeKey, path: path.slice(covering.path.length + 1) };
}

function identityOf({ template: { account, fsGroup } }: LabPod): Identity {
  return { uid: account.uid, groups: [account.gid, fsGroup] };
}

/** Writes a file from inside a running pod; false: the kernel refuses. Outside mounts only /tmp and /run take writes. */
export function writeInside(
  world: World,
  scope: LabScope,
  pod: LabPod,
  path: string,
  text: string,
): boolean {
  const place = placeOf(pod, path);
  if (pod.phase !== "running") return false;
  if (place === null) return path.startsWith("/tmp/") || path.startsWith("/run/");
  const backing = mountedBacking(world, scope, place.volumeKey);
  const present = backing?.files[place.path];
  if (backing === undefined || place.mode === "ro") return false;
  if (present !== undefined && !isAllowed(present, identityOf(pod), 2)) return false;
  const { account, fsGroup } = pod.template;
  backing.files[place.path] = { text, uid: account.uid, gid: fsGroup, mode: 0o660 };
  world.moved();
  return true;
}

/** Reads a file from inside a running pod; null: it is not there or not readable. `wo` refuses as the SFTP server does. */
export function readInside(world: World, scope: LabScope, pod: LabPod, path: string): string | null {
  const place = placeOf(pod, path);
  if (pod.phase !== "running" || place === null || place.mode === "wo") return null;
  const file = mountedBacking(world, scope, place.volumeKey)?.files[place.path];
  return file !== undefined && file.link === undefined && mayRead(file, identityOf(pod)) ? file.text : null;
}
