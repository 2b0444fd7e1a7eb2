/** PUT and POST of a VM's configuration: checks, then changes that wait or take effect, one option after the other. */
import { configLock } from "../state/locks.ts";
import { isCdrom, isCloudInit, isDriveSlot, isUnusedSlot } from "../state/options.ts";
import { splitList } from "../schema/formats.ts";
import { checkMarker, checkProtection, configDigest, type Vm } from "../state/vm.ts";
import type { World } from "../state/world.ts";
import type { Principal } from "../state/access.ts";
import { failure, parameterError } from "../wire/errors.ts";
import { type Call, type CallTable, startVmTask, type Steps, stepsOfCall } from "./call.ts";
import { applyPending, registerUnused } from "./vm_pending.ts";
import { checkBridges, checkDriveAccess, checkVolumeAccess, readDrive } from "./vm_checks.ts";
import { createDrive } from "./vm_drives.ts";
import { checkOption, checkOptionValue } from "./vm_option_rights.ts";
import { isSshKeys } from "./ssh_keys.ts";

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

/** Not options of a VM, but of the call. */
const NOT_OPTIONS = new Set([
  "background_delay",
  "delete",
  "digest",
  "force",
  "idlist",
  "import-working-storage",
  "node",
  "revert",
  "skip_cloud_init",
  "skiplock",
  "vmid",
]);
const NOT_DESCRIBED = new Set([
  "background_delay",
  "digest",
  "import-working-storage",
  "node",
  "skip_cloud_init",
  "vmid",
]);

function updateOf({ world, user, values }: Call, deleted: string): Update {
  const set = new Map<string, string | null>();
  for (const key of values.keys().filter((key) => !NOT_OPTIONS.has(key)).sort()) {
    set.set(key, values.isNull(key) ? null : values.text(key) ?? values.items(key).join(","));
  }
  const cdrom = set.get("cdrom");
  if (typeof cdrom === "string") set.set("ide2", /media=/.test(cdrom) ? cdrom : `${cdrom},media=cdrom`);
  set.delete("cdrom");
  if (values.flag("skiplock") && !user.isRoot) {
    throw parameterError({ skiplock: "Only root may use this option." });
  }
  const keys = set.get("sshkeys");
  if (typeof keys === "string" && !isSshKeys(keys)) throw failure("SSH public key validation error");
  const described = values.keys().filter((key) => !NOT_DESCRIBED.has(key)).sort()
    .map((key) => `-${key} ${key === "cipassword" ? "<hidden>" : values.text(key) ?? ""}`).join(" ");
  const update: Update = {
    vmid: values.vmid,
    node: values.node,
    user,
    set,
    delete: values.list(deleted).map((key) => key === "cdrom" ? "ide2" : key),
    isForced: values.flag("force"),
    digest: values.text("digest"),
    described,
  };
  revert(world, update, values.list("revert"));
  if (set.size === 0 && update.delete.length === 0 && values.list("revert").length === 0) {
    throw failure("no options specified");
  }
  return update;
}

/** Taking back a pending change is setting what is in force, or not setting it at all. */
function revert(world: World, update: Update, keys: string[]): void {
  const vm = world.vms.get(update.vmid);
  for (const key of keys) {
    if (!world.options.exists(key)) throw parameterError({ revert: `unknown option '${key}'` });
    vm?.pending.delete(key);
    vm?.pendingDelete.delete(key);
  }
}

/** All that is checked before a lock is taken. Values are put into the form in which the file keeps them. */
export function checkUpdate(world: World, update: Update): void {
  for (const key of update.delete) {
    if (update.set.has(key)) {
      throw parameterError({ delete: `you can't use '-${key}' and -delete ${key}' at the same time` });
    }
    if (!world.options.exists(key)) throw parameterError({ delete: `unknown option '${key}'` });
  }
  for (const [key, value] of update.set) {
    if (value === null) continue;
    if (isDriveSlot(key)) update.set.set(key, world.options.print(key, readDrive(world, key, value)));
    if (/^net\d+$/.test(key)) update.set.set(key, withMac(world, key, value));
    if (key === "hookscript") checkHookscript(world, value);
  }
  for (const key of update.delete) checkOption(update.user, update.vmid, key);
  for (const key of update.set.keys()) checkOption(update.user, update.vmid, key);
  const given = givenConfig(update);
  checkStorages(world, update, given);
  checkBridges(world, update.user, given);
  checkState(world, update);
}

function givenConfig({ set }: Update): Map<string, string> {
  return new Map([...set].flatMap(([key, value]) => value === null ? [] : [[key, value]]));
}

function withMac(world: World, key: string, value: string): string {
  const keys = world.options.read(key, value);
  if (!keys.has("macaddr")) keys.set("macaddr", world.newMac());
  return world.options.print(key, keys);
}

function checkHookscript(world: World, volid: string): void {
  if (world.volumes.find(volid) === undefined) {
    throw parameterError({ hookscript: `script '${volid}' does not exist\n` });
  }
}

function checkStorages(world: World, { user, vmid }: Update, given: ReadonlyMap<string, string>): void {
  for (const [slot, drive] of world.options.drives(given)) checkDriveAccess(world, user, vmid, slot, drive);
  for (const [key, value] of given) {
    if (isUnusedSlot(key)) {
      checkVolumeAccess(world, user, vmid, world.options.read(key, value).get("file") ?? "");
    }
  }
  const custom = given.get("cicustom");
  if (custom === undefined) return;
  for (const volid of world.options.read("cicustom", custom).values()) {
    const storage = volid.split(":")[0] ?? "";
    world.volumes.storage(storage);
    user.needAny(`/storage/${storage}`, ["Datastore.Allocate", "Datastore.Audit"]);
  }
}

/** What must hold before, and again when the lock is held. */
function checkState(world: World, { vmid, node, digest }: Update): Vm {
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

async function update(call: Call, deleted: string, isAsync: boolean): Promise<string | null> {
  const { world, values } = call;
  const wanted = updateOf(call, deleted);
  checkUpdate(world, wanted);
  const lock = configLock(values.vmid);
  const wish = { waitMs: world.timings.lockMs };
  if (isAsync) {
    return startVmTask(call, "qmconfig", (run) => {
      return run.locked(lock, wish, async () => {
        await runUpdate(world, run, wanted);
        await run.pause(world.timings.stepMs);
      });
    });
  }
  const steps = stepsOfCall(world);
  await steps.locked(lock, wish, () => runUpdate(world, steps, wanted));
  return null;
}

/** Calls that change a configuration. */
export const VM_UPDATE: CallTable = {
  "PUT /nodes/{node}/qemu/{vmid}/config": (call) => update(call, "delete", false),
  "POST /nodes/{node}/qemu/{vmid}/config": (call) => update(call, "delete", true),
  "PUT /nodes/{node}/qemu/{vmid}/unlink": (call) => update(call, "idlist", false),
};
