/** The cluster's list of everything, as the daemons last saw it. */
import type { Node, World } from "../state/world.ts";
import { parameterError } from "../wire/errors.ts";
import type { Call, CallTable } from "./call.ts";

type Answer = Record<string, unknown>;

/** The lowest id that a VM may have. */
const VMID_MIN = 100;

/** A VM without its pool: what pvestatd measured, or only that there is one when it has not looked yet. */
export function vmResource(world: World, vmid: number): Answer {
  const vm = world.vms.get(vmid);
  const measured = world.measured.get(vmid);
  const entry = { id: `qemu/${vmid}`, node: vm?.node, type: "qemu", vmid };
  if (measured === undefined || world.nodes.get(vm?.node ?? "")?.isOnline !== true) {
    return { ...entry, status: "unknown" };
  }
  const { name, startedMs } = measured;
  return {
    ...entry,
    ...name !== undefined && { name },
    status: measured.isRunning ? "running" : "stopped",
    template: measured.isTemplate ? 1 : 0,
    cpu: 0,
    disk: 0,
    diskread: 0,
    diskwrite: 0,
    maxcpu: measured.cpus,
    maxdisk: measured.diskBytes,
    maxmem: measured.memoryBytes,
    mem: 0,
    memhost: 0,
    netin: 0,
    netout: 0,
    uptime: startedMs === undefined ? 0 : Math.floor((world.clock.now() - startedMs) / 1000),
  };
}

function vms({ world, user }: Call): Answer[] {
  return [...world.vms.values()].filter(({ id }) => user.may(`/vms/${id}`, "VM.Audit")).map(
    ({ id, config }) => {
      const pool = world.poolOf(id);
      const [tags, lock] = [config.get("tags"), config.get("lock")];
      return {
        ...vmResource(world, id),
        ...pool !== undefined && { pool },
        ...tags !== undefined && { tags },
        ...lock !== undefined && { lock },
      };
    },
  );
}

/** Memory that running VMs have, beside the host's own. */
export function usedMemory(world: World, node: Node): number {
  const running = [...world.vms.values()].filter((vm) => vm.node === node.name && vm.power !== undefined);
  return running.reduce((sum, vm) => sum + world.measurementOf(vm).memoryBytes, HOST_MEMORY_BYTES);
}

const HOST_MEMORY_BYTES = 1024 ** 3;

/** What a node measures of itself. */
export function nodeMeasures(world: World, node: Node): Answer {
  return {
    cpu: 0.01,
    maxcpu: node.cpus,
    mem: usedMemory(world, node),
    maxmem: node.memoryBytes,
    disk: 4 * 1024 ** 3,
    maxdisk: 32 * 1024 ** 3,
    uptime: Math.floor((world.clock.now() - node.bootedMs) / 1000),
  };
}

function nodes({ world, user }: Call): Answer[] {
  return [...world.nodes.values()].map((node) => ({
    id: `node/${node.name}`,
    node: node.name,
    type: "node",
    level: "",
    "cgroup-mode": 2,
    status: node.isOnline ? "online" : "offline",
    ...node.isOnline && user.may(`/nodes/${node.name}`, "Sys.Audit") && nodeMeasures(world, node),
  }));
}

function storages({ world, user }: Call): Answer[] {
  const visible = [...world.volumes.storages.values()].filter(({ id }) => {
    return user.mayAny(`/storage/${id}`, ["Datastore.Audit", "Datastore.AllocateSpace"]);
  });
  return visible.flatMap((storage) => {
    const { usedBytes, totalBytes } = world.volumes.space(storage);
    const here = [...world.nodes.values()].filter(({ name }) => storage.nodes?.includes(name) !== false);
    return here.map((node) => ({
      id: `storage/${node.name}/${storage.id}`,
      node: node.name,
      storage: storage.id,
      type: "storage",
      plugintype: "dir",
      content: storage.content.join(","),
      shared: storage.shared === true ? 1 : 0,
      status: node.isOnline ? "available" : "unknown",
      ...node.isOnline && { disk: usedBytes, maxdisk: totalBytes },
    }));
  });
}

function pools({ world, user }: Call): Answer[] {
  return [...world.pools.keys()].filter((pool) => user.may(`/pool/${pool}`, "Pool.Audit"))
    .map((pool) => ({ id: `/pool/${pool}`, pool, type: "pool" }));
}

function resources(call: Call): Answer[] {
  switch (call.values.text("type")) {
    case "vm":
      return vms(call);
    case "node":
      return nodes(call);
    case "storage":
      return storages(call);
    case "sdn":
      return [];
    default:
      return [...pools(call), ...vms(call), ...nodes(call), ...storages(call)];
  }
}

/** The lowest free id, or whether the one asked for is free. It reserves nothing. */
function nextId({ world, values }: Call): string {
  const asked = values.number("vmid");
  if (asked !== undefined) {
    if (world.vms.has(asked)) throw parameterError({ vmid: `VM ${asked} already exists` });
    return `${asked}`;
  }
  let id = VMID_MIN;
  while (world.vms.has(id)) id++;
  return `${id}`;
}

function status({ world }: Call): Answer[] {
  return [...world.nodes.values()].map((node) => ({
    id: `node/${node.name}`,
    name: node.name,
    type: "node",
    ip: node.address,
    level: "",
    local: node.name === world.localNode ? 1 : 0,
    nodeid: 0,
    online: node.isOnline ? 1 : 0,
  }));
}

/** Calls about the cluster. */
export const RESOURCES: CallTable = {
  "GET /cluster/resources": resources,
  "GET /cluster/nextid": nextId,
  "GET /cluster/status": status,
};
