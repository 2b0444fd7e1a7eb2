/** Changes a VM's configuration, one option after the other; what can take effect does. */
import { splitList } from "../schema/formats.ts";
import type { Principal } from "../state/access.ts";
import { isCdrom, isCloudInit, isDriveSlot, isUnusedSlot } from "../state/options.ts";
import { checkMarker, checkProtection, configDigest, type Vm } from "../state/vm.ts";
import type { World } from "../state/world.ts";
import { failure } from "../wire/errors.ts";
import type { Steps } from "./call.ts";
import { createDrive } from "./vm_drives.ts";
import { checkOptionValue } from "./vm_option_rights.ts";
import { applyPending, registerUnused } from "./vm_pending.ts";

/** A change as it was asked for. */
export interface Update {
  vmid: number;
  node: string;
  user: Principal;
  /** By option, with null for JSON's null. */
  set: Map<string, string | null>;
  delete: string[];
  /** A deleted drive's volume goes, too. */
  isForced: boolean;
  digest: string | undefined;
  /** What the log says was asked for. */
  described: string;
}

/** What must hold before, and again when the lock is held. */
export function checkState(world: World, { vmid, node, digest }: Update): Vm {
  const vm = world.vm(node, vmid);
  if (digest !== undefined && digest !== "" && digest !== configDigest(vm)) {
    throw failure("checksum mismatch (file change by other user?)");
  }
  checkMarker(vm);
  return vm;
}

/** Makes the change; the VM's lock is held. */
export async function runUpdate(world: World, steps: Steps, update: Update): Promise<void> {
  const vm = checkState(world, update);
  steps.print(`update VM ${update.vmid}: ${update.described}`);
  for (const key of update.delete) deleteOption(world, vm, update, key);
  for (const [key, value] of update.set) await setOption(world, steps, vm, update, key, value);
  const touched = new Set([...update.delete, ...update.set.keys(), "boot"]);
  await applyPending(world, steps, vm, touched);
}

function deleteOption(world: World, vm: Vm, { user, isForced }: Update, key: string): void {
  const value = vm.config.get(key) ?? vm.pending.get(key);
  if (value === undefined) return;
  const pending = vm.pending.get(key);
  vm.pending.delete(key);
  removeFromBoot(world, vm, key);
  if (isUnusedSlot(key)) {
    const volid = world.options.read(key, value).get("file") ?? "";
    checkProtection(vm, `can't remove unused disk '${volid}'`);
    user.need(`/vms/${vm.id}`, "VM.Config.Disk");
    const isOwn = world.volumes.find(volid)?.owner === vm.id;
    if (isOwn) world.volumes.free(volid);
    vm.config.delete(key);
    return;
  }
  checkOptionValue(world, user, vm.id, key, value, "delete");
  if (isDriveSlot(key)) {
    checkProtection(vm, `can't remove drive '${key}'`);
    if (pending !== undefined) registerUnused(world, vm, world.options.read(key, pending));
  }
  if (key === "tags") vm.config.delete(key);
  else vm.pendingDelete.set(key, isForced);
}

function removeFromBoot(world: World, vm: Vm, key: string): void {
  const order = world.options.bootOrder(vm.pending.has("boot") ? vm.pending : vm.config);
  if (!order.includes(key)) return;
  vm.pending.set("boot", printBoot(order.filter((device) => device !== key)));
}

/** The option that boots from these devices. */
export function printBoot(devices: readonly string[]): string {
  return devices.length === 0 ? "" : `order=${devices.join(";")}`;
}

async function setOption(
  world: World,
  steps: Steps,
  vm: Vm,
  { user }: Update,
  key: string,
  value: string | null,
): Promise<void> {
  if (value === null) throw failure(`unable to parse value of '${key}' - got undefined value`);
  const before = vm.config.get(key);
  if (before !== undefined) checkOptionValue(world, user, vm.id, key, before, "set");
  checkOptionValue(world, user, vm.id, key, value, "set");
  let next = value;
  if (isDriveSlot(key)) {
    const pending = vm.pending.get(key);
    if (pending !== undefined) registerUnused(world, vm, world.options.read(key, pending));
    next = await createDrive(world, steps, vm, key, world.options.read(key, value));
    addToBoot(world, vm, key, next);
  } else if (key === "tags") {
    next = [...new Set(splitList(value.toLowerCase()))].sort().join(";");
  } else if (key === "cipassword") {
    vm.config.set(key, hashedPassword(world, value));
    return;
  } else if (key === "sshkeys" && value === "") {
    return; // recorded: an empty value leaves the keys as they are
  } else if (key === "vmgenid" && value === "1") {
    next = world.newUuid();
  } else if (key === "boot") {
    checkBoot(world, vm, value);
  }
  vm.pending.set(key, next);
  vm.pendingDelete.delete(key);
}

function addToBoot(world: World, vm: Vm, key: string, value: string): void {
  const drive = world.options.read(key, value);
  const order = world.options.bootOrder(vm.pending.has("boot") ? vm.pending : vm.config);
  // A new CD-ROM can be booted from; PVE's own cloud-init drive is none of those.
  if (order.length === 0 || order.includes(key) || !isCdrom(drive) || isCloudInit(drive)) return;
  vm.pending.set("boot", printBoot([...order, key]));
}

function checkBoot(world: World, vm: Vm, value: string): void {
  for (const device of world.options.bootOrder(new Map([["boot", value]]))) {
    if (!vm.config.has(device) && !vm.pending.has(device)) {
      throw failure(`invalid bootorder: device '${device}' does not exist'`);
    }
  }
}

/** crypt(3) is not computed: what is kept has its form, and says nothing of the password. */
function hashedPassword(world: World, password: string): string {
  if (/^\$(?:[156]|2[ay])(?:\$.+){2}/.test(password)) return password;
  const hex = [...world.random.bytes(32)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `$5$${hex.slice(0, 8)}$${hex.slice(8, 51)}`;
}
