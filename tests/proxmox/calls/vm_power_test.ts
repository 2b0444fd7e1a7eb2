import assert from "node:assert/strict";
import { type Guest, IdleGuest, type Machine, NoGuest } from "../guest/guest.ts";
import { loadSchema } from "../schema/schema.ts";
import { onStage, qemu } from "../stage.ts";

const schema = loadSchema();

/** Writes down what it saw when it was switched on. */
class CuriousGuest extends IdleGuest implements Guest {
  seen: string[] = [];
  machine: Machine | undefined;

  override boot(machine: Machine): void {
    super.boot(machine);
    this.machine = machine;
    const disks = machine.disks().map(({ slot, isReadOnly }) => `${slot}${isReadOnly ? " ro" : ""}`);
    this.seen = [
      ...disks,
      ...machine.shares().map(({ mapping }) => mapping),
      ...machine.nics().map(({ name }) => name),
    ];
  }
}

Deno.test("start: a guest finds its disks, seed, shares and NICs", async () => {
  const guests: CuriousGuest[] = [];
  await onStage(schema, async ({ broad, clone, world }) => {
    await clone(101);
    await broad.run("POST", qemu(101, "/config"), { scsi1: "vmstore:1,ro=1,serial=data" });
    await broad.run("PUT", qemu(101, "/config"), { virtiofs0: "project", ciuser: "jane" });
    world.nodes.get("pve1")?.directories.get("/srv/project")?.set("/readme", "hello");
    await broad.run("POST", qemu(101, "/status/start"));
    const [guest] = guests;
    assert.deepEqual(guest?.seen, ["ide2 ro", "scsi0", "scsi1 ro", "project", "net0"]);
    const machine = guest?.machine;
    const seed = machine?.disks().find(({ slot }) => slot === "ide2")?.volume.files;
    assert.match(seed?.get("user-data") ?? "", /^#cloud-config\n[^]*user: jane\n/);
    assert.equal(machine?.disks().find(({ slot }) => slot === "scsi1")?.serial, "data");
    assert.equal(machine?.shares()[0]?.files.get("/readme"), "hello");
    await broad.run("PUT", qemu(101, "/config"), { scsi2: "vmstore:1" });
    assert.ok(machine?.disks().some(({ slot }) => slot === "scsi2"), "what is plugged in appears");
  }, {
    guests: () => {
      const guest = new CuriousGuest();
      guests.push(guest);
      return guest;
    },
    change: (site) => {
      site.mappings = { project: { pve1: "/srv/project" } };
      site.roles["Broad"]?.push("Mapping.Use");
    },
  });
});

Deno.test("start: fails for a share whose mapping or directory is not there", async () => {
  const cases: Array<[Record<string, string> | undefined, string]> = [
    [undefined, "Directory Mapping 'project' not found for node pve1"],
    [{ pve2: "/srv/project" }, "Directory Mapping 'project' not found for node pve1"],
    [{ pve1: "/srv/nowhere" }, "Directory Mapping invalid: directory /srv/nowhere does not exist"],
  ];
  for (const [paths, expected] of cases) {
    await onStage(schema, async ({ broad, clone, vm }) => {
      await clone(101);
      await broad.run("PUT", qemu(101, "/config"), { virtiofs0: "project" });
      assert.equal(await broad.task("POST", qemu(101, "/status/start")), expected);
      assert.equal(vm(101).power, undefined);
    }, {
      change: (site) => {
        if (paths !== undefined) site.mappings = { project: paths };
        site.roles["Broad"]?.push("Mapping.Use");
      },
    });
  }
});

Deno.test("shutdown: a willing guest goes by itself, in its own time", async () => {
  await onStage(schema, async ({ broad, clone, vm, clock }) => {
    await clone(101);
    await broad.run("POST", qemu(101, "/status/start"));
    const begunMs = clock.now();
    await broad.run("POST", qemu(101, "/status/shutdown"), { timeout: 30 });
    assert.ok(clock.now() - begunMs < 2_000);
    assert.equal(vm(101).power, undefined);
  });
});

Deno.test("reset and reboot: another power-on, the same configuration", async () => {
  await onStage(schema, async ({ broad, clone, vm }) => {
    await clone(101);
    await broad.run("POST", qemu(101, "/status/start"));
    const first = vm(101).power;
    await broad.run("POST", qemu(101, "/status/reset"));
    assert.notEqual(vm(101).power, first);
    await broad.run("PUT", qemu(101, "/config"), { memory: "256" });
    await broad.run("POST", qemu(101, "/status/reboot"), { timeout: 10 });
    assert.equal(vm(101).config.get("memory"), "256", "a reboot takes what waited");
  });
});

Deno.test("crash: a QEMU that dies leaves a VM that is off", async () => {
  await onStage(schema, async ({ double, broad, clone }) => {
    await clone(101);
    await broad.run("POST", qemu(101, "/status/start"));
    double.operator.crash(101);
    const { data } = await broad.send("GET", qemu(101, "/status/current"));
    assert.match(JSON.stringify(data), /"qmpstatus":"stopped"/);
    await broad.run("POST", qemu(101, "/status/start"));
  }, { guests: () => new NoGuest() });
});
