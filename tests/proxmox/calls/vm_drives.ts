/** Gives a VM a drive: a new volume, a copy, or one that is there. */
import { configLock } from "../state/locks.ts";
import { type Drive, isCloudInit, newVolumeOf, printSize } from "../state/options.ts";
import { isTemplate, type Vm } from "../state/vm.ts";
import { splitVolid, volidOf, type Volume } from "../state/volumes.ts";
import type { World } from "../state/world.ts";
import { failure } from "../wire/errors.ts";
import type { Steps } from "./call.ts";
import { copyImage, makeImage } from "./images.ts";

/** Size of PVE's own cloud-init drive. */
const CLOUD_INIT_BYTES = 4 * 1024 ** 2;
/** How long an import waits for the lock of the VM whose disk it copies. */
const IMPORT_LOCK_MS = 30_000;

/** Makes what has to be made and returns the drive as the configuration keeps it. */
export async function createDrive(
  world: World,
  steps: Steps,
  vm: Vm,
  slot: string,
  drive: Drive,
): Promise<string> {
  const file = drive.get("file") ?? "";
  if (file === "none" || file === "cdrom") {
    drive.delete("size");
    return world.options.print(slot, drive);
  }
  const fresh = newVolumeOf(drive);
  if (file.endsWith(":cloudinit")) return await createCloudInit(world, steps, vm, slot, drive);
  if (fresh === undefined) return useVolume(world, vm, slot, drive);
  const place = {
    storage: fresh.storage ?? "",
    vmid: vm.id,
    format: drive.get("format") ?? "raw",
    sizeBytes: Math.round(fresh.gibibytes * 1024 ** 3),
  };
  const source = drive.get("import-from");
  const volume = source === undefined
    ? await makeImage(world, steps, place)
    : await importVolume(world, steps, vm, source, { ...place, format: drive.get("format") });
  if (isTemplate(vm)) world.volumes.rename(volume, baseName(volume));
  drive.delete("import-from");
  return created(world, steps, slot, drive, volume);
}

function created(world: World, steps: Steps, slot: string, drive: Drive, volume: Volume): string {
  drive.delete("format");
  drive.set("file", volidOf(volume)).set("size", printSize(volume.sizeBytes));
  const printed = world.options.print(slot, drive);
  steps.print(`${slot}: successfully created disk '${printed}'`);
  return printed;
}

async function createCloudInit(
  world: World,
  steps: Steps,
  vm: Vm,
  slot: string,
  drive: Drive,
): Promise<string> {
  const other = world.options.drives(vm.config).find(([, other]) => isCloudInit(other));
  if (other !== undefined && other[0] !== slot) {
    throw failure(`${slot} - cloud-init drive is already attached at '${other[0]}'`);
  }
  const format = drive.get("format") ?? "qcow2";
  const volume = await makeImage(world, steps, {
    storage: (drive.get("file") ?? "").split(":")[0] ?? "",
    vmid: vm.id,
    format,
    sizeBytes: CLOUD_INIT_BYTES,
    name: `${vm.id}/vm-${vm.id}-cloudinit.${format}`,
  });
  drive.set("media", "cdrom");
  return created(world, steps, slot, drive, volume);
}

/** A volume that is there: whose it is does not matter here, who may use it was checked before. */
function useVolume(world: World, vm: Vm, slot: string, drive: Drive): string {
  const volume = world.volumes.get(drive.get("file") ?? "");
  const format = drive.get("format");
  if (format !== undefined && format !== volume.format) {
    throw failure(
      `drive '${slot}' - volume '${
        volidOf(volume)
      }' - 'format=${format}' option different from storage format ` +
        `'${volume.format}'`,
    );
  }
  const other = world.options.drives(vm.config).find(([key, other]) => key !== slot && isCloudInit(other));
  if (isCloudInit(drive) && other !== undefined) {
    throw failure(`${slot} - cloud-init drive is already attached at '${other[0]}'`);
  }
  drive.set("size", printSize(volume.sizeBytes));
  return world.options.print(slot, drive);
}

interface ImportPlace {
  storage: string;
  vmid: number;
  format: string | undefined;
}

/** A full copy of another volume; its owner's configuration is locked meanwhile. */
async function importVolume(
  world: World,
  steps: Steps,
  vm: Vm,
  volid: string,
  place: ImportPlace,
): Promise<Volume> {
  const source = world.volumes.find(volid);
  if (source === undefined) throw failure(`cannot import from '${volid}' - could not get size of ${volid}`);
  const copy = async (): Promise<Volume> => {
    const format = place.format ?? (source.content === "images" ? source.format : "raw");
    const target = await makeImage(world, steps, { ...place, format, sizeBytes: source.sizeBytes });
    try {
      await copyImage(world, steps, source, target, undefined);
    } catch (error) {
      world.volumes.free(volidOf(target));
      throw failure(`cannot import from '${volid}' - ${error instanceof Error ? error.message : error}`);
    }
    return target;
  };
  if (source.owner === undefined || source.owner === vm.id) return await copy();
  const owner = world.vms.get(source.owner);
  const mode = owner?.power === undefined ? "shared" : "exclusive";
  return await steps.locked(configLock(source.owner), { mode, waitMs: IMPORT_LOCK_MS }, copy);
}

/** The name of a volume that others may be linked to. */
export function baseName(volume: Volume): string {
  const { name } = splitVolid(volidOf(volume)) ?? volume;
  return name.replace(/\/vm-(\d+-disk-\d+\.\w+)$/, "/base-$1");
}
