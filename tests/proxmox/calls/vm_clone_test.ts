import assert from "node:assert/strict";
import { addVolume } from "../sites.ts";
import { loadSchema } from "../schema/schema.ts";
import { onStage, qemu } from "../stage.ts";
import { volidOf } from "../state/volumes.ts";

const schema = loadSchema();

Deno.test("clone: ten linked clones at once all succeed, well before the storage's lock gives up", async () => {
  await onStage(schema, async ({ world, broad, clock }) => {
    const begunMs = clock.now();
    const ids = Array.from({ length: 10 }, (_, index) => 101 + index);
    const answers = await Promise.all(
      ids.map((newid) => broad.send("POST", qemu(9000, "/clone"), { newid, full: 0 })),
    );
    for (const { data } of answers) assert.equal(await broad.exitStatus(`${data}`), "OK");
    assert.ok(clock.now() - begunMs < 5_000);
    assert.equal(world.volumes.clonesOf("vmstore:9000/base-9000-disk-0.qcow2").length, ids.length);
  });
});

Deno.test("clone: a name by default, and what is the source's alone stays behind", async () => {
  await onStage(schema, async ({ broad, clone, vm, world }) => {
    await clone(101);
    await broad.run("POST", qemu(101, "/config"), { scsi1: "vmstore:1" });
    await broad.run("PUT", qemu(101, "/config"), { delete: "scsi1" });
    await broad.run("POST", qemu(101, "/clone"), { newid: 102 });
    const config = vm(102).config;
    assert.equal(config.get("name"), "Copy-of-VM-vm-101");
    assert.ok(!config.has("unused0"));
    assert.ok(!config.has("lock"));
    assert.notEqual(config.get("net0"), vm(101).config.get("net0"));
    assert.equal(
      world.volumes.get("vmstore:102/vm-102-disk-0.qcow2").base,
      undefined,
      "without full a VM is copied",
    );
  });
});

Deno.test("clone: contents come along, and the copies are apart from then on", async () => {
  await onStage(schema, async ({ broad, clone, world }) => {
    world.volumes.get("vmstore:9000/base-9000-disk-0.qcow2").files.set("/etc/os", "debian");
    await clone(101);
    const disk = world.volumes.get("vmstore:9000/base-9000-disk-0.qcow2/101/vm-101-disk-0.qcow2");
    assert.equal(disk.files.get("/etc/os"), "debian");
    disk.files.set("/home", "data");
    await broad.run("POST", qemu(101, "/clone"), { newid: 102, full: 1 });
    assert.equal(world.volumes.get("vmstore:102/vm-102-disk-0.qcow2").files.get("/home"), "data");
    assert.ok(!world.volumes.get("vmstore:9000/base-9000-disk-0.qcow2").files.has("/home"));
  });
});

Deno.test("clone: whoever loses the race for an id waits a second, then fails; the winner's VM is untouched", async () => {
  await onStage(schema, async ({ broad, vm }) => {
    const full = { newid: 101, full: 1, bwlimit: 4096 };
    const [first, second] = await Promise.all([
      broad.send("POST", qemu(9000, "/clone"), { ...full, name: "first" }),
      broad.send("POST", qemu(9000, "/clone"), { ...full, name: "second" }),
    ]);
    assert.deepEqual([first.status, second.status], [200, 200]);
    const loser = await broad.exitStatus(`${second.data}`);
    assert.equal(loser, "can't lock file '/var/lock/qemu-server/lock-101.conf' - got timeout");
    assert.equal(vm(101).config.get("name"), "first");
    assert.equal(await broad.exitStatus(`${first.data}`), "OK");
  });
});

Deno.test("clone: what fails midway cleans up, what fails late leaves all that it made", async () => {
  await onStage(schema, async ({ double, world, broad }) => {
    const before = world.volumes.all().length;
    double.faults.failTask({ type: "qmclone" }, { when: "midway", message: "No space left on device" });
    const midway = await broad.task("POST", qemu(9000, "/clone"), { newid: 101, full: 1 });
    assert.match(midway, /^clone failed: .*No space left on device$/);
    assert.ok(!world.vms.has(101));
    assert.ok(!world.firewalls.has(101));
    assert.equal(world.volumes.all().length, before);
    double.faults.failTask({ type: "qmclone" }, { when: "late", message: "unexpected status" });
    assert.equal(
      await broad.task("POST", qemu(9000, "/clone"), { newid: 101, full: 0 }),
      "unexpected status",
    );
    assert.ok(world.vms.has(101), "the effect is there, although the task says otherwise");
    assert.deepEqual(double.faults.struck, ["task midway: qmclone 9000", "task late: qmclone 9000"]);
    await broad.run("POST", qemu(9000, "/clone"), { newid: 102, full: 0 });
  });
});

Deno.test("clone: an id's leftover volumes are never taken for its own", async () => {
  await onStage(schema, async ({ world, broad, double }) => {
    const leftover = addVolume(world, "vmstore", "101/vm-101-disk-0.qcow2", { sizeBytes: 1024 ** 3 });
    double.faults.failTask({ type: "qmclone" }, { when: "midway", message: "stopped" });
    await broad.task("POST", qemu(9000, "/clone"), { newid: 101, full: 1 });
    assert.ok(world.volumes.find(leftover) !== undefined, "a failure frees only what it made");
    await broad.run("POST", qemu(9000, "/clone"), { newid: 101, full: 1 });
    assert.deepEqual(
      world.volumes.ownedBy(101).map(volidOf).sort(),
      ["vmstore:101/vm-101-cloudinit.qcow2", leftover, "vmstore:101/vm-101-disk-1.qcow2"],
    );
  });
});

Deno.test("clone: to another node only with shared storage", async () => {
  const answers = async (shared: boolean): Promise<string> => {
    let reason = "";
    await onStage(schema, async ({ broad }) => {
      reason = (await broad.send("POST", qemu(9000, "/clone"), {
        newid: 101,
        full: 1,
        target: "pve2",
        storage: "vmstore",
      }))
        .reason;
    }, {
      change: (site) => {
        const [node] = site.nodes;
        if (node !== undefined) site.nodes.push({ ...node, name: "pve2", address: "10.77.0.2" });
        for (const storage of site.storages) storage.shared = shared;
      },
    });
    return reason;
  };
  assert.equal(await answers(false), "can't clone to non-shared storage 'vmstore'");
  assert.equal(await answers(true), "OK");
});
