/** Everything that a cluster is, in one place, for calls to change and for tests to look at. */
import type { Clock, Random } from "../../../src/core/clock.ts";
import type { GuestFactory } from "../guest/guest.ts";
import { Network } from "../guest/network.ts";
import type { ApiMethod } from "../schema/schema.ts";
import { failure } from "../wire/errors.ts";
import { Access } from "./access.ts";
import { copyFirewall, emptyFirewall, type FirewallFile } from "./firewall_file.ts";
import { Locks } from "./locks.ts";
import { VmOptions } from "./options.ts";
import { type TaskFault, Tasks } from "./tasks.ts";
import type { Task } from "./tasks.ts";
import type { Timings } from "./timings.ts";
import { type Vm } from "./vm.ts";
import { Volumes } from "./volumes.ts";

/** A node. */
export interface Node {
  name: string;
  address: string;
  cpus: number;
  memoryBytes: number;
  /** Bridges with the address that the node has on each. */
  bridges: Map<string, string>;
  /** Directories that mappings may name, with their files. */
  directories: Map<string, Map<string, string>>;
  bootedMs: number;
  isOnline: boolean;
}

/** A pool. */
export interface Pool {
  comment: string | undefined;
  vms: Set<number>;
  storages: Set<string>;
}

/** A directory mapping for virtiofs: a path per node. */
export interface DirectoryMapping {
  description: string | undefined;
  paths: Map<string, string>;
}

/** What pvestatd last measured of a VM. */
export interface Measured {
  name: string | undefined;
  cpus: number;
  memoryBytes: number;
  diskBytes: number;
  isRunning: boolean;
  isTemplate: boolean;
  startedMs: number | undefined;
}

/** What a world is made with. */
export interface WorldParts {
  clock: Clock;
  random: Random;
  timings: Timings;
  schema: readonly ApiMethod[];
  guests: GuestFactory;
  /** The node whose address clients use. */
  localNode: string;
  /** The fault planned for a task that begins, if any. */
  faultOf: (task: Task) => TaskFault | undefined;
}

/** The state of a cluster. */
export class World {
  readonly clock: Clock;
  readonly random: Random;
  readonly timings: Timings;
  readonly options: VmOptions;
  readonly guests: GuestFactory;
  readonly localNode: string;
  readonly nodes = new Map<string, Node>();
  readonly vms = new Map<number, Vm>();
  readonly volumes = new Volumes();
  readonly pools = new Map<string, Pool>();
  readonly mappings = new Map<string, DirectoryMapping>();
  readonly access: Access;
  readonly locks: Locks;
  readonly tasks: Tasks;
  readonly network: Network;
  /** Firewall files by VMID; one may outlive its VM. */
  readonly firewalls = new Map<number, FirewallFile>();
  readonly clusterFirewall: FirewallFile = emptyFirewall();
  /** What pvestatd saw last, by VMID. */
  measured: ReadonlyMap<number, Measured> = new Map();
  /** The firewall that is in force, as of the daemon's last round. */
  compiled: { cluster: FirewallFile; vms: ReadonlyMap<number, FirewallFile> };
  #seenMs: number;

