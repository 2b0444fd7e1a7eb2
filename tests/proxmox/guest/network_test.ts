import assert from "node:assert/strict";
import { loadSchema } from "../schema/schema.ts";
import { onStage, qemu, type UnitStage } from "../stage.ts";
import { type Destination, IdleGuest, type Machine, type Reach } from "./guest.ts";

const schema = loadSchema();
const ADDRESS = "10.77.0.21";
const PROXY = { address: "10.77.0.5", protocol: "tcp", port: 3128 } satisfies Destination;
const OUTSIDE = { address: "192.0.2.7", protocol: "tcp", port: 443 } satisfies Destination;
const DESKTOP = { address: ADDRESS, protocol: "tcp", port: 3389 } satisfies Destination;

/** Has an address and a desktop. */
class DesktopGuest extends IdleGuest {
  machine: Machine | undefined;
  override boot(machine: Machine): void {
    super.boot(machine);
    this.machine = machine;
  }
  override addresses(_nic: string): string[] {
    return [`${ADDRESS}/24`];
  }
  override listens(protocol: string, port: number | undefined): boolean {
    return protocol === "tcp" && port === 3389;
  }
  reach(to: Destination, address = ADDRESS): Reach {
    if (this.machine === undefined) throw new Error("The guest is off");
    return this.machine.connect("net0", address, to);
  }
}

/** A VM that runs, beside a router, a proxy and the world outside; its firewall is as a workspace's. */
async function onNetwork(test: (stage: UnitStage, guest: DesktopGuest) => Promise<void>): Promise<void> {
  const guest = new DesktopGuest();
  await onStage(schema, async (stage) => {
    const { world, broad, clone, clock } = stage;
    const inner = { bridge: "vmbr0" };
    const answers = (): boolean => true;
    world.network.hosts.set("gateway", {
      name: "gateway",
      segments: [inner],
      addresses: ["10.77.0.10"],
      answers,
    });
    world.network.hosts.set("proxy", { name: "proxy", segments: [inner], addresses: ["10.77.0.5"], answers });
    world.network.hosts.set("router", {
      name: "router",
      segments: [inner, { bridge: "wan" }],
      addresses: ["10.77.0.254"],
      answers,
      isRouter: true,
    });
    world.network.hosts.set("site", {
      name: "site",
      segments: [{ bridge: "wan" }],
      addresses: ["192.0.2.7"],
      answers,
    });
    await clone(101);
    const firewall = qemu(101, "/firewall");
    await broad.run("DELETE", `${firewall}/rules/0`);
    await broad.run("POST", `${firewall}/ipset`, { name: "ipfilter-net0" });
    await broad.run("POST", `${firewall}/ipset/ipfilter-net0`, { cidr: ADDRESS });
    const proxied = {
      type: "out",
      action: "ACCEPT",
      dest: "10.77.0.5",
      proto: "tcp",
      dport: 3128,
      enable: 1,
    };
    await broad.run("POST", `${firewall}/rules`, proxied);
    const desktop = {
      type: "in",
      action: "ACCEPT",
      source: "10.77.0.10",
      proto: "tcp",
      dport: 3389,
      enable: 1,
    };
    await broad.run("POST", `${firewall}/rules`, desktop);
    await clock.advance(10_000);
    await broad.run("POST", qemu(101, "/status/start"));
    await test(stage, guest);
  }, { guests: () => guest });
}

function why(reach: Reach): string {
  return reach.isOpen ? "open" : reach.why;
}

Deno.test("Network: only what the rules allow is reached, from the address that is its own", async () => {
  await onNetwork(({ world }, guest) => {
    assert.equal(why(guest.reach(PROXY)), "open");
    assert.equal(why(guest.reach({ ...PROXY, port: 80 })), "VM 101 out: policy_out");
    assert.equal(why(guest.reach(OUTSIDE)), "VM 101 out: policy_out");
    assert.equal(why(guest.reach(PROXY, "10.77.0.22")), "VM 101 out: ipfilter");
    assert.equal(why(world.network.connectFrom("gateway", DESKTOP)), "open");
    assert.equal(why(world.network.connectFrom("proxy", DESKTOP)), "VM 101 in: policy_in");
    return Promise.resolve();
  });
});

Deno.test("Network: rules are in force after the daemon's round, and open connections outlive them", async () => {
  await onNetwork(async ({ broad, clock, world }, guest) => {
    const rule = { type: "out", action: "ACCEPT", enable: 1 };
    await broad.run("POST", qemu(101, "/firewall/rules"), rule);
    assert.equal(why(guest.reach(OUTSIDE)), "VM 101 out: policy_out", "not yet");
    await clock.advance(10_000);
    const reach = guest.reach(OUTSIDE);
    assert.ok(reach.isOpen, why(reach));
    await broad.run("DELETE", qemu(101, "/firewall/rules/0"));
    await clock.advance(10_000);
    assert.equal(why(guest.reach(OUTSIDE)), "VM 101 out: policy_out", "cut for new ones");
    assert.ok(reach.connection.isAlive(), "but what was open stays open");
    const net = world.vm("pve1", 101).config.get("net0");
    await broad.run("PUT", qemu(101, "/config"), { net0: `${net},link_down=1` });
    assert.ok(!reach.connection.isAlive(), "until the cable is pulled");
    assert.equal(why(guest.reach(PROXY)), "net0 of VM 101 is not plugged in");
  });
});

Deno.test("Network: power off ends connections, and another power-on does not bring them back", async () => {
  await onNetwork(async ({ broad, world }) => {
    const reach = world.network.connectFrom("gateway", DESKTOP);
    assert.ok(reach.isOpen && reach.connection.isAlive());
    await broad.run("POST", qemu(101, "/status/stop"));
    assert.equal(why(world.network.connectFrom("gateway", DESKTOP)), `no wire leads to ${ADDRESS}`);
    await broad.run("POST", qemu(101, "/status/start"));
    assert.ok(!reach.connection.isAlive());
    assert.ok(world.network.connectFrom("gateway", DESKTOP).isOpen);
  });
});

Deno.test("Network: another NIC in the same place is not the one that had the connection", async () => {
  await onNetwork(async ({ broad, world }) => {
    const reach = world.network.connectFrom("gateway", DESKTOP);
    assert.ok(reach.isOpen && reach.connection.isAlive());
    await broad.run("PUT", qemu(101, "/config"), { net0: "virtio,bridge=vmbr0,firewall=1" });
    assert.ok(!reach.connection.isAlive());
    assert.ok(world.network.connectFrom("gateway", DESKTOP).isOpen);
  });
});

Deno.test("Network: a VLAN is a wire of its own", async () => {
  await onNetwork(async ({ broad, world }, guest) => {
    const net = world.vm("pve1", 101).config.get("net0");
    await broad.run("PUT", qemu(101, "/config"), { net0: `${net},tag=7` });
    assert.equal(why(guest.reach(PROXY)), "no wire leads to 10.77.0.5");
    assert.equal(why(world.network.connectFrom("gateway", DESKTOP)), `no wire leads to ${ADDRESS}`);
  });
});
