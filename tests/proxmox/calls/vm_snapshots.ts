/** Snapshots: of the configuration alone, which is what listing and cloning one needs. */
import { configLock } from "../state/locks.ts";
import { checkMarker, isTemplate } from "../state/vm.ts";
import { failure } from "../wire/errors.ts";
import { type Call, type CallTable, startVmTask } from "./call.ts";
import { answerConfig } from "./vm_reading.ts";

function list({ world, values }: Call): unknown {
  const vm = world.vm(values.node, values.vmid);
  const saved = [...vm.snapshots].map(([name, { createdMs, description, parent }]) => ({
    name,
    description: description ?? "",
    snaptime: Math.floor(createdMs / 1000),
    vmstate: 0,
    ...parent !== undefined && { parent },
  }));
  const last = vm.config.get("parent");
  const current = {
    name: "current",
    description: "You are here!",
    running: vm.power === undefined ? 0 : 1,
    ...last !== undefined && { parent: last },
  };
  return [...saved, current];
}

function create(call: Call): string {
  const { world, values } = call;
  const name = values.need("snapname");
  return startVmTask(call, "qmsnapshot", (run) => {
    return run.locked(configLock(values.vmid), { waitMs: world.timings.lockMs }, async () => {
      const vm = world.vm(values.node, values.vmid);
      checkMarker(vm);
      if (isTemplate(vm)) throw failure("you can't take a snapshot if it's a template");
      if (vm.snapshots.has(name)) throw failure(`snapshot name '${name}' already used`);
      await run.pause(world.timings.stepMs);
      const parent = vm.config.get("parent");
      const description = values.text("description");
      vm.snapshots.set(name, {
        config: new Map(vm.config),
        createdMs: world.clock.now(),
        description,
        parent,
      });
      vm.config.set("parent", name);
    });
  });
}

function remove(call: Call): string {
  const { world, values } = call;
  const name = values.need("snapname");
  return startVmTask(call, "qmdelsnapshot", (run) => {
    return run.locked(configLock(values.vmid), { waitMs: world.timings.lockMs }, async () => {
      const vm = world.vm(values.node, values.vmid);
      checkMarker(vm);
      const saved = vm.snapshots.get(name);
      if (saved === undefined) throw failure(`snapshot '${name}' does not exist`);
      await run.pause(world.timings.stepMs);
      vm.snapshots.delete(name);
      if (vm.config.get("parent") !== name) return;
      if (saved.parent === undefined) vm.config.delete("parent");
      else vm.config.set("parent", saved.parent);
    });
  });
}

function readConfig({ world, values }: Call): unknown {
  const name = values.need("snapname");
  const saved = world.vm(values.node, values.vmid).snapshots.get(name);
  if (saved === undefined) throw failure(`snapshot '${name}' does not exist`);
  return answerConfig(world, saved.config);
}

/** Calls about snapshots. */
export const VM_SNAPSHOTS: CallTable = {
  "GET /nodes/{node}/qemu/{vmid}/snapshot": list,
  "POST /nodes/{node}/qemu/{vmid}/snapshot": create,
  "DELETE /nodes/{node}/qemu/{vmid}/snapshot/{snapname}": remove,
  "GET /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config": readConfig,
};
