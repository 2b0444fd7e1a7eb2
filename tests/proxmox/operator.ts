/** Somebody at the node itself: what is done there asks neither API nor privileges. */
import { powerOff } from "./calls/vm_power.ts";
import { configLock } from "./state/locks.ts";
import type { Vm } from "./state/vm.ts";
import type { World } from "./state/world.ts";

/** The node's command line, and the hands of whoever stands before it. */
export class Operator {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** Sets an option of a VM (`qm set`), its `lock` included. */
  setOption(vmid: number, key: string, value: string): void {
    this.#world.catchUp();
    this.#vm(vmid).config.set(key, value);
  }

  /** Removes an option of a VM (`qm set --delete`, `qm unlock`). */
  deleteOption(vmid: number, key: string): void {
    this.#world.catchUp();
    this.#vm(vmid).config.delete(key);
  }

  /** Holds the lock of a VM's configuration until the returned function is called. */
  async holdConfig(vmid: number): Promise<() => void> {
    return await this.#world.locks.acquire(configLock(vmid), { waitMs: 0 });
  }

  /** A VM's QEMU dies. */
  crash(vmid: number): void {
    this.#world.catchUp();
    const vm = this.#vm(vmid);
    if (vm.power !== undefined) powerOff(this.#world, vm);
  }

  /** Takes a node away: the one that clients use answers nothing more, any other is not reached from there. */
  takeAway(node: string): void {
    this.#world.catchUp();
    this.#world.node(node).isOnline = false;
  }

  /** A node is back. */
  bringBack(node: string): void {
    this.#world.catchUp();
    this.#world.node(node).isOnline = true;
  }

  #vm(vmid: number): Vm {
    const vm = this.#world.vms.get(vmid);
    if (vm === undefined) throw new Error(`There is no VM ${vmid}`);
    return vm;
  }
}
