/** Checks of what a VM's configuration refers to, which several calls make. */
import type { Principal } from "../state/access.ts";
import { type Drive, isCdrom, isCloudInit, newVolumeOf } from "../state/options.ts";
import { readVolumeName, splitVolid } from "../state/volumes.ts";
import type { World } from "../state/world.ts";
import { failure, parameterError } from "../wire/errors.ts";

/** SDN.Use on every bridge that a NIC of the configuration is plugged into, or on its VLAN there. */
export function checkBridges(world: World, user: Principal, config: ReadonlyMap<string, string>): void {
  for (const [, { bridge, tag }] of world.options.nics(config)) {
    if (bridge === undefined) continue;
    user.need(`/sdn/zones/localnetwork/${bridge}${tag === undefined ? "" : `/${tag}`}`, "SDN.Use");
  }
}

/** Mapping.Use on every directory that the configuration shares. */
export function checkMappings(world: World, user: Principal, config: ReadonlyMap<string, string>): void {
  for (const [key, value] of config) {
    if (!/^virtiofs\d+$/.test(key)) continue;
    user.need(`/mapping/dir/${world.options.read(key, value).get("dirid") ?? ""}`, "Mapping.Use");
  }
}

/** Whether somebody may use a volume for a VM. Throws a 403 otherwise, and a 500 for a name that is none. */
export function checkVolumeAccess(
  world: World,
  user: Principal,
  vmid: number | undefined,
  volid: string,
): void {
  const split = splitVolid(volid);
  if (split === undefined) throw failure("Only root can pass arbitrary filesystem paths.");
  world.volumes.storage(split.storage);
  const { content, owner } = readVolumeName(split.name);
  const path = `/storage/${split.storage}`;
  if (user.may(path, "Datastore.Allocate") || (owner !== undefined && owner === vmid)) return;
  if (content === "iso" || content === "vztmpl" || content === "import") {
    return user.needAny(path, ["Datastore.AllocateSpace", "Datastore.Audit"]);
  }
  if (content === "images" && owner !== undefined) {
    user.need(path, "Datastore.Audit");
    return user.need(`/vms/${owner}`, "VM.Config.Disk");
  }
  user.need(path, "Datastore.Allocate");
}

/** Whether somebody may give a VM this drive. */
export function checkDriveAccess(
  world: World,
  user: Principal,
  vmid: number,
  slot: string,
  drive: Drive,
): void {
  const file = drive.get("file") ?? "";
  const fresh = isCdrom(drive) && !isCloudInit(drive) ? undefined : newVolumeOf(drive);
  if (fresh !== undefined) {
    const storage = needStorage(fresh.storage);
    user.need(`/storage/${storage}`, "Datastore.AllocateSpace");
    world.volumes.imageStorage(storage);
  } else if (file === "cdrom") {
    user.need("/", "Sys.Console");
  } else if (file.endsWith(":cloudinit")) {
    user.need(`/storage/${file.split(":")[0]}`, "Datastore.AllocateSpace");
  } else if (file !== "none") {
    checkVolumeAccess(world, user, vmid, file);
    const { content } = readVolumeName(splitVolid(file)?.name ?? "");
    if (content !== "images" && content !== "iso") {
      throw parameterError({ [slot]: "content type needs to be 'images' or 'iso'" });
    }
  }
  const source = drive.get("import-from");
  if (source !== undefined) checkImport(world, user, vmid, slot, source);
}

function needStorage(storage: string | undefined): string {
  if (storage === undefined) throw failure("no storage ID specified (and no default storage)");
  return storage;
}

function checkImport(world: World, user: Principal, vmid: number, slot: string, source: string): void {
  const split = splitVolid(source);
  if (split === undefined) throw failure("Only root can pass arbitrary filesystem paths.");
  world.volumes.storage(split.storage);
  const { content, owner } = readVolumeName(split.name);
  if (content !== "images" && content !== "import") {
    const complaint = `${source} has wrong type '${content}' - needs to be 'images' or 'import'`;
    throw parameterError({ [slot]: complaint });
  }
  if (owner === undefined) checkVolumeAccess(world, user, vmid, source);
  else user.need(`/vms/${owner}`, "VM.Clone");
}

/** The drive of a parameter as the server stores it. Throws when it refers to what cannot be a drive. */
export function readDrive(world: World, slot: string, value: string): Drive {
  const drive = world.options.read(slot, value);
  const file = drive.get("file") ?? "";
  if (drive.has("import-from") && newVolumeOf(drive)?.gibibytes !== 0) {
    throw parameterError({
      [slot]: "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>",
    });
  }
  if (file.startsWith("/")) {
    throw parameterError({ [slot]: `unable to associate path '${file}' to any storage` });
  }
  const split = splitVolid(file);
  if (split === undefined || newVolumeOf(drive) !== undefined || split.name === "cloudinit") return drive;
  world.volumes.storage(split.storage);
  if (readVolumeName(split.name).content === "iso" && drive.get("media") !== "cdrom") {
    throw parameterError({ [slot]: "explicit 'media=cdrom' is required for iso images" });
  }
  return drive;
}
