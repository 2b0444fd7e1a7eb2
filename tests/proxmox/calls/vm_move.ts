/** Moving a disk to another VM or storage, and resizing it. */
import { configLock } from "../state/locks.ts";
import { isCdrom, isCloudInit, isUnusedSlot, printSize, readSize } from "../state/options.ts";
import type { TaskRun } from "../state/tasks.ts";
import { checkMarker, configDigest, isTemplate, type Vm } from "../state/vm.ts";
import { volidOf, type Volume } from "../state/volumes.ts";
import { failure, parameterError } from "../wire/errors.ts";
import { type Call, type CallTable, startTask, startVmTask } from "./call.ts";
import { copyImage, makeImage } from "./images.ts";
import { registerUnused } from "./vm_pending.ts";
import { printBoot, runUpdate } from "./vm_change.ts";

const MODIFIED = "detected modified configuration - file changed by other user? Try again.";

interface Reassignment {
  source: Vm;
  target: Vm;
  /** The drive as its new slot will have it. */
  drive: Map<string, string>;
  disk: string;
  targetDisk: string;
}

function vmInList(call: Call, vmid: number, what: string): Vm {
  const vm = call.world.vms.get(vmid);
  if (vm === undefined) throw failure(`could not find ${what}VM ${vmid}`);
  return vm;
}

function checkReassign(call: Call, targetId: number): Reassignment {
  const { world, values } = call;
  const disk = values.need("disk");
  const targetDisk = values.text("target-disk") ?? disk;
  const source = vmInList(call, values.vmid, "");
  const target = vmInList(call, targetId, "target ");
  if (source.node !== target.node) {
    throw failure(`Both VMs need to be on the same node (${source.node} != ${target.node})`);
  }
  checkMarker(source);
  checkMarker(target);
  if (isTemplate(source) || isTemplate(target)) throw failure("Can't move disks from or to template VMs");
  for (
    const [vm, digest] of [[source, values.text("digest")], [target, values.text("target-digest")]] as const
  ) {
    if (digest !== undefined && digest !== configDigest(vm)) throw failure(`VM ${vm.id}: ${MODIFIED}`);
  }
  const value = source.config.get(disk);
  if (value === undefined) throw failure(`Disk '${disk}' for VM '${source.id}' does not exist`);
  if (target.config.has(targetDisk)) {
    throw failure(`Target disk key '${targetDisk}' is already in use for VM '${target.id}'`);
  }
  const drive = world.options.read(disk, value);
  if (isCdrom(drive) && !isCloudInit(drive)) throw failure("CD drive contents can't be moved to another VM");
  if (source.power !== undefined && !isUnusedSlot(disk)) {
    throw failure("Cannot move disk to another VM while the source VM is running - detach first");
  }
  const kept = isUnusedSlot(targetDisk) ? new Map([["file", drive.get("file") ?? ""]]) : drive;
  return { source, target, drive: kept, disk, targetDisk };
}

async function reassign(call: Call, run: TaskRun, targetId: number): Promise<void> {
  const { world, user, values } = call;
  const { source, target, drive, disk, targetDisk } = checkReassign(call, targetId);
  run.print(`reassign disk '${disk}' from VM '${source.id}' as '${targetDisk}' to VM '${target.id}'`);
  const volume = world.volumes.get(drive.get("file") ?? "");
  const base = volume.base === undefined ? undefined : volume.base.slice(volume.storage.length + 1);
  world.volumes.rename(volume, world.volumes.freeName(volume.storage, target.id, volume.format, base));
  drive.set("file", volidOf(volume));
  const boot = world.options.bootOrder(source.config);
  if (boot.includes(disk)) {
    run.print(`removing disk '${disk}' from boot order config`);
    source.config.set("boot", printBoot(boot.filter((device) => device !== disk)));
  }
  source.config.delete(disk);
  run.print(`removing disk '${disk}' from VM '${source.id}' config`);
  if (isUnusedSlot(targetDisk)) {
    target.config.set(targetDisk, world.options.print(targetDisk, drive));
    return await run.pause(world.timings.stepMs);
  }
  const value = world.options.print(targetDisk, drive);
  await runUpdate(world, run, {
    vmid: target.id,
    node: values.node,
    user,
    set: new Map([[targetDisk, value]]),
    delete: [],
    isForced: false,
    digest: undefined,
    described: `-${targetDisk} ${value}`,
  });
  await run.pause(world.timings.stepMs);
}

function startReassign(call: Call, targetId: number): string {
  const { world, user, values } = call;
  user.need(`/vms/${targetId}`, "VM.Config.Disk");
  if (targetId === values.vmid) {
    throw parameterError({ "target-vmid": "must be different than source VMID to reassign disk" });
  }
  const { drive, disk, targetDisk } = checkReassign(call, targetId);
  user.need(`/storage/${(drive.get("file") ?? "").split(":")[0]}`, "Datastore.AllocateSpace");
  const wish = { waitMs: world.timings.lockMs };
  const id = `${values.vmid}-${disk}>${targetId}-${targetDisk}`;
  return startTask(call, "qmmove", id, (run) => {
    return run.locked(configLock(values.vmid), wish, () => {
      return run.locked(configLock(targetId), wish, () => reassign(call, run, targetId));
    });
  });
}