  constructor(parts: WorldParts) {
    this.clock = parts.clock;
    this.random = parts.random;
    this.timings = parts.timings;
    this.options = new VmOptions(parts.schema);
    this.guests = parts.guests;
    this.localNode = parts.localNode;
    this.locks = new Locks(parts.clock);
    this.access = new Access((path) => this.#poolOf(path));
    const { clock, random, timings, locks } = this;
    this.tasks = new Tasks({
      clock,
      random,
      timings,
      locks,
      faultOf: parts.faultOf,
      onTime: () => this.catchUp(),
    });
    this.network = new Network(this);
    this.compiled = { cluster: emptyFirewall(), vms: new Map() };
    this.#seenMs = clock.now();
  }

  /**
   * To be called before anything is read or changed after time has passed: the daemons' rounds that were due since
   * saw what is there now, because nothing was changed in between.
   */
  catchUp(): void {
    const [before, now] = [this.#seenMs, this.clock.now()];
    this.#seenMs = now;
    const isDue = (periodMs: number): boolean => Math.floor(now / periodMs) > Math.floor(before / periodMs);
    if (isDue(this.timings.statisticsMs)) this.measure();
    if (isDue(this.timings.firewallMs)) this.compile();
  }

  /** A round of pvestatd. */
  measure(): void {
    const online = [...this.vms.values()].filter(({ node }) => this.nodes.get(node)?.isOnline === true);
    this.measured = new Map(online.map((vm) => [vm.id, this.measurementOf(vm)]));
  }

  /** A round of pve-firewall. */
  compile(): void {
    this.compiled = {
      cluster: copyFirewall(this.clusterFirewall),
      vms: new Map([...this.firewalls].map(([vmid, file]) => [vmid, copyFirewall(file)])),
    };
  }

  /** What a look at a VM shows now. */
  measurementOf({ config, power }: Vm): Measured {
    const number = (key: string, otherwise: number): number => Number(config.get(key) ?? otherwise);
    return {
      name: config.get("name"),
      cpus: number("cores", 1) * number("sockets", 1),
      memoryBytes: Number((config.get("memory") ?? "512").replace("current=", "")) * 1024 ** 2,
      diskBytes: this.#bootDiskBytes(config),
      isRunning: power !== undefined,
      isTemplate: config.get("template") === "1",
      startedMs: power?.startedMs,
    };
  }

  /** The VM. Throws the server's words when there is none on this node. */
  vm(node: string, vmid: number): Vm {
    const vm = this.vms.get(vmid);
    if (vm !== undefined && vm.node === node) return vm;
    throw failure(`Configuration file 'nodes/${node}/qemu-server/${vmid}.conf' does not exist`);
  }

  /** The node. Throws the server's words when there is none. */
  node(name: string): Node {
    const node = this.nodes.get(name);
    if (node !== undefined) return node;
    const reason = `failed to get address info for: ${name}: Temporary failure in name resolution`;
    throw failure(`hostname lookup '${name}' failed - ${reason}`);
  }

  /** A VM's firewall file; what is set in a new one makes it stay. */
  firewall(vmid: number): FirewallFile {
    return this.firewalls.get(vmid) ?? emptyFirewall();
  }

  /** The pool that a VM is in. */
  poolOf(vmid: number): string | undefined {
    return [...this.pools].find(([, { vms }]) => vms.has(vmid))?.[0];
  }

  /** A new MAC address of Proxmox's own range. */
  newMac(): string {
    const bytes = [0xbc, 0x24, 0x11, ...this.random.bytes(3)];
    return bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(":");
  }

  /** A new random UUID. */
  newUuid(): string {
    const hex = [...this.random.bytes(16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return [
      hex.slice(0, 8),
      hex.slice(8, 12),
      `4${hex.slice(13, 16)}`,
      `8${hex.slice(17, 20)}`,
      hex.slice(20),
    ].join("-");
  }

  #poolOf(path: string): string | undefined {
    const vmid = /^\/vms\/(\d+)$/.exec(path)?.[1];
    if (vmid !== undefined) return this.poolOf(Number(vmid));
    const storage = /^\/storage\/([^/]+)$/.exec(path)?.[1];
    return [...this.pools].find(([, { storages }]) => storage !== undefined && storages.has(storage))?.[0];
  }

  #bootDiskBytes(config: ReadonlyMap<string, string>): number {
    const drives = new Map(this.options.drives(config).filter(([, drive]) => drive.get("media") !== "cdrom"));
    const first = this.options.bootOrder(config).find((device) => drives.has(device));
    const file = drives.get(first ?? "")?.get("file");
    return file === undefined ? 0 : this.volumes.find(file)?.sizeBytes ?? 0;
  }
}
