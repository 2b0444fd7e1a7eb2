import assert from "node:assert/strict";
import { loadSchema } from "../schema/schema.ts";
import { onStage, qemu } from "../stage.ts";

const schema = loadSchema();

Deno.test("snapshots: a configuration is kept, listed, cloned and dropped", async () => {
  await onStage(schema, async ({ broad, clone, vm }) => {
    await clone(101);
    await broad.run("POST", qemu(101, "/snapshot"), { snapname: "before" });
    await broad.run("PUT", qemu(101, "/config"), { cores: "2" });
    const names = JSON.stringify(await broad.get(qemu(101, "/snapshot")));
    assert.match(names, /"name":"before"[^]*"name":"current"[^}]*"parent":"before"/);
    assert.match(JSON.stringify(await broad.get(`${qemu(101)}/config?snapshot=before`)), /"cores":1/);
    await broad.run("POST", qemu(101, "/clone"), { newid: 102, full: 1, snapname: "before" });
    assert.equal(vm(102).config.get("cores"), "1");
    assert.equal(
      await broad.task("POST", qemu(101, "/snapshot"), { snapname: "before" }),
      "snapshot name 'before' already used",
    );
    await broad.run("DELETE", qemu(101, "/snapshot/before"));
    assert.ok(!vm(101).config.has("parent"));
  });
});
