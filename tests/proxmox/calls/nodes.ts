/** Nodes, and what the API says of itself. */
import type { Call, CallTable } from "./call.ts";
import { nodeMeasures, usedMemory } from "./resources.ts";

type Answer = Record<string, unknown>;

const VERSION = { release: "9.2", repoid: "snapshot", version: "9.2.11" };
const GIB = 1024 ** 3;

function list({ world, user }: Call): Answer[] {
  return [...world.nodes.values()].map((node) => ({
    id: `node/${node.name}`,
    node: node.name,
    type: "node",
    level: "",
    ssl_fingerprint: Array(32).fill("00").join(":"),
    status: node.isOnline ? "online" : "offline",
    ...node.isOnline && user.may(`/nodes/${node.name}`, "Sys.Audit") && nodeMeasures(world, node),
  }));
}

function status({ world, values }: Call): Answer {
  const node = world.node(values.node);
  const used = usedMemory(world, node);
  return {
    "boot-info": { mode: "efi" },
    cpu: 0.01,
    cpuinfo: {
      cores: node.cpus,
      cpus: node.cpus,
      family: "6",
      flags: "fpu vme",
      hvm: "1",
      mhz: "2400.000",
      model: "QEMU Virtual CPU",
      sockets: 1,
      user_hz: 100,
      vendor: "GenuineIntel",
    },
    "current-kernel": {
      machine: "x86_64",
      release: "7.0.2-2-pve",
      sysname: "Linux",
      version: "#1 SMP PREEMPT_DYNAMIC",
    },
    idle: 0,
    ksm: { shared: 0 },
    kversion: "Linux 7.0.2-2-pve",
    loadavg: ["0.10", "0.10", "0.10"],
    memory: {
      available: node.memoryBytes - used,
      free: node.memoryBytes - used,
      total: node.memoryBytes,
      used,
    },
    pveversion: `pve-manager/${VERSION.version}/${VERSION.repoid}`,
    rootfs: { avail: 28 * GIB, free: 28 * GIB, total: 32 * GIB, used: 4 * GIB },
    swap: { free: 0, total: 0, used: 0 },
    uptime: Math.floor((world.clock.now() - node.bootedMs) / 1000),
    wait: 0,
  };
}

function time({ world }: Call): Answer {
  const seconds = Math.floor(world.clock.now() / 1000);
  return { localtime: seconds, time: seconds, timezone: "UTC" };
}

function networks({ world, values }: Call): Answer[] {
  const type = values.text("type");
  if (type !== undefined && !["bridge", "any_bridge", "any_local_bridge"].includes(type)) return [];
  return [...world.node(values.node).bridges].map(([iface, cidr]) => ({
    iface,
    type: "bridge",
    active: 1,
    autostart: 1,
    bridge_fd: "0",
    bridge_ports: "",
    bridge_stp: "off",
    families: ["inet"],
    priority: 3,
    method6: "manual",
    ...cidr === "" ? { method: "manual" } : {
      method: "static",
      address: cidr.split("/")[0],
      cidr,
      netmask: cidr.split("/")[1],
    },
  }));
}

/** Calls about nodes and the version. */
export const NODES: CallTable = {
  "GET ": () => ["version", "cluster", "nodes", "storage", "access", "pools"].map((subdir) => ({ subdir })),
  "GET /version": () => VERSION,
  "GET /nodes": list,
  "GET /nodes/{node}/version": () => VERSION,
  "GET /nodes/{node}/status": status,
  "GET /nodes/{node}/time": time,
  "GET /nodes/{node}/network": networks,
};
