/** Switching VMs on and off. */
import { PoweredGuest } from "../guest/powered.ts";
import { machineOf } from "../guest/machine.ts";
import { configLock } from "../state/locks.ts";
import { isCloudInit } from "../state/options.ts";
import type { TaskRun } from "../state/tasks.ts";
import { checkMarker, isTemplate, type Vm } from "../state/vm.ts";
import type { World } from "../state/world.ts";
import { failure, notModelled, parameterError } from "../wire/errors.ts";
import { type Call, type CallTable, startVmTask } from "./call.ts";
import { cloudInitFiles } from "./vm_cloudinit.ts";
import { applyAll } from "./vm_pending.ts";
import { hasAgent } from "./vm_reading.ts";

/** What a start needs, in the order in which the server finds it missing. */
function checkStart(world: World, run: TaskRun, vm: Vm): void {
  const { config } = vm;
  const node = world.node(vm.node);
  const custom = config.get("cicustom");
  if (custom !== undefined) {
    for (const volid of world.options.read("cicustom", custom).values()) world.volumes.get(volid);
  }
  const drives = world.options.drives(config);
  const seed = drives.find(([, drive]) => isCloudInit(drive))?.[1];
  if (seed !== undefined) {
    run.print("generating cloud-init ISO");
    world.volumes.get(seed.get("file") ?? "").files = cloudInitFiles(world, vm);
  }
  for (const [, drive] of drives) {
    const file = drive.get("file") ?? "none";
    if (file !== "none" && file !== "cdrom") world.volumes.get(file);
  }
  for (const [key, value] of config) {
    if (!/^virtiofs\d+$/.test(key)) continue;
    const id = world.options.read(key, value).get("dirid") ?? "";
    const path = world.mappings.get(id)?.paths.get(vm.node);
    if (path === undefined) throw failure(`Directory Mapping '${id}' not found for node ${vm.node}`);
    if (!node.directories.has(path)) {
      throw failure(`Directory Mapping invalid: directory ${path} does not exist`);
    }
  }
  for (const [, { bridge }] of world.options.nics(config)) {
    if (bridge !== undefined && !node.bridges.has(bridge)) throw failure(`bridge '${bridge}' does not exist`);
  }
  const { cpus, memoryBytes } = world.measurementOf(vm);
  if (cpus > node.cpus) throw failure(`MAX ${node.cpus} vcpus allowed per VM on this node`);
  if (memoryBytes > node.memoryBytes) {
    run.print("qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory");
    throw failure("start failed: QEMU exited with code 1");
  }
}

/** Starts a VM inside a task. */
export async function startVm(world: World, run: TaskRun, node: string, vmid: number): Promise<void> {
  await run.locked(configLock(vmid), { waitMs: world.timings.lockMs }, async () => {
    const vm = world.vm(node, vmid);
    if (isTemplate(vm)) throw failure("you can't start a vm if it's a template");
    checkMarker(vm);
    if (vm.power !== undefined) throw failure(`VM ${vmid} already running`);
    applyAll(world, vm);
    checkStart(world, run, vm);
    await run.pause(world.timings.startMs);
    powerOn(world, vm);
  });
}

/** QEMU runs from here on. */
export function powerOn(world: World, vm: Vm): void {
  const pid = 1_000 + Math.floor(world.random.next() * 4e6);
  const guest = world.guests(vm.id, vm.config);
  vm.power = new PoweredGuest(guest, machineOf(world, vm), world.clock.now(), pid);
}

/** QEMU is gone; what waited for that takes effect. */
export function powerOff(world: World, vm: Vm): void {
  vm.power?.guest.off();
  vm.power = undefined;
  applyAll(world, vm);
}

interface StopWish {
  /** Asks the guest first. */
  isAsked: boolean;
  timeoutMs: number;
  /** Switches off whoever does not react. */
  isForced: boolean;
}

async function stopVm(world: World, run: TaskRun, node: string, vmid: number, wish: StopWish): Promise<void> {
  if (!world.vms.has(vmid)) {
    throw failure(`unable to find configuration file for VM ${vmid} on node '${node}'`);
  }
  await run.locked(configLock(vmid), { waitMs: world.timings.lockMs }, async () => {
    const vm = world.vm(node, vmid);
    if (vm.power === undefined) return;
    checkMarker(vm);
    if (wish.isAsked && await askToShutDown(world, run, vm, wish)) return;
    await run.pause(world.timings.stopMs);
    powerOff(world, vm);
  });
}

