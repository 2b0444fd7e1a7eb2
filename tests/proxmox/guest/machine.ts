/** The hardware that a VM gives to its guest. */
import type { Vm } from "../state/vm.ts";
import type { World } from "../state/world.ts";
import type { Destination, GuestDisk, GuestShare, Machine, Reach } from "./guest.ts";

/** The machine of a VM; what it shows is read from the configuration in force at each look. */
export function machineOf(world: World, vm: Vm): Machine {
  return {
    vmid: vm.id,
    clock: world.clock,
    config: () => vm.config,
    disks: () => disksOf(world, vm),
    shares: () => sharesOf(world, vm),
    nics: () => {
      return world.options.nics(vm.config).map(([name, { mac, isLinkDown }]) => ({
        name,
        mac,
        isUp: !isLinkDown,
      }));
    },
    connect: (nic: string, address: string, to: Destination): Reach => {
      return world.network.connect({ vmid: vm.id, nic, address }, to);
    },
  };
}

function disksOf(world: World, vm: Vm): GuestDisk[] {
  return world.options.drives(vm.config).flatMap(([slot, drive]) => {
    const volume = world.volumes.find(drive.get("file") ?? "");
    if (volume === undefined) return [];
    const isCdrom = drive.get("media") === "cdrom";
    return [{
      slot,
      serial: drive.get("serial"),
      isReadOnly: isCdrom || drive.get("ro") === "1",
      isCdrom,
      volume,
    }];
  });
}

function sharesOf(world: World, vm: Vm): GuestShare[] {
  const directories = world.nodes.get(vm.node)?.directories;
  return [...vm.config].filter(([key]) => /^virtiofs\d+$/.test(key)).flatMap(([key, value]) => {
    const mapping = world.options.read(key, value).get("dirid") ?? "";
    const files = directories?.get(world.mappings.get(mapping)?.paths.get(vm.node) ?? "");
    return files === undefined ? [] : [{ mapping, files }];
  });
}
