/** The network between VMs and what is around them: who reaches whom, by cables, addresses and firewall. */
import type { Vm } from "../state/vm.ts";
import type { Nic } from "../state/options.ts";
import type { World } from "../state/world.ts";
import type { Connection, Destination, Reach } from "./guest.ts";
import { type Gate, judge, type Packet } from "./packets.ts";

/** A piece of wire: a bridge, or one VLAN of it. */
export interface Segment {
  bridge: string;
  tag?: number | undefined;
}

/** Something beside the VMs: gateway, proxy, canary, the site's DNS. */
export interface Host {
  name: string;
  segments: Segment[];
  addresses: string[];
  /** Whether it answers there. */
  answers: (protocol: Destination["protocol"], port: number | undefined) => boolean;
  /** Hands packets on between its segments. */
  isRouter?: boolean;
}

/** Where a VM's connection comes from. */
export interface Origin {
  vmid: number;
  nic: string;
  /** The address that the guest writes as its own. */
  address: string;
}

interface Plug {
  vm: Vm;
  nic: string;
  options: Nic;
  node: string;
}

interface End {
  name: string;
  segments: Segment[];
  plug: Plug | undefined;
  answers: (protocol: Destination["protocol"], port: number | undefined) => boolean;
}

const refused = (why: string): Reach => ({ isOpen: false, why });

/** All wires of a cluster. Bridges of the same name are one across its nodes. */
export class Network {
  readonly #world: World;
  /** What is beside the VMs. */
  readonly hosts = new Map<string, Host>();

  constructor(world: World) {
    this.#world = world;
  }

  /** A VM connects to somewhere. */
  connect(origin: Origin, to: Destination): Reach {
    this.#world.catchUp();
    const plug = this.#plug(origin.vmid, origin.nic);
    if (plug === undefined) return refused(`${origin.nic} of VM ${origin.vmid} is not plugged in`);
    const packet = packetOf(origin.address, to);
    const out = this.#judge(packet, "out", plug);
    if (out !== undefined) return refused(`VM ${origin.vmid} out: ${out}`);
    return this.#deliver(packet, [segmentOf(plug)], `VM ${origin.vmid}`, to, plug);
  }

  /** A host connects to somewhere. */
  connectFrom(host: string, to: Destination): Reach {
    this.#world.catchUp();
    const from = this.hosts.get(host);
    const address = from?.addresses[0];
    if (from === undefined || address === undefined) {
      return refused(`There is no host ${host} with an address`);
    }
    return this.#deliver(packetOf(address, to), from.segments, host, to, undefined);
  }

  #deliver(packet: Packet, from: Segment[], name: string, to: Destination, origin: Plug | undefined): Reach {
    const end = this.#ends().find((end) =>
      this.#hasAddress(end, to.address) && this.#isWired(from, end.segments)
    );
    if (end === undefined) return refused(`no wire leads to ${to.address}`);
    const inbound = end.plug === undefined ? undefined : this.#judge(packet, "in", end.plug);
    if (inbound !== undefined) return refused(`${end.name} in: ${inbound}`);
    if (!end.answers(to.protocol, to.port)) {
      return refused(`${end.name} does not answer ${to.protocol}/${to.port}`);
    }
    return { isOpen: true, connection: this.#connection(name, end, origin) };
  }

  /** Established packets are accepted before any rule is looked at, so only hardware ends a connection. */
  #connection(from: string, { name, plug }: End, origin: Plug | undefined): Connection {
    const plugs = [origin, plug].filter((plug) => plug !== undefined)
      .map((plug) => ({ plug, power: plug.vm.power, place: JSON.stringify(segmentOf(plug)) }));
    const isAlive = (): boolean =>
      plugs.every(({ plug, power, place }) => {
        const now = this.#plug(plug.vm.id, plug.nic);
        return now !== undefined && now.vm.power === power && now.options.mac === plug.options.mac &&
          JSON.stringify(segmentOf(now)) === place;
      });
    return { from, to: name, isAlive };
  }

  #ends(): End[] {
    const hosts = [...this.hosts.values()].map(({ name, segments, answers }) => ({
      name,
      segments,
      answers,
      plug: undefined,
    }));
    const vms = [...this.#world.vms.values()].flatMap((vm) =>
      this.#world.options.nics(vm.config).flatMap(([nic]) => {
        const plug = this.#plug(vm.id, nic);
        if (plug === undefined) return [];
        const answers: End["answers"] = (protocol, port) => vm.power?.guest.listens(protocol, port) === true;
        return [{ name: `VM ${vm.id}`, segments: [segmentOf(plug)], plug, answers }];
      })
    );
    return [...hosts, ...vms];
  }

  #hasAddress({ name, plug }: End, address: string): boolean {
    const addresses = plug === undefined
      ? this.hosts.get(name)?.addresses
      : plug.vm.power?.guest.addresses(plug.nic);
    return addresses?.some((own) => own.split("/")[0] === address) === true;
  }

  /** On one segment, or with a router between two. */
  #isWired(from: Segment[], to: Segment[]): boolean {
    if (share(from, to)) return true;
    const routers = [...this.hosts.values()].filter(({ isRouter }) => isRouter === true);
    return routers.some(({ segments }) => share(from, segments) && share(segments, to));
  }

  /** A NIC with its cable, while its VM runs on a node that is there. */
  #plug(vmid: number, nic: string): Plug | undefined {
    const vm = this.#world.vms.get(vmid);
    const value = vm?.config.get(nic);
    if (vm?.power === undefined || value === undefined) return undefined;
    const options = this.#world.options.nic(nic, value);
    return options.isLinkDown || options.bridge === undefined
      ? undefined
      : { vm, nic, options, node: vm.node };
  }

  /** Undefined when the packet passes, else what dropped it. */
  #judge(packet: Packet, direction: Gate["direction"], { vm, nic, options }: Plug): string | undefined {
    const { compiled } = this.#world;
    const file = compiled.vms.get(vm.id);
    if (file === undefined) return undefined;
    const gate = { direction, nic, mac: options.mac, hasFirewall: options.hasFirewall };
    const { isAccepted, by } = judge(packet, gate, compiled.cluster, file);
    return isAccepted ? undefined : by;
  }
}

function packetOf(source: string, { address, protocol, port }: Destination): Packet {
  return { protocol, source, destination: address, port };
}

function segmentOf({ options }: Plug): Segment {
  return { bridge: options.bridge ?? "", tag: options.tag };
}

function share(some: Segment[], others: Segment[]): boolean {
  return some.some((a) => others.some((b) => a.bridge === b.bridge && a.tag === b.tag));
}
