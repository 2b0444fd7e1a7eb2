import assert from "node:assert/strict";
import { IdleGuest, NoGuest } from "../guest/guest.ts";
import { loadSchema } from "../schema/schema.ts";
import { addVolume } from "../sites.ts";
import { onStage, qemu } from "../stage.ts";
import { configDigest } from "../state/vm.ts";

const schema = loadSchema();
const FOREIGN = "vmstore:102/vm-102-disk-1.raw";

Deno.test("config: a guest that lets go of a disk gives it back at once, and hears of none while it runs otherwise", async () => {
  await onStage(schema, async ({ broad, clone, vm }) => {
    await clone(101);
    await broad.run("POST", qemu(101, "/status/start"));
    await broad.run("POST", qemu(101, "/config"), { scsi1: "vmstore:1,serial=home" });
    const detached = await broad.send("PUT", qemu(101, "/config"), { delete: "scsi1" });
    assert.deepEqual([detached.status, detached.elapsedMs], [200, 0]);
    assert.equal(vm(101).config.get("unused0"), "vmstore:101/vm-101-disk-1.raw");
    assert.equal(vm(101).pendingDelete.size, 0);
  }, { guests: () => new IdleGuest() });
});

Deno.test("config: what a running VM takes at once and what waits for its stop", async () => {
  await onStage(schema, async ({ broad, clone, vm }) => {
    await clone(101);
    await broad.run("POST", qemu(101, "/status/start"));
    const net = vm(101).config.get("net0");
    const cases: Array<[string, string, boolean, string]> = [
      ["cores", "2", false, "no hot-plug of processors by default"],
      ["memory", "256", false, "nor of memory"],
      ["description", "x", true, "it is only a text"],
      ["protection", "1", true, "it is only a mark"],
      ["tags", "a", true, "they are only marks"],
      ["ciuser", "jane", true, "the seed is read at the next boot anyway"],
      ["net0", `${net},link_down=1`, true, "the cable can be pulled"],
      ["virtiofs0", "project", false, "no hot-plug of shares"],
      ["scsi1", "vmstore:1", true, "a disk can be plugged in"],
      ["sata0", "vmstore:1", false, "but not into every kind of slot"],
    ];
    for (const [key, value, isAtOnce, reason] of cases) {
      await broad.run("PUT", qemu(101, "/config"), { [key]: value });
      assert.equal(vm(101).config.has(key) && !vm(101).pending.has(key), isAtOnce, `${key}: ${reason}`);
    }
    await broad.run("POST", qemu(101, "/status/stop"));
    assert.equal(vm(101).pending.size, 0, "nothing waits for a VM that is off");
    assert.equal(vm(101).config.get("cores"), "2");
  }, {
    guests: () => new NoGuest(),
    change: (site) => site.roles["Broad"]?.push("Mapping.Use"),
  });
});

Deno.test("config: revert takes back what waits, and nothing else", async () => {
  await onStage(schema, async ({ broad, clone, vm }) => {
    await clone(101);
    await broad.run("POST", qemu(101, "/status/start"));
    const digest = configDigest(vm(101));
    await broad.run("PUT", qemu(101, "/config"), { delete: "cores" });
    assert.notEqual(configDigest(vm(101)), digest, "what waits to be removed changes the file, too");
    await broad.run("PUT", qemu(101, "/config"), { memory: "256", cores: "2" });
    await broad.run("PUT", qemu(101, "/config"), { revert: "memory" });
    assert.deepEqual([...vm(101).pending], [["cores", "2"]]);
    assert.equal(
      (await broad.send("PUT", qemu(101, "/config"), { revert: "bogus" })).errors?.["revert"],
      "unknown option 'bogus'",
    );
  }, { guests: () => new NoGuest() });
});

Deno.test("config: one copy of a disk by import-from, for whoever may clone its owner", async () => {
  await onStage(schema, async ({ broad, narrow, clone, vm, world }) => {
    await clone(101, 102);
    await broad.run("POST", qemu(102, "/config"), { scsi1: "vmstore:2" });
    world.volumes.get(FOREIGN).files.set("/prepared.csv", "a,b");
    await broad.run("POST", qemu(101, "/config"), { scsi1: `vmstore:0,import-from=${FOREIGN},ro=1` });
    assert.equal(vm(101).config.get("scsi1"), "vmstore:101/vm-101-disk-1.raw,ro=1,size=2G");
    const copy = world.volumes.get("vmstore:101/vm-101-disk-1.raw");
    assert.deepEqual([copy.files.get("/prepared.csv"), copy.owner, copy.sizeBytes], [
      "a,b",
      101,
      2 * 1024 ** 3,
    ]);
    world.pools.get("wsp")?.vms.add(101);
    const refused = await narrow.send("POST", qemu(101, "/config"), {
      scsi2: `vmstore:0,import-from=${FOREIGN}`,
    });
    assert.equal(refused.reason, "Permission check failed (/vms/102, VM.Clone)");
    const sized = await broad.send("POST", qemu(101, "/config"), {
      scsi2: `vmstore:1,import-from=${FOREIGN}`,
    });
    assert.match(sized.errors?.["scsi2"] ?? "", /^'import-from' requires special syntax/);
  });
});

