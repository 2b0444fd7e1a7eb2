/** Storages and the volumes on them: who owns which, what is made of which. */
import { failure, parameterError } from "../wire/errors.ts";

/** What a storage may hold. */
export type Content = "images" | "rootdir" | "iso" | "snippets" | "vztmpl" | "backup" | "import";

/** A directory storage. */
export interface Storage {
  id: string;
  /** The directory, which shows in task logs. */
  path: string;
  content: Content[];
  totalBytes: number;
  /** What others have on it. */
  otherBytes: number;
  /** The nodes that have it; undefined for all of them. */
  nodes?: string[] | undefined;
  shared?: boolean | undefined;
}

/** A volume; `volid` is `storage:name`. */
export interface Volume {
  storage: string;
  /** `101/vm-101-disk-0.qcow2`, for a linked clone with its base before it, or `iso/seed.iso`. */
  name: string;
  content: Content;
  format: string;
  sizeBytes: number;
  /** The VM that it belongs to. */
  owner: number | undefined;
  /** The volid of the base that a linked clone stands on. */
  base: string | undefined;
  createdMs: number;
  /** What a guest has put into it, by path; the same for what a cloud-init drive offers. */
  files: Map<string, string>;
  /** The whole content of an uploaded file. */
  bytes: Uint8Array | undefined;
}

/** What a volume's name says. */
export interface VolumeName {
  content: Content;
  owner: number | undefined;
  base: string | undefined;
  format: string;
}

/** `storage:name`, or undefined. */
export function splitVolid(volid: string): { storage: string; name: string } | undefined {
  const match = /^([a-z][a-z0-9\-_.]*[a-z0-9]):(\S+)$/i.exec(volid);
  const [, storage, name] = match ?? [];
  return storage === undefined || name === undefined ? undefined : { storage, name };
}

/** The volid of a volume. */
export function volidOf({ storage, name }: Pick<Volume, "storage" | "name">): string {
  return `${storage}:${name}`;
}

/** What the name on a directory storage says. Throws when it is no such name. */
export function readVolumeName(name: string): VolumeName {
  const format = /\.(raw|qcow2|vmdk|iso|img|ova)$/.exec(name)?.[1] ?? "raw";
  const linked = /^(\d+\/\S+)\/(\d+)\/[^/\s]+$/.exec(name);
  if (linked !== null) return { content: "images", owner: Number(linked[2]), base: linked[1], format };
  const image = /^(\d+)\/[^/\s]+$/.exec(name);
  if (image !== null) return { content: "images", owner: Number(image[1]), base: undefined, format };
  const file = /^(iso|snippets|vztmpl|backup|import)\/[^/\s]+$/.exec(name);
  const content = CONTENT_OF_FOLDER.get(file?.[1] ?? "");
  if (content !== undefined) return { content, owner: undefined, base: undefined, format };
  throw failure(`unable to parse directory volume name '${name}'`);
}

const CONTENT_OF_FOLDER = new Map<string, Content>([
  ["iso", "iso"],
  ["snippets", "snippets"],
  ["vztmpl", "vztmpl"],
  ["backup", "backup"],
  ["import", "import"],
]);

const KIB = 1024;

/** What qemu-img makes of a new image: its metadata, allocated ahead; a raw one is sparse. */
export function imageLayout(format: string, isLinked: boolean): { clusterBytes: number; note: string } {
  const clusterBytes = (isLinked ? 128 : 64) * KIB;
  if (format !== "qcow2") return { clusterBytes, note: "preallocation=off" };
  const note = `cluster_size=${clusterBytes} extended_l2=${isLinked ? "on" : "off"} preallocation=metadata ` +
    "compression_type=zlib";
  return { clusterBytes, note };
}

