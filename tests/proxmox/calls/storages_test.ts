import assert from "node:assert/strict";
import { loadSchema } from "../schema/schema.ts";
import { onStage, qemu } from "../stage.ts";

const schema = loadSchema();

const volids = (data: unknown): string[] => {
  if (!Array.isArray(data)) throw new Error("No list");
  return data.map((volume: { volid: string }) => volume.volid).sort(); // the double's own answer
};

Deno.test("content: shows the volumes that one may use", async () => {
  await onStage(schema, async ({ broad, narrow, clone, world }) => {
    await clone(101, 102);
    world.pools.get("wsp")?.vms.add(101);
    const path = "/nodes/pve1/storage/vmstore/content";
    assert.equal(volids(await broad.get(path)).length, 6, "all of three VMs");
    assert.deepEqual(volids(await narrow.get(path)), [
      "vmstore:101/vm-101-cloudinit.qcow2",
      "vmstore:9000/base-9000-disk-0.qcow2/101/vm-101-disk-0.qcow2",
    ]);
    assert.deepEqual(volids(await narrow.get(`${path}?vmid=102`)), []);
  });
});

Deno.test("status: what is used grows with volumes, and nobody minds a disk beyond it", async () => {
  await onStage(schema, async ({ broad, clone }) => {
    const used = async (): Promise<number> => {
      const status = await broad.get("/nodes/pve1/storage/vmstore/status");
      return (status as { used: number }).used; // the double's own answer
    };
    const before = await used();
    await clone(101);
    assert.equal(await used() - before, 266_240 + 528_384);
    await broad.run("POST", qemu(101, "/config"), { scsi1: "vmstore:999999" });
  });
});