Deno.test("config: an ISO is a CD-ROM or nothing, and is changed while the VM runs", async () => {
  await onStage(schema, async ({ broad, clone, vm, world }) => {
    await clone(101);
    for (const name of ["a", "b"]) addVolume(world, "local", `iso/${name}.iso`, { sizeBytes: 2048 });
    const bare = await broad.send("POST", qemu(101, "/config"), { ide0: "local:iso/a.iso" });
    assert.equal(bare.errors?.["ide0"], "explicit 'media=cdrom' is required for iso images");
    await broad.run("POST", qemu(101, "/config"), { ide0: "local:iso/a.iso,media=cdrom" });
    await broad.run("POST", qemu(101, "/status/start"));
    await broad.run("PUT", qemu(101, "/config"), { ide0: "none,media=cdrom" });
    assert.equal(vm(101).config.get("ide0"), "none,media=cdrom");
    assert.ok(world.volumes.find("local:iso/a.iso") !== undefined, "it belongs to no VM");
  }, { guests: () => new NoGuest() });
});

Deno.test("config: a borrowed disk survives the borrower, and stays the lender's", async () => {
  await onStage(schema, async ({ broad, clone, vm, world }) => {
    await clone(101, 102);
    await broad.run("POST", qemu(102, "/config"), { scsi1: "vmstore:1" });
    await broad.run("POST", qemu(101, "/config"), { scsi1: FOREIGN });
    assert.equal(vm(102).config.get("scsi1"), `${FOREIGN},size=1G`, "both name it");
    await broad.run("PUT", qemu(101, "/config"), { delete: "scsi1" });
    assert.ok(!vm(101).config.has("unused0"), "nothing of it is kept with the borrower");
    await broad.run("POST", qemu(101, "/config"), { scsi1: FOREIGN });
    await broad.run("DELETE", `${qemu(101)}?purge=1&destroy-unreferenced-disks=1`);
    assert.equal(world.volumes.find(FOREIGN)?.owner, 102);
    await broad.run("DELETE", qemu(102));
    assert.equal(world.volumes.find(FOREIGN), undefined);
  });
});

Deno.test("config: each option takes its privilege", async () => {
  const cases: Array<[string, string, string]> = [
    ["cores", "2", "VM.Config.CPU"],
    ["memory", "256", "VM.Config.Memory"],
    ["description", "x", "VM.Config.Options"],
    ["tags", "x", "VM.Config.Options"],
    ["kvm", "1", "VM.Config.HWType"],
    ["boot", "order=scsi0", "VM.Config.Disk"],
    ["net0", "virtio,bridge=vmbr0", "VM.Config.Network"],
    ["scsi1", "vmstore:1", "VM.Config.Disk"],
    ["ide0", "none,media=cdrom", "VM.Config.CDROM"],
    ["serial1", "socket", "VM.Config.HWType"],
    ["virtiofs0", "project", "VM.Config.Disk"],
  ];
  for (const [key, value, privilege] of cases) {
    // Memory or options let a token in at all; what it then may do is asked again.
    const other = privilege === "VM.Config.Memory" ? "VM.Config.Options" : "VM.Config.Memory";
    const outcome = async (privileges: string[]): Promise<string> => {
      let reason = "";
      await onStage(schema, async ({ narrow, clone, world }) => {
        await clone(101);
        world.pools.get("wsp")?.vms.add(101);
        reason = (await narrow.send("PUT", qemu(101, "/config"), { [key]: value })).reason;
      }, {
        change: (site) => {
          site.roles["WsPool"] = privileges;
          site.roles["Mapper"] = ["Mapping.Use"];
          site.grants["/mapping/dir/project"] = { "wsp@pve": "Mapper", "wsp@pve!rec": "Mapper" };
        },
      });
      return reason;
    };
    assert.equal(await outcome([other]), `Permission check failed (/vms/101, ${privilege})`, key);
    assert.equal(await outcome([other, privilege]), "OK", key);
  }
});

Deno.test("config: a share takes the right to use its mapping", async () => {
  await onStage(schema, async ({ broad, clone }) => {
    await clone(101);
    const refused = await broad.send("PUT", qemu(101, "/config"), { virtiofs0: "dirid=project" });
    assert.equal(refused.reason, "Permission check failed (/mapping/dir/project, Mapping.Use)");
  });
});

Deno.test("config: a second client's change shows in the digest, and its lock in the answer", async () => {
  await onStage(schema, async ({ double, broad, clone, vm }) => {
    await clone(101);
    const digest = configDigest(vm(101));
    double.faults.before(
      { method: "PUT", path: /config$/ },
      () => double.operator.setOption(101, "cores", "2"),
    );
    const stale = await broad.send("PUT", qemu(101, "/config"), { memory: "256", digest });
    assert.equal(stale.reason, "checksum mismatch (file change by other user?)");
    const release = await double.operator.holdConfig(101);
    const locked = await broad.send("PUT", qemu(101, "/config"), { memory: "256" });
    assert.equal(locked.reason, "can't lock file '/var/lock/qemu-server/lock-101.conf' - got timeout");
    assert.equal(locked.elapsedMs, 10_000);
    release();
    await broad.run("PUT", qemu(101, "/config"), { memory: "256" });
  });
});