function checkMove(call: Call, storage: string): { vm: Vm; volume: Volume } {
  const { world, values } = call;
  const vm = world.vm(values.node, values.vmid);
  checkMarker(vm);
  const digest = values.text("digest");
  if (digest !== undefined && digest !== configDigest(vm)) throw failure(MODIFIED);
  const disk = values.need("disk");
  const value = vm.config.get(disk);
  if (value === undefined) throw failure(`disk '${disk}' does not exist`);
  const drive = world.options.read(disk, value);
  if (isCdrom(drive) && !isCloudInit(drive)) throw failure("you can't move a cdrom");
  const volume = world.volumes.get(drive.get("file") ?? "");
  const format = values.text("format");
  if (volume.storage === storage && (format === undefined || format === volume.format)) {
    throw failure("you can't move to the same storage with same format");
  }
  world.volumes.imageStorage(storage);
  return { vm, volume };
}

async function moveToStorage(call: Call, run: TaskRun, storage: string): Promise<void> {
  const { world, values } = call;
  const { vm, volume } = checkMove(call, storage);
  const disk = values.need("disk");
  run.print(
    `copying volume '${
      volidOf(volume)
    }' from current storage '${volume.storage}' to target storage '${storage}'`,
  );
  const format = values.text("format") ?? volume.format;
  const target = await makeImage(world, run, { storage, vmid: vm.id, format, sizeBytes: volume.sizeBytes });
  try {
    await copyImage(world, run, volume, target, values.number("bwlimit"));
  } catch (error) {
    world.volumes.free(volidOf(target));
    throw failure(`storage migration failed: ${error instanceof Error ? error.message : error}`);
  }
  const drive = world.options.read(disk, vm.config.get(disk) ?? "");
  const before = new Map(drive);
  vm.config.set(disk, world.options.print(disk, drive.set("file", volidOf(target))));
  if (values.flag("delete")) world.volumes.free(volidOf(volume));
  else registerUnused(world, vm, before);
}

function move(call: Call): string {
  const { world, user, values } = call;
  const targetId = values.number("target-vmid");
  const storage = values.text("storage");
  if (targetId !== undefined && storage !== undefined) {
    const complaint = "either set 'storage' or 'target-vmid', but not both";
    throw parameterError({ "target-vmid": complaint, storage: complaint });
  }
  if (targetId !== undefined) return startReassign(call, targetId);
  if (storage === undefined) {
    const complaint = "both 'storage' and 'target-vmid' missing, either needs to be set";
    throw parameterError({ "target-vmid": complaint, storage: complaint });
  }
  user.need(`/storage/${storage}`, "Datastore.AllocateSpace");
  checkMove(call, storage);
  return startVmTask(call, "qmmove", (run) => {
    return run.locked(configLock(values.vmid), { waitMs: world.timings.lockMs }, () => {
      return moveToStorage(call, run, storage);
    });
  });
}

async function resize(call: Call, run: TaskRun): Promise<void> {
  const { world, user, values } = call;
  const vm = world.vm(values.node, values.vmid);
  const digest = values.text("digest");
  if (digest !== undefined && digest !== configDigest(vm)) {
    throw failure("checksum mismatch (file change by other user?)");
  }
  checkMarker(vm);
  const disk = values.need("disk");
  const value = vm.config.get(disk);
  if (value === undefined) throw failure(`disk '${disk}' does not exist`);
  const drive = world.options.read(disk, value);
  if (isCdrom(drive)) throw failure("you can't resize a cdrom");
  const volume = world.volumes.get(drive.get("file") ?? "");
  user.need(`/storage/${volume.storage}`, "Datastore.AllocateSpace");
  const size = values.need("size");
  const bytes = size.startsWith("+") ? volume.sizeBytes + readSize(size.slice(1)) : readSize(size);
  if (bytes < volume.sizeBytes) throw failure("shrinking disks is not supported");
  if (bytes === volume.sizeBytes) return;
  await run.pause(world.timings.stepMs);
  volume.sizeBytes = bytes;
  if (vm.power === undefined) run.print("Image resized.");
  vm.config.set(disk, world.options.print(disk, drive.set("size", printSize(bytes))));
}

function startResize(call: Call): string {
  const { world, user, values } = call;
  if (values.flag("skiplock") && !user.isRoot) {
    throw parameterError({ skiplock: "Only root may use this option." });
  }
  return startVmTask(call, "resize", (run) => {
    return run.locked(configLock(values.vmid), { waitMs: world.timings.lockMs }, () => resize(call, run));
  });
}

/** Calls that move and resize disks. */
export const VM_MOVE: CallTable = {
  "POST /nodes/{node}/qemu/{vmid}/move_disk": move,
  "PUT /nodes/{node}/qemu/{vmid}/resize": startResize,
};
