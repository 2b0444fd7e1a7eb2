import assert from "node:assert/strict";
import { playFlow } from "../replay/player.ts";
import { readFlows } from "../replay/recordings.ts";
import type { Stage } from "../replay/scenes.ts";
import { loadSchema } from "../schema/schema.ts";
import { emptyFirewall, type FirewallFile } from "../state/firewall_file.ts";
import { passes, readChains } from "./iptables.ts";
import { type Gate, judge, type Packet } from "./packets.ts";

const OWN = "10.77.0.21";
const ADDRESSES = [OWN, "10.77.0.1", "10.77.0.99", "10.1.2.3", "192.0.2.7"];
const PORTS = [22, 53, 67, 68, 80, 443, 9999];

/** Every pair of addresses with every port, and the two that DHCP uses. */
function* packets(): Generator<Packet> {
  for (const source of ADDRESSES) {
    for (const destination of ADDRESSES) {
      for (const protocol of ["tcp", "udp"] as const) {
        for (const port of PORTS) {
          for (const sourcePort of [40_000, 67, 68]) {
            yield { protocol, source, destination, port, sourcePort };
          }
        }
      }
      yield { protocol: "icmp", source, destination };
    }
  }
}

Deno.test("judge: lets pass exactly what the recorded server's chains let pass", async () => {
  const flow = readFlows().find(({ flow }) => flow === "firewall-effect");
  const text = (command: string): string => flow?.texts.find((text) => text.command === command)?.text ?? "";
  if (flow === undefined) throw new Error("There is no flow firewall-effect");
  const counts = { passed: 0, dropped: 0 };
  const look = ({ double: { world }, vmid }: Stage): void => {
    const vms = [vmid("a"), vmid("b"), 9000].map((id) => {
      const config = world.vm("pve1", id).config;
      return { id, file: world.firewall(id), nic: world.options.nic("net0", config.get("net0") ?? "") };
    });
    // mac:1 to mac:3 are the NICs of a, b and the template, in the order of their chains.
    const filled = (dump: string): string =>
      dump.replace(/\{\{vmid:(\w)\}\}/g, (_, letter: string) => `${vmid(letter)}`)
        .replace(/\{\{mac:(\d+)\}\}/g, (_, number: string) => vms[Number(number) - 1]?.nic.mac ?? "")
        .replace(/\{\{hex:vmid:(\w)\}\}/g, (_, letter: string) => `0x${vmid(letter).toString(16)}`);
    const chains = readChains(filled(text("iptables-save")), filled(text("ipset list")));
    for (const { id, file, nic: { mac, hasFirewall } } of vms) {
      for (const direction of ["in", "out"] as const) {
        const chain = `tap${id}i0-${direction.toUpperCase()}`;
        assert.ok(chains.rules.has(chain), chain);
        for (const packet of packets()) {
          const expected = passes(chains, chain, packet, mac);
          const { isAccepted, by } = judge(
            packet,
            { direction, nic: "net0", mac, hasFirewall },
            world.clusterFirewall,
            file,
          );
          counts[expected ? "passed" : "dropped"]++;
          assert.equal(isAccepted, expected, `${chain} ${JSON.stringify(packet)}, judged by ${by}`);
        }
        const forged: Packet = {
          protocol: "tcp",
          source: OWN,
          destination: "192.0.2.7",
          port: 443,
          sourceMac: "02:00:00:00:00:01",
        };
        if (direction === "out") assert.ok(!passes(chains, chain, forged, mac), "the chain minds the MAC");
      }
    }
    // VM c: its NIC has a firewall, the VM has none; there is no chain at all.
    assert.ok(!chains.rules.has(`tap${vmid("c")}i0-IN`));
    const gate: Gate = { direction: "in", nic: "net0", mac: "BC:24:11:00:00:01", hasFirewall: true };
    for (const packet of packets()) {
      assert.ok(judge(packet, gate, world.clusterFirewall, world.firewall(vmid("c"))).isAccepted);
    }
  };
  await playFlow(flow, loadSchema(), look);
  assert.ok(counts.passed > 100 && counts.dropped > 1000, `both were seen: ${JSON.stringify(counts)}`);
});

