/** Cloning: the same checks twice, before the answer and inside the task, and a config file that others race for. */
import { copyFirewall } from "../state/firewall_file.ts";
import { configLock } from "../state/locks.ts";
import { type Drive, isCdrom, isCloudInit, printSize } from "../state/options.ts";
import type { TaskRun } from "../state/tasks.ts";
import { checkMarker, isTemplate, newVm, type Vm } from "../state/vm.ts";
import { volidOf, type Volume } from "../state/volumes.ts";
import { failure, parameterError, permissionError } from "../wire/errors.ts";
import { type Call, type CallTable, startVmTask } from "./call.ts";
import { copyImage, makeImage } from "./images.ts";
import { checkBridges, checkMappings } from "./vm_checks.ts";

interface Plan {
  source: Vm;
  newId: number;
  /** The new configuration without what is to be copied. */
  config: Map<string, string>;
  /** The drives to copy or link, in order. */
  drives: Array<{ slot: string; drive: Drive; isFull: boolean }>;
}

/** A clone's storage and format have a say only where everything is copied. */
function checkFull({ values }: Call, isFull: boolean): void {
  for (const name of ["storage", "format"]) {
    if (values.has(name) && !isFull) throw failure(`parameter '${name}' not allowed for linked clones`);
  }
}

function checkTarget({ world, values }: Call): void {
  const pool = values.text("pool");
  if (pool !== undefined && !world.pools.has(pool)) throw permissionError(`pool '${pool}' does not exist`);
  const target = values.text("target");
  if (target !== undefined && !world.nodes.has(target)) throw failure(`no such cluster node '${target}'`);
  const storage = values.text("storage");
  if (storage === undefined) return;
  const { shared = false } = world.volumes.imageStorage(storage);
  if (target !== undefined && target !== values.node && !shared) {
    throw failure(`can't clone to non-shared storage '${storage}'`);
  }
}

function planOf(call: Call): Plan {
  const { world, user, values } = call;
  const newId = Number(values.need("newid"));
  checkTarget(call);
  const source = world.vm(values.node, values.vmid);
  checkMarker(source);
  const snapshot = values.text("snapname");
  const config = snapshot === undefined ? source.config : source.snapshots.get(snapshot)?.config;
  if (config === undefined) throw failure(`snapshot '${snapshot}' does not exist`);
  const isFull = values.has("full") ? values.flag("full") : !isTemplate(source);
  checkFull(call, isFull);
  const drives = world.options.drives(config);
  for (const [, drive] of drives) checkStorageAccess(call, drive);
  checkMappings(world, user, config);
  checkBridges(world, user, config);
  if (world.vms.has(newId)) throw failure(`unable to create VM ${newId}: config file already exists`);
  const copied = drives.filter(([, drive]) => !isCdrom(drive) || isCloudInit(drive))
    .map(([slot, drive]) => ({ slot, drive, isFull: isFull || isCloudInit(drive) }));
  for (const { slot, drive, isFull } of copied) {
    const file = drive.get("file") ?? "";
    if (!isFull && !/\/base-\d+-disk-\d+\.\w+$/.test(file)) {
      throw failure(`Linked clone feature is not supported for '${file}' (${slot})`);
    }
  }
  return {
    source,
    newId,
    config: newConfig(call, config, new Set(copied.map(({ slot }) => slot))),
    drives: copied,
  };
}

function checkStorageAccess({ user, values }: Call, drive: Drive): void {
  const storage = (drive.get("file") ?? "").split(":")[0] ?? "";
  if (!isCdrom(drive)) user.need(`/storage/${values.text("storage") ?? storage}`, "Datastore.AllocateSpace");
}

