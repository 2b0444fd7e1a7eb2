/** What becomes of changes: with the VM off all take effect, while it runs only what can be changed then. */
import { type Drive, isCdrom, isCloudInit, isDriveSlot } from "../state/options.ts";
import type { Vm } from "../state/vm.ts";
import type { World } from "../state/world.ts";
import { parameterError } from "../wire/errors.ts";
import type { Steps } from "./call.ts";
import { isCloudInitOption } from "./vm_option_rights.ts";

/** Options that a running VM takes at once. */
const FAST = new Set(
  "balloon cpulimit cpuunits description hookscript name onboot protection shares startup tags vmstatestorage"
    .split(" "),
);

/** Keeps a volume that no slot names any more, if it is the VM's own; PVE's cloud-init drive goes at once. */
export function registerUnused(world: World, vm: Vm, drive: Drive): void {
  const volid = drive.get("file") ?? "";
  const volume = world.volumes.find(volid);
  if (volume?.owner !== vm.id) return;
  if (isCloudInit(drive)) return world.volumes.free(volid);
  if (isCdrom(drive)) return;
  const names = [...vm.config].filter(([key]) => /^unused\d+$/.test(key))
    .map(([key, value]) => [key, world.options.read(key, value).get("file")]);
  if (names.some(([, other]) => other === volid)) return;
  const taken = new Set(names.map(([key]) => key));
  let index = 0;
  while (taken.has(`unused${index}`)) index++;
  vm.config.set(`unused${index}`, volid);
}

/** Removes from the list of unused volumes what a slot names again. */
function cleanUnused(world: World, vm: Vm): void {
  const used = new Set(world.options.drives(vm.config).map(([, drive]) => drive.get("file")));
  for (const [key, value] of [...vm.config]) {
    if (/^unused\d+$/.test(key) && used.has(world.options.read(key, value).get("file"))) {
      vm.config.delete(key);
    }
  }
}

function removeOption(world: World, vm: Vm, key: string): void {
  const value = vm.config.get(key);
  if (value !== undefined && isDriveSlot(key)) {
    const drive = world.options.read(key, value);
    const volid = drive.get("file") ?? "";
    const isForced = vm.pendingDelete.get(key) === true;
    if (isForced && world.volumes.find(volid)?.owner === vm.id) world.volumes.free(volid);
    else registerUnused(world, vm, drive);
  }
  vm.config.delete(key);
  vm.pendingDelete.delete(key);
}

function takeOption(world: World, vm: Vm, key: string): void {
  const next = vm.pending.get(key);
  if (next === undefined) return;
  const before = vm.config.get(key);
  if (before !== undefined && isDriveSlot(key)) {
    const old = world.options.read(key, before);
    if (old.get("file") !== world.options.read(key, next).get("file")) registerUnused(world, vm, old);
  }
  vm.config.set(key, next);
  vm.pending.delete(key);
}

/** Makes every pending change, as is done whenever the VM is off. */
export function applyAll(world: World, vm: Vm): void {
  for (const key of [...vm.pendingDelete.keys()]) removeOption(world, vm, key);
  for (const key of [...vm.pending.keys()]) takeOption(world, vm, key);
  cleanUnused(world, vm);
}

/** Takes changes back that change nothing. */
function dropIdle(vm: Vm): void {
  for (const [key, value] of [...vm.pending]) if (vm.config.get(key) === value) vm.pending.delete(key);
  for (const key of [...vm.pendingDelete.keys()]) if (!vm.config.has(key)) vm.pendingDelete.delete(key);
}

/**
 * Makes the pending changes that can be made now. Throws a 400 with what a running guest refuses, which stays
 * pending all the same.
 */
export async function applyPending(
  world: World,
  steps: Steps,
  vm: Vm,
  touched: ReadonlySet<string>,
): Promise<void> {
  dropIdle(vm);
  if (vm.power === undefined) return applyAll(world, vm);
  const errors: Record<string, string> = {};
  for (const key of [...vm.pendingDelete.keys()].filter((key) => touched.has(key))) {
    if (await canPlug(world, steps, vm, key, vm.config.get(key), undefined, errors)) {
      removeOption(world, vm, key);
    }
  }
  for (const [key, next] of [...vm.pending].filter(([key]) => touched.has(key))) {
    if (await canPlug(world, steps, vm, key, vm.config.get(key), next, errors)) takeOption(world, vm, key);
  }
  cleanUnused(world, vm);
  if (Object.keys(errors).length > 0) throw parameterError(errors);
}

/** Whether a running VM takes a change now; waits for a guest that has to let go of a device. */
async function canPlug(
  world: World,
  steps: Steps,
  vm: Vm,
  key: string,
  before: string | undefined,
  next: string | undefined,
  errors: Record<string, string>,
): Promise<boolean> {
  if (FAST.has(key) || isCloudInitOption(key)) return true;
  if (/^net\d+$/.test(key)) {
    if (before === undefined || (next !== undefined && isSameDevice(world, key, before, next))) return true;
    return await unplug(world, steps, vm, key, key, errors);
  }
  if (!isDriveSlot(key)) return false;
  const [old, coming] = [before, next].map((value) => {
    return value === undefined ? undefined : world.options.read(key, value);
  });
  // A medium in a drive that is there can be changed, the drive itself cannot.
  if (old !== undefined && coming !== undefined && isCdrom(old) && isCdrom(coming)) return true;
  if (!/^(?:scsi|virtio)\d+$/.test(key)) return false;
  if (old === undefined || old.get("file") === coming?.get("file")) return true;
  const isSingle = /^scsi/.test(key) && vm.config.get("scsihw") === "virtio-scsi-single";
  return await unplug(world, steps, vm, key, isSingle ? `virtio${key}` : key, errors);
}

function isSameDevice(world: World, key: string, before: string, next: string): boolean {
  const [a, b] = [world.options.nic(key, before), world.options.nic(key, next)];
  return a.model === b.model && a.mac === b.mac;
}

async function unplug(
  world: World,
  steps: Steps,
  vm: Vm,
  key: string,
  device: string,
  errors: Record<string, string>,
): Promise<boolean> {
  if (vm.power?.guest.releases(key) === true) return true;
  await steps.pause(world.timings.unplugMs);
  if (vm.power === undefined) return true;
  errors[key] = `hotplug problem - error on hot-unplugging device '${device}' - still busy in guest?\n`;
  return false;
}
