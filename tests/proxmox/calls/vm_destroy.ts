/** Destroying a VM, and all volumes that are its own. */
import { configLock } from "../state/locks.ts";
import type { TaskRun } from "../state/tasks.ts";
import { checkMarker, checkProtection, isTemplate, type Vm } from "../state/vm.ts";
import { volidOf } from "../state/volumes.ts";
import { failure, parameterError } from "../wire/errors.ts";
import { type Call, type CallTable, startVmTask } from "./call.ts";
import { volumesOf } from "./vm_reading.ts";

function check({ world, values }: Call): Vm {
  const vm = world.vm(values.node, values.vmid);
  checkProtection(vm, `can't remove VM ${vm.id}`);
  if (vm.power !== undefined) throw failure(`VM ${vm.id} is running - destroy failed`);
  return vm;
}

/** The VM's own volumes: those that its configuration names, used or not, or with the flag every one of its id. */
function volumesToFree({ world, values }: Call, vm: Vm): Set<string> {
  const configs = [vm.config, ...[...vm.snapshots.values()].map(({ config }) => config)];
  const named = configs.flatMap((config) =>
    volumesOf(world, config).map(([, drive]) => drive.get("file") ?? "")
  );
  const own = new Set(named.filter((volid) => world.volumes.find(volid)?.owner === vm.id));
  if (!values.flag("destroy-unreferenced-disks")) return own;
  return new Set([...own, ...world.volumes.ownedBy(vm.id).map(volidOf)]);
}

async function destroy(call: Call, run: TaskRun): Promise<void> {
  const { world, values } = call;
  const vm = check(call);
  checkMarker(vm);
  await run.pause(world.timings.stepMs);
  const volumes = volumesToFree(call, vm);
  for (const volid of volumes) {
    if (isTemplate(vm) && world.volumes.clonesOf(volid).length > 0) {
      throw failure(`base volume '${volid}' is still in use by linked cloned`);
    }
  }
  for (const volid of volumes) world.volumes.free(volid);
  vm.config = new Map([["lock", "destroyed"]]);
  world.access.grants = world.access.grants.filter(({ path }) => path !== `/vms/${vm.id}`);
  for (const pool of world.pools.values()) pool.vms.delete(vm.id);
  world.firewalls.delete(vm.id);
  if (values.flag("purge")) run.print(`purging VM ${vm.id} from related configurations..`);
  await run.pause(world.timings.stepMs);
  world.vms.delete(vm.id);
}

function startDestroy(call: Call): string {
  const { world, user, values } = call;
  if (values.flag("skiplock") && !user.isRoot) {
    throw parameterError({ skiplock: "Only root may use this option." });
  }
  check(call);
  return startVmTask(call, "qmdestroy", (run) => {
    return run.locked(configLock(values.vmid), { waitMs: world.timings.lockMs }, () => destroy(call, run));
  });
}

/** The call that destroys. */
export const VM_DESTROY: CallTable = { "DELETE /nodes/{node}/qemu/{vmid}": startDestroy };
