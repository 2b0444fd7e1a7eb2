/** What VMs are: lists, configuration, pending changes, current state. */
import type { Drive } from "../state/options.ts";
import { comingConfig, configDigest, isTemplate, type Vm } from "../state/vm.ts";
import type { World } from "../state/world.ts";
import { failure, parameterError } from "../wire/errors.ts";
import type { Call, CallTable } from "./call.ts";

const SECRET = "**********";

type Answer = Record<string, unknown>;

/** A configuration as JSON: numbers where the schema says so, and never a password. */
export function answerConfig(world: World, config: ReadonlyMap<string, string>): Answer {
  return Object.fromEntries([...config].map(([key, value]) => [key, answerValue(world, key, value)]));
}

function answerValue(world: World, key: string, value: string): string | number {
  return key === "cipassword" ? SECRET : world.options.answer(key, value);
}

/** Whether the QEMU guest agent is switched on in the configuration. */
export function hasAgent(world: World, { config }: Vm): boolean {
  const agent = config.get("agent");
  if (agent === undefined) return false;
  return /^(?:1|on|yes|true)$/i.test(world.options.read("agent", agent).get("enabled") ?? "");
}

function readConfig({ world, values }: Call): Answer {
  const vm = world.vm(values.node, values.vmid);
  const snapshot = values.text("snapshot");
  const digest = configDigest(vm);
  if (snapshot === undefined) {
    return { ...answerConfig(world, values.flag("current") ? vm.config : comingConfig(vm)), digest };
  }
  if (values.flag("current")) {
    throw parameterError({ snapshot: "cannot use 'snapshot' parameter with 'current'" });
  }
  const saved = vm.snapshots.get(snapshot);
  if (saved === undefined) throw failure(`snapshot '${snapshot}' does not exist`);
  return { ...answerConfig(world, saved.config), digest };
}

function readPending({ world, values }: Call): Answer[] {
  const vm = world.vm(values.node, values.vmid);
  const shown = (key: string, value: string | undefined, name: string): Answer => {
    return value === undefined ? {} : { [name]: answerValue(world, key, value) };
  };
  const keys = new Set([...vm.config.keys(), ...vm.pending.keys(), ...vm.pendingDelete.keys()]);
  const entries = [...keys].map((key) => ({
    key,
    ...shown(key, vm.config.get(key), "value"),
    ...shown(key, vm.pending.get(key), "pending"),
    ...vm.pendingDelete.has(key) && { delete: vm.pendingDelete.get(key) === true ? 2 : 1 },
  }));
  return [...entries, { key: "digest", value: configDigest(vm) }];
}

/** What `/nodes/{node}/qemu` and `status/current` have in common. */
function stateOf(world: World, vm: Vm): Answer {
  const { config, power } = vm;
  const { name, cpus, memoryBytes, diskBytes } = world.measurementOf(vm);
  const tags = config.get("tags");
  const lock = config.get("lock");
  return {
    vmid: vm.id,
    ...name !== undefined && { name },
    status: power === undefined ? "stopped" : "running",
    cpu: 0,
    cpus,
    disk: 0,
    maxdisk: diskBytes,
    mem: 0,
    memhost: 0,
    maxmem: memoryBytes,
    netin: 0,
    netout: 0,
    uptime: power === undefined ? 0 : Math.floor((world.clock.now() - power.startedMs) / 1000),
    ...config.has("serial0") && { serial: 1 },
    ...isTemplate(vm) && { template: 1 },
    ...tags !== undefined && { tags: tags === "" ? " " : tags },
    ...lock !== undefined && { lock },
    ...power !== undefined && { pid: power.pid, ...PRESSURE },
  };
}

/** Pressure stall information, which the double does not compute. */
const PRESSURE = {
  pressurecpufull: 0,
  pressurecpusome: 0,
  pressureiofull: 0,
  pressureiosome: 0,
  pressurememoryfull: 0,
  pressurememorysome: 0,
};

function qmpStatus({ power }: Vm): string {
  if (power === undefined) return "stopped";
  return power.isPaused ? "paused" : "running";
}

function listVms({ world, user, values }: Call): Answer[] {
  return [...world.vms.values()]
    .filter(({ id, node }) => node === values.node && user.may(`/vms/${id}`, "VM.Audit"))
    .map((vm) => ({ ...stateOf(world, vm), ...values.flag("full") && { qmpstatus: qmpStatus(vm) } }));
}

function readCurrent({ world, values }: Call): Answer {
  const vm = world.vm(values.node, values.vmid);
  const nics = world.options.nics(vm.config).map(([key]) => {
    return [`tap${vm.id}i${key.slice("net".length)}`, { netin: 0, netout: 0 }];
  });
  return {
    ...stateOf(world, vm),
    ha: { managed: 0 },
    qmpstatus: qmpStatus(vm),
    ...hasAgent(world, vm) && { agent: 1 },
    ...vm.power !== undefined && { nics: Object.fromEntries(nics) },
  };
}

/** The volumes that a configuration names, with where it names them. */
export function volumesOf(world: World, config: ReadonlyMap<string, string>): Array<[string, Drive]> {
  const unused = [...config].filter(([key]) => /^unused\d+$/.test(key))
    .map(([key, value]): [string, Drive] => [key, world.options.read(key, value)]);
  return [...world.options.drives(config), ...unused];
}

const subdirs = (names: string): Answer[] => names.split(" ").map((subdir) => ({ subdir }));

/** Calls that only read VMs. */
export const VM_READING: CallTable = {
  "GET /nodes/{node}/qemu": listVms,
  "GET /nodes/{node}/qemu/{vmid}": () =>
    subdirs(
      "config cloudinit pending status unlink vncproxy termproxy migrate resize move rrd rrddata monitor agent " +
        "snapshot spiceproxy sendkey firewall mtunnel remote_migrate",
    ),
  "GET /nodes/{node}/qemu/{vmid}/status": () => subdirs("current start stop reset shutdown suspend reboot"),
  "GET /nodes/{node}/qemu/{vmid}/config": readConfig,
  "GET /nodes/{node}/qemu/{vmid}/pending": readPending,
  "GET /nodes/{node}/qemu/{vmid}/status/current": readCurrent,
};
