/** What runs inside a VM: tests bring their own, the double only switches it on and off. */
import type { Clock } from "../../../src/core/clock.ts";
import type { Volume } from "../state/volumes.ts";

/** A drive as the guest sees it. */
export interface GuestDisk {
  /** `scsi1`. */
  slot: string;
  serial: string | undefined;
  isReadOnly: boolean;
  isCdrom: boolean;
  /** Its `files` are what the guest reads and writes; a seed ISO is in `bytes`. */
  volume: Volume;
}

/** A directory of the node, shared by virtiofs. */
export interface GuestShare {
  /** The mapping's id, which is the tag to mount. */
  mapping: string;
  /** Contents by path, shared with the node and every other guest that has it. */
  files: Map<string, string>;
}

/** Where a connection should go. */
export interface Destination {
  address: string;
  protocol: "tcp" | "udp" | "icmp";
  port?: number;
}

/** What became of an attempt to connect; `why` names what stopped it. */
export type Reach = { isOpen: true; connection: Connection } | { isOpen: false; why: string };

/** An open connection. Rules that change later do not end it: what ends it is power off, link down or a removed NIC. */
export interface Connection {
  readonly from: string;
  readonly to: string;
  /** Whether packets still pass. */
  isAlive(): boolean;
}

/** The hardware that a guest finds. It is current at each call: what is hot-plugged appears. */
export interface Machine {
  readonly vmid: number;
  readonly clock: Clock;
  /** The configuration in force, as texts. */
  config(): ReadonlyMap<string, string>;
  disks(): GuestDisk[];
  shares(): GuestShare[];
  /** The NICs' names, MAC addresses and whether the cable is plugged in. */
  nics(): Array<{ name: string; mac: string; isUp: boolean }>;
  /** Tries to open a connection through this NIC with this address of its own. */
  connect(nic: string, address: string, to: Destination): Reach;
}

/** How a command ended. */
export interface ExecOutcome {
  exitCode: number;
  stdout?: string;
  stderr?: string;
}

/** The QEMU guest agent inside. */
export interface GuestAgent {
  /** Runs a command; the API shows its outcome when the promise is resolved. */
  exec(command: readonly string[], input: string | undefined): Promise<ExecOutcome>;
  writeFile(path: string, content: Uint8Array): void;
  /** Undefined when there is no such file. */
  readFile(path: string): Uint8Array | undefined;
}

/** What runs inside a VM. Made anew at each power-on: what should outlive one is on a disk, or with the factory. */
export interface Guest {
  /** The power came on. */
  boot(machine: Machine): void;
  /** It is gone, however that came. */
  off(): void;
  /** The agent, as soon as it answers; undefined when none does. */
  agent(): GuestAgent | undefined;
  /** How long after a shutdown's request it switches itself off; undefined: it does not react. */
  shutdownMs(): number | undefined;
  /** Whether it lets go of a device that is to be unplugged. */
  releases(slot: string): boolean;
  /** The addresses, with prefix length, that it has given to a NIC. */
  addresses(nic: string): string[];
  /** Whether a program inside answers there. */
  listens(protocol: Destination["protocol"], port: number | undefined): boolean;
}

/** Makes the guest of a VM that is switched on; `config` is the configuration in force. */
export type GuestFactory = (vmid: number, config: ReadonlyMap<string, string>) => Guest;

/** No operating system: no agent, no reaction, no device ever released. The recorded VMs were like this. */
export class NoGuest implements Guest {
  /** See {@link Guest}. */
  boot(_machine: Machine): void {}
  /** See {@link Guest}. */
  off(): void {}
  /** See {@link Guest}. */
  agent(): GuestAgent | undefined {
    return undefined;
  }
  /** See {@link Guest}. */
  shutdownMs(): number | undefined {
    return undefined;
  }
  /** See {@link Guest}. */
  releases(_slot: string): boolean {
    return false;
  }
  /** See {@link Guest}. */
  addresses(_nic: string): string[] {
    return [];
  }
  /** See {@link Guest}. */
  listens(_protocol: Destination["protocol"], _port: number | undefined): boolean {
    return false;
  }
}

/** How long the idle guest takes to switch itself off. */
const SHUTDOWN_MS = 500;

/** A system that does what it is told, has an agent that answers, and no command that could be run. */
export class IdleGuest implements Guest, GuestAgent {
  readonly #files = new Map<string, Uint8Array>();
  #isOn = false;

  /** See {@link Guest}. */
  boot(_machine: Machine): void {
    this.#isOn = true;
  }
  /** See {@link Guest}. */
  off(): void {
    this.#isOn = false;
  }
  /** See {@link Guest}. */
  agent(): GuestAgent | undefined {
    return this.#isOn ? this : undefined;
  }
  /** See {@link Guest}. */
  shutdownMs(): number | undefined {
    return SHUTDOWN_MS;
  }
  /** See {@link Guest}. */
  releases(_slot: string): boolean {
    return true;
  }
  /** See {@link Guest}. */
  addresses(_nic: string): string[] {
    return [];
  }
  /** See {@link Guest}. */
  listens(_protocol: Destination["protocol"], _port: number | undefined): boolean {
    return false;
  }
  /** See {@link GuestAgent}. */
  exec([program = ""]: readonly string[], _input: string | undefined): Promise<ExecOutcome> {
    return Promise.resolve({ exitCode: 127, stderr: `${program}: not found\n` });
  }
  /** See {@link GuestAgent}. */
  writeFile(path: string, content: Uint8Array): void {
    this.#files.set(path, content);
  }
  /** See {@link GuestAgent}. */
  readFile(path: string): Uint8Array | undefined {
    return this.#files.get(path);
  }
}
