import assert from "node:assert/strict";
import { loadSchema } from "../schema/schema.ts";
import { onStage, qemu } from "../stage.ts";
import { configDigest } from "../state/vm.ts";

const schema = loadSchema();
const QEMU = "/nodes/pve1/qemu";

Deno.test("move_disk: to a keeper and back, with its contents, past the VM that had it", async () => {
  await onStage(schema, async ({ broad, clone, vm, world }) => {
    await clone(101);
    await broad.run("POST", QEMU, { vmid: 102, protection: 1, memory: 16 });
    await broad.run("POST", qemu(101, "/config"), { scsi1: "vmstore:1,serial=home" });
    world.volumes.get("vmstore:101/vm-101-disk-1.raw").files.set("/notes", "kept");
    const away = { disk: "scsi1", "target-vmid": 102, "target-disk": "scsi1" };
    await broad.run("POST", qemu(101, "/move_disk"), { ...away, digest: configDigest(vm(101)) });
    await broad.run("DELETE", `${qemu(101)}?purge=1&destroy-unreferenced-disks=1`);
    assert.equal(vm(102).config.get("scsi1"), "vmstore:102/vm-102-disk-0.raw,serial=home,size=1G");
    await clone(103);
    await broad.run("POST", qemu(102, "/move_disk"), {
      ...away,
      "target-vmid": 103,
      "target-digest": configDigest(vm(103)),
    });
    assert.equal(vm(103).config.get("scsi1"), "vmstore:103/vm-103-disk-1.raw,serial=home,size=1G");
    assert.equal(world.volumes.get("vmstore:103/vm-103-disk-1.raw").files.get("/notes"), "kept");
    assert.deepEqual(world.volumes.ownedBy(102), []);
  });
});

Deno.test("move_disk: a marker on either VM stops it, before and when the locks are there", async () => {
  await onStage(schema, async ({ double, broad, clone, clock, vm }) => {
    await clone(101, 102);
    await broad.run("POST", qemu(101, "/config"), { scsi1: "vmstore:1" });
    const move = { disk: "scsi1", "target-vmid": 102, "target-disk": "scsi1" };
    for (const marked of [101, 102]) {
      double.operator.setOption(marked, "lock", "backup");
      assert.equal((await broad.send("POST", qemu(101, "/move_disk"), move)).reason, "VM is locked (backup)");
      double.operator.deleteOption(marked, "lock");
    }
    const release = await double.operator.holdConfig(102);
    const { data } = await broad.send("POST", qemu(101, "/move_disk"), move);
    await clock.advance(1_000);
    double.operator.setOption(102, "lock", "migrate");
    release();
    assert.equal(await broad.exitStatus(`${data}`), "VM is locked (migrate)");
    assert.ok(vm(101).config.has("scsi1"), "nothing was moved");
  });
});

Deno.test("move_disk: to another storage it is a copy, and the original stays unless it is to go", async () => {
  for (const isGone of [0, 1]) {
    await onStage(schema, async ({ broad, clone, vm }) => {
      await clone(101);
      await broad.run("POST", qemu(101, "/config"), { scsi1: "vmstore:1" });
      await broad.run("POST", qemu(101, "/move_disk"), { disk: "scsi1", storage: "second", delete: isGone });
      assert.equal(vm(101).config.get("scsi1"), "second:101/vm-101-disk-0.raw,size=1G");
      assert.equal(vm(101).config.get("unused0"), isGone === 1 ? undefined : "vmstore:101/vm-101-disk-1.raw");
      const same = await broad.send("POST", qemu(101, "/move_disk"), { disk: "scsi1", storage: "second" });
      assert.equal(same.reason, "you can't move to the same storage with same format");
    }, {
      change: (site) => {
        const [store] = site.storages;
        if (store !== undefined) site.storages.push({ ...store, id: "second", path: "/srv/second" });
      },
    });
  }
});

Deno.test("resize: takes space on the storage, and a disk that is one", async () => {
  await onStage(schema, async ({ broad, clone, world, narrow }) => {
    await clone(101);
    assert.equal(
      await broad.task("PUT", qemu(101, "/resize"), { disk: "ide2", size: "+1G" }),
      "you can't resize a cdrom",
    );
    world.pools.get("wsp")?.vms.add(101);
    world.access.grants = world.access.grants.filter(({ path }) => path !== "/storage/vmstore");
    const denied = await narrow.task("PUT", qemu(101, "/resize"), { disk: "scsi0", size: "+1G" });
    assert.equal(denied, "Permission check failed (/storage/vmstore, Datastore.AllocateSpace)");
    await broad.run("PUT", qemu(101, "/resize"), { disk: "scsi0", size: "1536M" });
    assert.match(world.vm("pve1", 101).config.get("scsi0") ?? "", /,size=1536M$/);
  });
});