/** What a volume takes on disk: fresh metadata of its image; what guests write is not counted. */
export function usedBytes({ format, sizeBytes, base, bytes }: Volume): number {
  if (bytes !== undefined) return bytes.length;
  if (format !== "qcow2") return 0;
  const isLinked = base !== undefined;
  const { clusterBytes } = imageLayout(format, isLinked);
  // An entry of an L2 table takes 8 bytes for its cluster, 16 with subclusters.
  const coveredBytes = clusterBytes / (isLinked ? 16 : 8) * clusterBytes;
  const tables = Math.ceil(sizeBytes / coveredBytes);
  return 4 * KIB + (3 + tables) * clusterBytes;
}

/** All storages and volumes of a cluster. */
export class Volumes {
  readonly storages = new Map<string, Storage>();
  readonly #volumes = new Map<string, Volume>();

  /** The storage. Throws the server's words when there is none. */
  storage(id: string): Storage {
    const storage = this.storages.get(id);
    if (storage === undefined) throw failure(`storage '${id}' does not exist`);
    return storage;
  }

  /** A storage that may hold images. Throws otherwise. */
  imageStorage(id: string): Storage {
    const storage = this.storage(id);
    if (storage.content.includes("images")) return storage;
    throw parameterError({ storage: `storage '${id}' does not support vm images` });
  }

  /** The volume, if it is there. */
  find(volid: string): Volume | undefined {
    return this.#volumes.get(volid);
  }

  /** The volume. Throws the server's words when there is none. */
  get(volid: string): Volume {
    const volume = this.find(volid);
    if (volume === undefined) throw failure(`volume '${volid}' does not exist`);
    return volume;
  }

  /** All on a storage, or everywhere. */
  all(storage?: string): Volume[] {
    return [...this.#volumes.values()].filter((volume) =>
      storage === undefined || volume.storage === storage
    );
  }

  /** All that belong to a VM, used or not. */
  ownedBy(vmid: number): Volume[] {
    return this.all().filter(({ owner }) => owner === vmid);
  }

  /** The linked clones of a base. */
  clonesOf(volid: string): Volume[] {
    return this.all().filter(({ base }) => base === volid);
  }

  /** Puts a volume on its storage; one of the same name is replaced. */
  add(volume: Volume): Volume {
    this.#volumes.set(volidOf(volume), volume);
    return volume;
  }

  /** A free name of a VM's disk: the lowest number that no image of it has, whatever its format. */
  freeName(storage: string, vmid: number, format: string, baseName?: string): string {
    const taken = new Set(
      this.all(storage).filter(({ owner }) => owner === vmid)
        .map(({ name }) => /(?:vm|base)-\d+-disk-(\d+)\./.exec(name)?.[1]),
    );
    let index = 0;
    while (taken.has(`${index}`)) index++;
    const own = `${vmid}/vm-${vmid}-disk-${index}.${format}`;
    return baseName === undefined ? own : `${baseName}/${own}`;
  }

  /** Gives a volume another name, which may make it another VM's; its clones follow. */
  rename(volume: Volume, name: string): Volume {
    const before = volidOf(volume);
    this.#volumes.delete(before);
    const clones = this.clonesOf(before);
    volume.name = name;
    volume.owner = readVolumeName(name).owner;
    this.add(volume);
    for (const clone of clones) clone.base = volidOf(volume);
    return volume;
  }

  /** Destroys a volume. Throws when linked clones stand on it. */
  free(volid: string): void {
    if (this.clonesOf(volid).length > 0) {
      throw failure(`base volume '${volid}' is still in use by linked cloned`);
    }
    this.#volumes.delete(volid);
  }

  /** What a storage has left and taken. */
  space(storage: Storage): { totalBytes: number; usedBytes: number; availableBytes: number } {
    const used = this.all(storage.id).reduce((sum, volume) => sum + usedBytes(volume), storage.otherBytes);
    const { totalBytes } = storage;
    return { totalBytes, usedBytes: used, availableBytes: Math.max(0, totalBytes - used) };
  }
}
