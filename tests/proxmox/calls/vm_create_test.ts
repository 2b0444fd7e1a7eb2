import assert from "node:assert/strict";
import { loadSchema } from "../schema/schema.ts";
import { onStage, qemu } from "../stage.ts";

const schema = loadSchema();
const QEMU = "/nodes/pve1/qemu";

Deno.test("create: a VM with disks, a NIC and a boot order of its own making", async () => {
  await onStage(schema, async ({ broad, vm, world }) => {
    await broad.run("POST", QEMU, {
      vmid: 101,
      name: "made",
      scsi0: "vmstore:8,format=qcow2",
      ide2: "vmstore:cloudinit",
      net0: "virtio,bridge=vmbr0",
      tags: "B;a",
      pool: "ws",
    });
    const { config } = vm(101);
    assert.equal(config.get("scsi0"), "vmstore:101/vm-101-disk-0.qcow2,size=8G");
    assert.equal(config.get("ide2"), "vmstore:101/vm-101-cloudinit.qcow2,media=cdrom,size=4M");
    assert.match(config.get("net0") ?? "", /^virtio=BC:24:11:[0-9A-F:]{8},bridge=vmbr0$/);
    assert.equal(config.get("boot"), "order=scsi0;ide2;net0");
    assert.equal(config.get("tags"), "a;b");
    assert.equal(world.poolOf(101), "ws");
  });
});

Deno.test("create: two at once to one id, only one gets a task", async () => {
  await onStage(schema, async ({ broad, vm }) => {
    const [first, second] = await Promise.all(
      ["first", "second"].map((name) => broad.send("POST", QEMU, { vmid: 101, name })),
    );
    assert.equal(second?.reason, "unable to create VM 101 - VM 101 already exists on node 'pve1'");
    assert.equal(await broad.exitStatus(`${first?.data}`), "OK");
    assert.equal(vm(101).config.get("name"), "first");
  });
});

Deno.test("create: a failure leaves neither VM nor volumes", async () => {
  await onStage(schema, async ({ double, broad, world }) => {
    double.faults.failTask({ type: "qmcreate" }, { when: "midway", message: "No space left on device" });
    const status = await broad.task("POST", QEMU, { vmid: 101, scsi0: "vmstore:1", scsi1: "vmstore:1" });
    assert.equal(status, "unable to create VM 101 - No space left on device");
    assert.ok(!world.vms.has(101));
    assert.deepEqual(world.volumes.ownedBy(101), []);
  });
});

Deno.test("create: who may only in a pool has to name it", async () => {
  await onStage(schema, async ({ narrow, vm }) => {
    assert.equal((await narrow.send("POST", QEMU, { vmid: 101 })).reason, "Permission check failed");
    assert.equal(
      (await narrow.send("POST", QEMU, { vmid: 101, pool: "ws" })).reason,
      "Permission check failed",
    );
    await narrow.run("POST", QEMU, { vmid: 101, pool: "wsp", protection: 1, memory: 16 });
    assert.equal(vm(101).config.get("protection"), "1");
  });
});

Deno.test("clone: a right on all pools counts only for a pool that is named", async () => {
  await onStage(schema, async ({ narrow }) => {
    const refused = await narrow.send("POST", qemu(9000, "/clone"), { newid: 101, full: 0 });
    assert.equal(refused.reason, "Permission check failed");
    await narrow.run("POST", qemu(9000, "/clone"), { newid: 101, full: 0, pool: "zz" });
  }, {
    change: (site) => {
      site.grants["/pool"] = { "wsp@pve": "WsPool", "wsp@pve!rec": "WsPool" };
    },
  });
});

Deno.test("template: disks become bases that clones can be linked to, and cannot be moved", async () => {
  await onStage(schema, async ({ broad, vm, world }) => {
    await broad.run("POST", QEMU, { vmid: 101, scsi0: "vmstore:1,format=qcow2" });
    await broad.run("POST", qemu(101, "/template"));
    assert.equal(vm(101).config.get("scsi0"), "vmstore:101/base-101-disk-0.qcow2,size=1G");
    await broad.run("POST", qemu(101, "/clone"), { newid: 102 });
    assert.equal(
      world.volumes.clonesOf("vmstore:101/base-101-disk-0.qcow2").length,
      1,
      "a template is linked by default",
    );
    const freed = await broad.task("DELETE", qemu(101));
    assert.equal(freed, "base volume 'vmstore:101/base-101-disk-0.qcow2' is still in use by linked cloned");
    assert.ok(world.vms.has(101));
  });
});
