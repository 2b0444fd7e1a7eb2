import assert from "node:assert/strict";
import { addVolume } from "../sites.ts";
import { loadSchema } from "../schema/schema.ts";
import { onStage, qemu } from "../stage.ts";

const schema = loadSchema();
const GIB = 1024 ** 3;

Deno.test("destroy: volumes that no configuration names go only when that is asked for", async () => {
  for (const flag of [0, 1]) {
    await onStage(schema, async ({ broad, clone, world }) => {
      await clone(101);
      const dangling = addVolume(world, "vmstore", "101/vm-101-disk-7.qcow2", { sizeBytes: GIB });
      await broad.run("DELETE", `${qemu(101)}?destroy-unreferenced-disks=${flag}`);
      assert.equal(world.volumes.find(dangling) === undefined, flag === 1);
      assert.ok(!world.vms.has(101));
    });
  }
});

Deno.test("destroy: what belonged to the VM goes with it, another's of the same kind stays", async () => {
  await onStage(schema, async ({ broad, clone, world }) => {
    await clone(101, 102);
    for (const vmid of [101, 102]) {
      world.pools.get("ws")?.vms.add(vmid);
      world.access.grants.push({
        path: `/vms/${vmid}`,
        kind: "user",
        holder: "wsp@pve",
        role: "WsTmpl",
        propagate: true,
      });
    }
    await broad.run("DELETE", qemu(101));
    assert.deepEqual([...world.pools.get("ws")?.vms ?? []], [102]);
    assert.deepEqual([...world.firewalls.keys()].sort(), [102, 9000]);
    assert.deepEqual(
      world.access.grants.filter(({ holder, path }) => holder === "wsp@pve" && /^\/vms\/10/.test(path)).map((
        { path },
      ) => path),
      ["/vms/102"],
    );
  });
});

Deno.test("destroy: checks again when the lock is there at last", async () => {
  await onStage(schema, async ({ double, broad, clone, clock, world }) => {
    await clone(101);
    const release = await double.operator.holdConfig(101);
    const { data } = await broad.send("DELETE", qemu(101));
    await clock.advance(5_000);
    double.operator.setOption(101, "protection", "1");
    release();
    assert.equal(await broad.exitStatus(`${data}`), "can't remove VM 101 - protection mode enabled");
    assert.ok(world.vms.has(101));
  });
});
