import assert from "node:assert/strict";
import { z } from "zod";
import { UPLOAD_MAX_BYTES } from "../../../src/drivers/proxmox/upload.ts";
import { clientOf, faultOf, proxmoxFaultOf } from "./access.ts";
import { type Reply, startServer } from "./server.ts";

const UPID = "UPID:pve1:0000A1B2:00C3D4E5:6921F0AB:imgcopy::wps@pve!prod:";
const { signal } = new AbortController();
const AT = { node: "pve1", vmid: 47001 };
const ASKED = { what: "read VM 47001", target: "VM 47001" };

Deno.test("Client.call: an answer's data, read as the caller says: numbers come as texts at times", async () => {
  // As recorded: memory is a text, cores a number.
  const data = { cores: 2, memory: "256", digest: "ab", onboot: 1 };
  await using server = startServer(() => ({ body: { data } }));
  const answer = z.object({ cores: z.coerce.number(), memory: z.coerce.number(), digest: z.string() });
  const call = { at: AT, params: { current: true }, answer, asked: ASKED };
  const config = await clientOf(server.port).call("GET /nodes/{node}/qemu/{vmid}/config", call, signal);
  assert.deepEqual(config, { cores: 2, memory: 256, digest: "ab" });
  assert.equal(server.requests[0]?.path, "/api2/json/nodes/pve1/qemu/47001/config?current=1");
});

Deno.test("Client.part: a part of a list says how many there are, as a number or a text", async () => {
  const totals = [10, "10", undefined];
  await using server = startServer((_request, count) => ({
    body: { data: [{ n: 1 }], total: totals[count - 1] },
  }));
  const client = clientOf(server.port);
  const call = {
    at: { node: "pve1", upid: UPID },
    params: { limit: 1 },
    answer: z.array(z.unknown()),
    asked: ASKED,
  };
  for (const total of [10, 10, null]) {
    assert.deepEqual(await client.part("GET /nodes/{node}/tasks/{upid}/log", call, signal), {
      items: [{ n: 1 }],
      total,
    });
  }
});

Deno.test("Client.call: an envelope is asked for even where anything may be in it", async () => {
  await using server = startServer(() => ({ body: [] }));
  await faultOf(
    clientOf(server.port).call("GET /version", { at: {}, answer: z.unknown(), asked: ASKED }, signal),
  );
});

const STRANGE: { why: string; reply: Reply }[] = [
  { why: "a list instead of an envelope", reply: { body: [] } },
  { why: "a text instead of an envelope", reply: { body: '"OK"' } },
  { why: "another type", reply: { body: { data: { digest: 7 } } } },
  { why: "nothing of it", reply: { body: { data: null } } },
  { why: "a total that is none", reply: { body: { data: { digest: "a" }, total: "many" } } },
];
for (const { why, reply } of STRANGE) {
  Deno.test(`Client.call: does not believe ${why}, and names no value`, async () => {
    await using server = startServer(() => reply);
    const call = { at: AT, answer: z.object({ digest: z.string() }), asked: ASKED };
    const fault = await proxmoxFaultOf(
      clientOf(server.port).call("GET /nodes/{node}/qemu/{vmid}/config", call, signal),
    );
    assert.deepEqual([fault.disposition, fault.reason, fault.mayBeDone], ["retry", "unavailable", false]);
    assert.match(
      fault.message,
      /^Cannot read VM 47001: the answer is not what GET \S+ answers \((data|digest|total)\)$/,
    );
  });
}

Deno.test("Client.upload: a file goes as a form that pveproxy can take apart, with the checksum of its content", async () => {
  await using server = startServer(() => ({ body: { data: UPID } }));
  const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 31) & 0xff);
  bytes.set(new TextEncoder().encode("\r\n--wps-\r\n"), 100);
  const asked = { what: "upload the seed of VM 47001", target: "VM 47001" };
  const upload = clientOf(server.port).upload(
    { node: "pve1", storage: "local" },
    { name: "wps-47001.iso", bytes },
    asked,
    signal,
  );
  assert.equal((await upload).type, "imgcopy");
  const [request] = server.requests;
  assert.ok(request !== undefined);
  assert.equal(`${request.method} ${request.path}`, "POST /api2/json/nodes/pve1/storage/local/upload");
  assert.equal(request.headers.get("content-length"), `${request.bytes.byteLength}`);
  const type = request.headers.get("content-type") ?? "";
  assert.match(type, /^multipart\/form-data; boundary=[A-Za-z0-9-]+$/, "pveproxy knows no quotes there");
  const form = await new Response(request.bytes, { headers: { "content-type": type } }).formData();
  assert.deepEqual(
    [...form.keys()],
    ["content", "checksum-algorithm", "checksum", "filename"],
    "the file comes last",
  );
  const file = form.get("filename");
  assert.ok(file instanceof File);
  assert.equal(file.name, "wps-47001.iso");
  assert.deepEqual(new Uint8Array(await file.arrayBuffer()), bytes);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  assert.deepEqual([form.get("content"), form.get("checksum-algorithm"), form.get("checksum")], [
    "iso",
    "sha256",
    digest,
  ]);
});

for (const name of ["", "../x.iso", "a,b.iso", 'a".iso', "a;b", ".hidden", "a\r\nb"]) {
  Deno.test(`Client.upload: ${JSON.stringify(name)} is no file's name`, async () => {
    await using server = startServer(() => ({ body: { data: UPID } }));
    const upload = { name, bytes: new Uint8Array(1) };
    const fault = await faultOf(
      clientOf(server.port).upload({ node: "a", storage: "b" }, upload, ASKED, signal),
    );
    assert.deepEqual([fault.reason, server.connections], ["invalid", 0]);
  });
}

Deno.test("Client.upload: what is no seed is not sent", async () => {
  await using server = startServer(() => ({ body: { data: UPID } }));
  const upload = { name: "big.iso", bytes: new Uint8Array(UPLOAD_MAX_BYTES + 1) };
  const fault = await faultOf(
    clientOf(server.port).upload({ node: "a", storage: "b" }, upload, ASKED, signal),
  );
  assert.match(fault.message, /big\.iso has 4194305 bytes, more than 4194304/);
  assert.equal(server.connections, 0);
});