/** True when the guest switched itself off. */
async function askToShutDown(world: World, run: TaskRun, vm: Vm, wish: StopWish): Promise<boolean> {
  const power = vm.power;
  if (power === undefined) return true;
  if (hasAgent(world, vm) && power.guest.agent() === undefined) {
    const command = `VM ${vm.id} qga command 'guest-ping' failed - got timeout`;
    run.print(`QEMU Guest Agent is not running - ${command}`);
  }
  const shutdownMs = power.isPaused ? undefined : power.guest.shutdownMs();
  const isWilling = shutdownMs !== undefined && shutdownMs <= wish.timeoutMs;
  await run.pause(isWilling ? shutdownMs : wish.timeoutMs);
  if (isWilling) {
    powerOff(world, vm);
    return true;
  }
  if (!wish.isForced) throw failure("VM quit/powerdown failed - got timeout");
  run.print("VM still running - terminating now with SIGTERM");
  return false;
}

function checkSkipLock({ user, values }: Call): void {
  if (values.flag("skiplock") && !user.isRoot) {
    throw parameterError({ skiplock: "Only root may use this option." });
  }
}

function start(call: Call): string {
  checkSkipLock(call);
  return startVmTask(call, "qmstart", (run) => startVm(call.world, run, call.values.node, call.values.vmid));
}

function stop(call: Call): string {
  checkSkipLock(call);
  const { world, values } = call;
  const wish = { isAsked: false, timeoutMs: 0, isForced: true };
  return startVmTask(call, "qmstop", (run) => stopVm(world, run, values.node, values.vmid, wish));
}

function shutdownWish({ world, values }: Call): StopWish {
  const timeout = values.number("timeout");
  return {
    isAsked: true,
    timeoutMs: timeout === undefined ? world.timings.shutdownMs : timeout * 1000,
    isForced: values.flag("forceStop"),
  };
}

function shutdown(call: Call): string {
  checkSkipLock(call);
  const { world, values } = call;
  const wish = shutdownWish(call);
  return startVmTask(call, "qmshutdown", (run) => stopVm(world, run, values.node, values.vmid, wish));
}

function checkRunning({ world, values }: Call): Vm {
  const vm = world.vms.get(values.vmid);
  if (vm?.power !== undefined) return vm;
  throw failure(`VM ${values.vmid} not running`);
}

function reboot(call: Call): string {
  const { world, values } = call;
  checkRunning(call);
  const wish = shutdownWish(call);
  return startVmTask(call, "qmreboot", async (run) => {
    await stopVm(world, run, values.node, values.vmid, wish);
    await startVm(world, run, values.node, values.vmid);
  });
}

function reset(call: Call): string {
  checkSkipLock(call);
  const { world, values } = call;
  checkRunning(call);
  return startVmTask(call, "qmreset", (run) => {
    return run.locked(configLock(values.vmid), { waitMs: world.timings.lockMs }, async () => {
      const vm = checkRunning(call);
      await run.pause(world.timings.stepMs);
      vm.power?.guest.off();
      powerOn(world, vm);
    });
  });
}

function setPaused(call: Call, type: string, isPaused: boolean): string {
  checkSkipLock(call);
  const { world, values } = call;
  if (values.flag("todisk")) {
    throw notModelled("POST", "/nodes/{node}/qemu/{vmid}/status/suspend with todisk");
  }
  checkRunning(call);
  return startVmTask(call, type, (run) => {
    return run.locked(configLock(values.vmid), { waitMs: world.timings.lockMs }, async () => {
      await run.pause(world.timings.stepMs);
      const { power } = checkRunning(call);
      if (power !== undefined) power.isPaused = isPaused;
    });
  });
}

/** Calls that switch VMs on and off. */
export const VM_POWER: CallTable = {
  "POST /nodes/{node}/qemu/{vmid}/status/start": start,
  "POST /nodes/{node}/qemu/{vmid}/status/stop": stop,
  "POST /nodes/{node}/qemu/{vmid}/status/shutdown": shutdown,
  "POST /nodes/{node}/qemu/{vmid}/status/reboot": reboot,
  "POST /nodes/{node}/qemu/{vmid}/status/reset": reset,
  "POST /nodes/{node}/qemu/{vmid}/status/suspend": (call) => setPaused(call, "qmpause", true),
  "POST /nodes/{node}/qemu/{vmid}/status/resume": (call) => setPaused(call, "qmresume", false),
};