function fileWith(options: Record<string, string>, rules: Array<Record<string, string>>): FirewallFile {
  const file = emptyFirewall();
  file.options = new Map(
    Object.entries({ enable: "1", policy_in: "DROP", policy_out: "DROP", dhcp: "0", ...options }),
  );
  file.rules = rules.map(({ type = "out", action = "ACCEPT", enable = "1", ...fields }) => {
    return { type, action, enable: Number(enable), fields: new Map(Object.entries(fields)) };
  });
  return file;
}

Deno.test("judge: what the recorded chains do not show", () => {
  const cluster = emptyFirewall();
  cluster.options.set("enable", "1");
  cluster.aliases.set("proxy", { cidr: "192.0.2.7", comment: undefined });
  cluster.ipsets.set("canaries", {
    comment: undefined,
    entries: [
      { cidr: "192.0.2.0/24", isNoMatch: false, comment: undefined },
      { cidr: "192.0.2.7", isNoMatch: true, comment: undefined },
    ],
  });
  const gate: Gate = { direction: "out", nic: "net0", mac: "BC:24:11:00:00:01", hasFirewall: true };
  const packet: Packet = { protocol: "tcp", source: OWN, destination: "192.0.2.7", port: 3128 };
  const off = emptyFirewall();
  const cases: Array<[string, boolean, FirewallFile, Partial<Packet>, Partial<Gate>, FirewallFile?]> = [
    ["no rule: the policy", false, fileWith({}, []), {}, {}],
    ["an open policy", true, fileWith({ policy_out: "ACCEPT" }, []), {}, {}],
    ["without enable a VM's file means nothing", true, fileWith({ enable: "0" }, []), {}, {}],
    ["without firewall=1 on the NIC, too", true, fileWith({}, []), {}, { hasFirewall: false }],
    ["and with the cluster's switch off", true, fileWith({}, []), {}, {}, off],
    ["a disabled rule", false, fileWith({}, [{ enable: "0" }]), {}, {}],
    ["a rule of the other direction", false, fileWith({}, [{ type: "in" }]), {}, {}],
    [
      "an alias of the cluster",
      true,
      fileWith({}, [{ dest: "dc/proxy", proto: "tcp", dport: "3128" }]),
      {},
      {},
    ],
    ["another port", false, fileWith({}, [{ dest: "proxy", proto: "tcp", dport: "3128" }]), { port: 80 }, {}],
    ["a range of ports", true, fileWith({}, [{ proto: "tcp", dport: "3000:4000,80" }]), {}, {}],
    ["the first rule that matches decides", false, fileWith({}, [{ action: "REJECT" }, {}]), {}, {}],
    ["an exception of a set", false, fileWith({}, [{ dest: "+canaries" }]), {}, {}],
    ["the rest of the set", true, fileWith({}, [{ dest: "+dc/canaries" }]), { destination: "192.0.2.9" }, {}],
    ["a rule for another NIC", false, fileWith({}, [{ iface: "net1" }]), {}, {}],
    ["IPv6 from the NIC's own address", true, fileWith({ ipfilter: "1" }, [{}]), {
      source: "fe80::be24:11ff:fe00:1",
      destination: "fe80::1",
    }, {}],
    ["IPv6 from another one", false, fileWith({ ipfilter: "1" }, [{}]), {
      source: "fe80::2",
      destination: "fe80::1",
    }, {}],
  ];
  for (const [reason, expected, file, packetChange, gateChange, clusterFile = cluster] of cases) {
    const { isAccepted, by } = judge(
      { ...packet, ...packetChange },
      { ...gate, ...gateChange },
      clusterFile,
      file,
    );
    assert.equal(isAccepted, expected, `${reason}: judged by ${by}`);
  }
});