/** Everything is copied but what belongs to the source alone; addresses and ids are drawn anew. */
function newConfig(
  { world, values }: Call,
  config: ReadonlyMap<string, string>,
  copied: Set<string>,
): Map<string, string> {
  const next = new Map<string, string>([["lock", "clone"]]);
  for (const [key, value] of config) {
    if (/^(?:unused\d+|template|parent|vmstate|lock)$/.test(key) || copied.has(key)) continue;
    next.set(key, value);
    if (!/^net\d+$/.test(key)) continue;
    const keys = world.options.read(key, value).set("macaddr", world.newMac());
    next.set(key, world.options.print(key, keys));
  }
  const smbios = world.options.read("smbios1", next.get("smbios1") ?? "").set("uuid", world.newUuid());
  next.set("smbios1", world.options.print("smbios1", smbios));
  if (next.has("vmgenid")) next.set("vmgenid", world.newUuid());
  next.set("name", values.text("name") ?? `Copy-of-VM-${config.get("name") ?? values.vmid}`);
  const description = values.text("description");
  if (description !== undefined) next.set("description", description);
  return next;
}

/** Copies or links a drive and returns what the new configuration says of it. */
async function cloneDrive(
  call: Call,
  run: TaskRun,
  plan: Plan,
  drive: Plan["drives"][number],
  made: Volume[],
): Promise<string> {
  const { world, values } = call;
  const { slot, isFull } = drive;
  const source = world.volumes.get(drive.drive.get("file") ?? "");
  run.print(`create ${isFull ? "full" : "linked"} clone of drive ${slot} (${volidOf(source)})`);
  const place = {
    storage: isFull ? values.text("storage") ?? source.storage : source.storage,
    vmid: plan.newId,
    format: isFull && !isCloudInit(drive.drive) ? values.text("format") ?? source.format : source.format,
    sizeBytes: source.sizeBytes,
  };
  const name = `${plan.newId}/vm-${plan.newId}-cloudinit.${source.format}`;
  const target = isCloudInit(drive.drive)
    ? await makeImage(world, run, { ...place, name, isTarget: true })
    : await makeImage(world, run, { ...place, isTarget: isFull }, isFull ? undefined : source);
  made.push(target);
  if (isFull && !isCloudInit(drive.drive)) {
    await copyImage(world, run, source, target, values.number("bwlimit"));
  }
  const options = new Map(drive.drive).set("file", volidOf(target)).set("size", printSize(target.sizeBytes));
  return world.options.print(slot, options);
}

async function clone(call: Call, run: TaskRun): Promise<void> {
  const { world, values } = call;
  const plan = planOf(call);
  run.print(`creating a clone of VM ${values.vmid} with ID ${plan.newId}`);
  const vm = newVm(plan.newId, values.node, plan.config);
  world.vms.set(vm.id, vm);
  const firewall = world.firewalls.get(values.vmid);
  if (firewall !== undefined) world.firewalls.set(vm.id, copyFirewall(firewall));
  const made: Volume[] = [];
  try {
    for (const drive of plan.drives) {
      vm.config.set(drive.slot, await cloneDrive(call, run, plan, drive, made));
    }
    await run.pause(world.timings.stepMs);
    vm.config.delete("lock");
    vm.node = values.text("target") ?? vm.node;
    const pool = values.text("pool");
    if (pool !== undefined) world.pools.get(pool)?.vms.add(vm.id);
  } catch (error) {
    for (const volume of made) world.volumes.free(volidOf(volume));
    world.firewalls.delete(vm.id);
    world.vms.delete(vm.id);
    throw failure(`clone failed: ${error instanceof Error ? error.message : error}`);
  }
}

function startClone(call: Call): string {
  const { world, values } = call;
  if (values.has("snapname") && values.text("snapname") === "current") {
    throw parameterError({ snapname: "the snapshot name 'current' is reserved" });
  }
  if (!world.vms.has(values.vmid)) {
    throw failure(`unable to find configuration file for VM ${values.vmid} on node '${values.node}'`);
  }
  planOf(call);
  const newId = Number(values.need("newid"));
  const waitMs = world.timings.cloneLockMs;
  // A running source is locked alone, one that is off only against being changed.
  const mode = world.vms.get(values.vmid)?.power === undefined ? "shared" : "exclusive";
  return startVmTask(call, "qmclone", (run) => {
    return run.locked(configLock(values.vmid), { mode, waitMs }, () => {
      return run.locked(configLock(newId), { waitMs }, () => clone(call, run));
    });
  });
}

/** The call that clones. */
export const VM_CLONE: CallTable = { "POST /nodes/{node}/qemu/{vmid}/clone": startClone };
