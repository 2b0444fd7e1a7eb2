/** Making a VM from nothing, and turning one into a template. */
import { configLock } from "../state/locks.ts";
import { isCdrom, isDriveSlot } from "../state/options.ts";
import { splitList } from "../schema/formats.ts";
import type { TaskRun } from "../state/tasks.ts";
import { checkMarker, isTemplate, newVm, type Vm } from "../state/vm.ts";
import { volidOf } from "../state/volumes.ts";
import { failure, notModelled, permissionError } from "../wire/errors.ts";
import { type Call, type CallTable, startVmTask } from "./call.ts";
import { isSshKeys } from "./ssh_keys.ts";
import { checkBridges, checkDriveAccess, checkMappings, readDrive } from "./vm_checks.ts";
import { baseName, createDrive } from "./vm_drives.ts";
import { checkOption, checkOptionValue } from "./vm_option_rights.ts";
import { startVm } from "./vm_power.ts";
import { printBoot } from "./vm_change.ts";

const NOT_OPTIONS = new Set([
  "archive",
  "bwlimit",
  "force",
  "ha-managed",
  "import-working-storage",
  "live-restore",
  "node",
  "pool",
  "start",
  "storage",
  "unique",
  "vmid",
]);

function optionsOf({ world, values }: Call): Map<string, string> {
  const options = new Map<string, string>();
  for (const key of values.keys().filter((key) => !NOT_OPTIONS.has(key)).sort()) {
    const value = values.text(key) ?? values.items(key).join(",");
    if (isDriveSlot(key)) {
      options.set(key, world.options.print(key, readDrive(world, key, value)));
    } else if (/^net\d+$/.test(key)) {
      const keys = world.options.read(key, value);
      if (!keys.has("macaddr")) keys.set("macaddr", world.newMac());
      options.set(key, world.options.print(key, keys));
    } else {
      options.set(
        key,
        key === "tags" ? [...new Set(splitList(value.toLowerCase()))].sort().join(";") : value,
      );
    }
  }
  return options;
}

function checkCreate({ world, user, values }: Call, options: ReadonlyMap<string, string>): void {
  const vmid = values.vmid;
  const pool = values.text("pool");
  if (values.has("archive")) throw notModelled("POST", "/nodes/{node}/qemu with archive");
  const keys = options.get("sshkeys");
  if (keys !== undefined && !isSshKeys(keys)) throw failure("SSH public key validation error");
  if (pool !== undefined && !world.pools.has(pool)) throw permissionError(`pool '${pool}' does not exist`);
  const isAllowed = user.may(`/vms/${vmid}`, "VM.Allocate") ||
    (pool !== undefined && user.may(`/pool/${pool}`, "VM.Allocate"));
  if (!isAllowed) throw permissionError();
  // What a pool allows counts for a VM that will be in it.
  const scope = user.may(`/vms/${vmid}`, "VM.Allocate") || pool === undefined ? undefined : pool;
  for (const key of options.keys()) if (scope === undefined) checkOption(user, vmid, key);
  for (const [key, value] of options) {
    if (scope === undefined) checkOptionValue(world, user, vmid, key, value, "set");
  }
  for (const [slot, drive] of world.options.drives(options)) checkDriveAccess(world, user, vmid, slot, drive);
  checkMappings(world, user, options);
  checkBridges(world, user, options);
}

async function fill(call: Call, run: TaskRun, vm: Vm, options: ReadonlyMap<string, string>): Promise<void> {
  const { world, values } = call;
  const config = new Map(options);
  for (const [slot, drive] of world.options.drives(options)) {
    config.set(slot, await createDrive(world, run, vm, slot, drive));
  }
  await run.pause(world.timings.stepMs);
  if (!config.has("boot")) config.set("boot", defaultBoot(call, config));
  if (!config.has("smbios1")) config.set("smbios1", `uuid=${world.newUuid()}`);
  if (!config.has("vmgenid") || config.get("vmgenid") === "1") config.set("vmgenid", world.newUuid());
  config.set("meta", `creation-qemu=10.0.13,ctime=${Math.floor(world.clock.now() / 1000)}`);
  vm.config = config;
  const pool = values.text("pool");
  if (pool !== undefined) world.pools.get(pool)?.vms.add(vm.id);
}

/** The first disk, then the CD-ROMs, then the first NIC. */
function defaultBoot({ world }: Call, config: ReadonlyMap<string, string>): string {
  const drives = world.options.drives(config);
  const disk = drives.find(([, drive]) => !isCdrom(drive))?.[0];
  const cdroms = drives.filter(([, drive]) => isCdrom(drive)).map(([slot]) => slot);
  const nic = world.options.nics(config)[0]?.[0];
  return printBoot([disk, ...cdroms, nic].filter((device) => device !== undefined));
}

function create(call: Call): string {
  const { world, values } = call;
  const options = optionsOf(call);
  checkCreate(call, options);
  const vmid = values.vmid;
  if (world.vms.has(vmid)) {
    throw failure(`unable to create VM ${vmid} - VM ${vmid} already exists on node '${values.node}'`);
  }
  // The file is made before the answer: of two creations only one gets a task.
  const vm = newVm(vmid, values.node, [["lock", "create"]]);
  world.vms.set(vmid, vm);
  return startVmTask(call, "qmcreate", async (run) => {
    const before = new Set(world.volumes.ownedBy(vmid).map(volidOf));
    try {
      await run.locked(
        configLock(vmid),
        { waitMs: world.timings.cloneLockMs },
        () => fill(call, run, vm, options),
      );
    } catch (error) {
      for (const volume of world.volumes.ownedBy(vmid)) {
        if (!before.has(volidOf(volume))) world.volumes.free(volidOf(volume));
      }
      world.vms.delete(vmid);
      throw failure(`unable to create VM ${vmid} - ${error instanceof Error ? error.message : error}`);
    }
    if (values.flag("start")) await startVm(world, run, values.node, vmid);
  });
}

function makeTemplate(call: Call): string {
  const { world, values } = call;
  const check = (): Vm => {
    const vm = world.vm(values.node, values.vmid);
    checkMarker(vm);
    if (isTemplate(vm) && !values.has("disk")) throw failure("you can't convert a template to a template");
    if (vm.snapshots.size > 0) throw failure("unable to create template, because VM contains snapshots");
    if (vm.power !== undefined) throw failure("you can't convert a VM to template if VM is running");
    return vm;
  };
  check();
  return startVmTask(call, "qmtemplate", (run) => {
    return run.locked(configLock(values.vmid), { waitMs: world.timings.lockMs }, async () => {
      const vm = check();
      await run.pause(world.timings.stepMs);
      vm.config.set("template", "1");
      for (const [slot, drive] of world.options.drives(vm.config)) {
        const volume = world.volumes.find(drive.get("file") ?? "");
        if (isCdrom(drive) || volume === undefined) continue;
        world.volumes.rename(volume, baseName(volume));
        vm.config.set(slot, world.options.print(slot, drive.set("file", volidOf(volume))));
      }
    });
  });
}

/** Calls that make VMs and templates. */
export const VM_CREATE: CallTable = {
  "POST /nodes/{node}/qemu": create,
  "POST /nodes/{node}/qemu/{vmid}/template": makeTemplate,
};
