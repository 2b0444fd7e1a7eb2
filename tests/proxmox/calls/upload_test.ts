import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { RECORDED_TOKENS } from "../recorded_site.ts";
import { loadSchema } from "../schema/schema.ts";
import type { Site } from "../sites.ts";
import { onStage, qemu } from "../stage.ts";
import type { ApiRequest } from "../wire/request.ts";

const schema = loadSchema();

const mayUpload = (site: Site): void =>
  void site.roles["Broad"]?.push("Datastore.AllocateTemplate", "Datastore.Allocate");

/** As little of an ISO image as the server looks at. */
function iso(label: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(40_000);
  bytes.set(new TextEncoder().encode(`\u0001CD001\u0001${label}`), 32_768);
  return bytes;
}

async function upload(
  storage: string,
  filename: string,
  bytes: Uint8Array<ArrayBuffer>,
  fields: Record<string, string> = { content: "iso" },
): Promise<ApiRequest> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  form.set("filename", new File([bytes], filename));
  const request = new Request("http://double/", { method: "POST", body: form });
  return {
    method: "POST",
    path: `/nodes/pve1/storage/${storage}/upload`,
    headers: {
      authorization: `PVEAPIToken=${RECORDED_TOKENS.broad}`,
      "content-type": request.headers.get("content-type") ?? "",
    },
    body: new Uint8Array(await request.arrayBuffer()),
  };
}

Deno.test("upload: a seed ISO arrives byte for byte, is attached, detached and removed", async () => {
  await onStage(schema, async ({ broad, clone, vm, world }) => {
    const seed = iso("cidata");
    const { data, status } = await broad.raw(await upload("local", "seed 1.iso", seed));
    assert.equal(status, 200);
    assert.match(`${data}`, /:imgcopy::prov@pve!t0:$/);
    assert.equal(await broad.exitStatus(`${data}`), "OK");
    const volume = world.volumes.get("local:iso/seed_1.iso");
    assert.deepEqual(volume.bytes, seed);
    assert.deepEqual(await broad.get("/nodes/pve1/storage/local/content?content=iso"), [{
      volid: "local:iso/seed_1.iso",
      content: "iso",
      ctime: Math.floor(volume.createdMs / 1000),
      format: "iso",
      size: 40_000,
    }]);
    await clone(101);
    await broad.run("POST", qemu(101, "/config"), { ide0: "local:iso/seed_1.iso,media=cdrom" });
    assert.equal(vm(101).config.get("ide0"), "local:iso/seed_1.iso,media=cdrom,size=40000");
    await broad.run("PUT", qemu(101, "/config"), { delete: "ide0" });
    assert.ok(!vm(101).config.has("unused0"), "a CD-ROM leaves nothing behind");
    await broad.run(
      "DELETE",
      `/nodes/pve1/storage/local/content/${encodeURIComponent("local:iso/seed_1.iso")}`,
    );
    assert.equal(world.volumes.find("local:iso/seed_1.iso"), undefined);
    const again = await broad.task("DELETE", "/nodes/pve1/storage/local/content/iso/seed_1.iso");
    assert.match(again, /No such file or directory/);
  }, { change: mayUpload });
});

Deno.test("upload: what is refused at once, and what only in the task", async () => {
  const right = createHash("sha256").update(iso("a")).digest("hex");
  const sum = (checksum: string): Record<string, string> => ({
    content: "iso",
    "checksum-algorithm": "sha256",
    checksum,
  });
  const cases: Array<[string, Promise<ApiRequest>, RegExp]> = [
    ["another extension", upload("local", "a.txt", iso("a")), /^400 .*wrong file extension/],
    [
      "a storage without ISO images",
      upload("vmstore", "a.iso", iso("a")),
      /^500 storage 'vmstore' does not support 'iso'/,
    ],
    ["no such storage", upload("nosuch", "a.iso", iso("a")), /^500 storage 'nosuch' does not exist/],
    ["another content", upload("local", "a.iso", iso("a"), { content: "images" }), /^400 .*enumeration/],
    ["no ISO image", upload("local", "a.iso", new Uint8Array(40_000)), /^task a\.iso: wrong ISO content/],
    [
      "a wrong checksum",
      upload("local", "a.iso", iso("a"), sum("00")),
      /^task checksum mismatch: got '[0-9a-f]{64}'/,
    ],
    ["the right one", upload("local", "a.iso", iso("a"), sum(right)), /^task OK$/],
  ];
  await onStage(schema, async ({ broad }) => {
    for (const [reason, request, expected] of cases) {
      const { status, reason: line, errors, data } = await broad.raw(await request);
      const outcome = status === 200
        ? `task ${await broad.exitStatus(`${data}`)}`
        : `${status} ${line} ${JSON.stringify(errors ?? {})}`;
      assert.match(outcome, expected, reason);
    }
  }, { change: mayUpload });
});

Deno.test("upload: takes AllocateTemplate, removing takes Allocate", async () => {
  await onStage(schema, async ({ broad }) => {
    const refused = await broad.raw(await upload("local", "a.iso", iso("a")));
    assert.equal(refused.reason, "Permission check failed (/storage/local, Datastore.AllocateTemplate)");
    const kept = await broad.send("DELETE", "/nodes/pve1/storage/local/content/iso/a.iso");
    assert.equal(kept.reason, "Permission check failed (/storage/local, Datastore.Allocate)");
  });
});
