/** Makes images: empty, copied or linked; as the storage layer does, with its locks and its words in the log. */
import { storageLock } from "../state/locks.ts";
import { imageLayout, readVolumeName, type Storage, volidOf, type Volume } from "../state/volumes.ts";
import type { World } from "../state/world.ts";
import { ApiError, failure } from "../wire/errors.ts";
import type { Steps } from "./call.ts";

/** Where a new image goes. */
export interface ImagePlace {
  storage: string;
  vmid: number;
  format: string;
  sizeBytes: number;
  /** Given for a cloud-init drive, whose name does not count up. */
  name?: string;
  /** Printed when the image is there, before the storage is free again. */
  isTarget?: boolean;
}

/** The path of an image on its storage. */
function pathOf(storage: Storage, name: string): string {
  return `${storage.path}/images/${name.split("/").slice(-2).join("/")}`;
}

function formatting(storage: Storage, name: string, place: ImagePlace, base?: Volume): string {
  const { note } = imageLayout(place.format, base !== undefined);
  const backing = base === undefined ? "" : ` backing_file=../${base.name} backing_fmt=${base.format}`;
  const refcount = place.format === "qcow2" ? " lazy_refcounts=off refcount_bits=16" : "";
  const size = `size=${place.sizeBytes}`;
  const options = place.format === "qcow2" ? `${note} ${size}` : `${size} ${note}`;
  return `Formatting '${pathOf(storage, name)}', fmt=${place.format} ${options}${backing}${refcount}`;
}

/** Makes an empty image, or one that stands on a base. The storage is locked meanwhile. */
export async function makeImage(
  world: World,
  steps: Steps,
  place: ImagePlace,
  base?: Volume,
): Promise<Volume> {
  const storage = world.volumes.storage(place.storage);
  return await steps.locked(storageLock(storage.id), { waitMs: world.timings.storageLockMs }, async () => {
    const name = place.name ?? world.volumes.freeName(storage.id, place.vmid, place.format, base?.name);
    const short = name.split("/").at(-1) ?? name;
    if (base !== undefined) {
      steps.print(`clone ${base.name}: images, ${short}, ${place.vmid} to ${short} (base=../${base.name})`);
    }
    steps.print(formatting(storage, name, place, base));
    const volume = world.volumes.add({
      storage: storage.id,
      name,
      content: "images",
      format: place.format,
      sizeBytes: place.sizeBytes,
      owner: readVolumeName(name).owner,
      base: base === undefined ? undefined : volidOf(base),
      createdMs: world.clock.now(),
      files: new Map(base?.files),
      bytes: undefined,
    });
    if (place.isTarget === true) steps.print(`allocated target volume '${volidOf(volume)}'`);
    try {
      await steps.pause(world.timings.allocateMs);
    } catch (error) {
      world.volumes.free(volidOf(volume));
      throw error;
    }
    return volume;
  });
}

/** How many lines a slow copy writes into its log. */
const PROGRESS_STEPS = 48;
const BYTES_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

function printBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < BYTES_UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${value.toFixed(1)} ${BYTES_UNITS[unit]}`;
}

/** Copies a whole image into one that was made for it; `kibPerSecond` limits the bandwidth. */
export async function copyImage(
  world: World,
  steps: Steps,
  source: Volume,
  target: Volume,
  kibPerSecond: number | undefined,
): Promise<void> {
  const size = source.sizeBytes;
  const progress = (part: number): void => {
    steps.print(
      `transferred ${printBytes(size * part)} of ${printBytes(size)} (${(part * 100).toFixed(2)}%)`,
    );
  };
  const isSlow = kibPerSecond !== undefined && kibPerSecond > 0;
  const count = isSlow ? PROGRESS_STEPS : 1;
  const wholeMs = isSlow ? size / kibPerSecond / 1.024 : size / 2 ** 30 * world.timings.copyMsPerGiB;
  progress(0);
  try {
    for (let done = 1; done <= count; done++) {
      await steps.pause(wholeMs / count);
      progress(done / count);
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const path = (volume: Volume): string => pathOf(world.volumes.storage(volume.storage), volume.name);
    const rate = isSlow ? ` -r ${kibPerSecond}K` : "";
    const command = `/usr/bin/qemu-img convert -p -n${rate} -f ${source.format} -O ${target.format} ` +
      `${path(source)} zeroinit:${path(target)}`;
    throw failure(`copy failed: command '${command}' failed: ${error.message}`);
  }
  if (isSlow) progress(1);
  target.files = new Map(source.files);
}
