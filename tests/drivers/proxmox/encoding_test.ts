import assert from "node:assert/strict";
import { Fault } from "../../../src/core/fault.ts";
import { BODY_MAX_BYTES, encodeCall } from "../../../src/drivers/proxmox/encoding.ts";
import type { Endpoint } from "../../../src/drivers/proxmox/endpoints.ts";
import type { Value } from "../../../src/drivers/proxmox/hidden.ts";

const ASKED = { what: "configure VM 47001", target: "VM 47001" };
const AT = { node: "pve1", vmid: 47001 };
const DIGEST = "f".repeat(40);
const CONFIG = "PUT /nodes/{node}/qemu/{vmid}/config";

function bodyOf(endpoint: Endpoint, params: Record<string, Value>): unknown {
  const { body } = encodeCall(endpoint, AT, params, ASKED);
  return JSON.parse(new TextDecoder().decode(body ?? assert.fail("it has no body")));
}

function faultOf(call: () => unknown): Fault {
  try {
    call();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown;
  }
  return assert.fail("it must be refused");
}

Deno.test("encodeCall: booleans go as 1 and 0, numbers and texts as they are, what is undefined not at all", () => {
  const params = { digest: DIGEST, onboot: true, protection: false, cores: 2, tags: "ws;a", name: undefined };
  assert.deepEqual(bodyOf(CONFIG, params), {
    digest: DIGEST,
    onboot: 1,
    protection: 0,
    cores: 2,
    tags: "ws;a",
  });
});

Deno.test("encodeCall: public keys are percent-encoded once more, as the recorded server took them", () => {
  const sshkeys =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA7J6v6XJHXsN9Z5TOJuh5wMIY9ezliV9OqFZ2+2gJef dev@example";
  assert.deepEqual(bodyOf(CONFIG, { digest: DIGEST, sshkeys }), {
    digest: DIGEST,
    sshkeys:
      "ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIA7J6v6XJHXsN9Z5TOJuh5wMIY9ezliV9OqFZ2%2B2gJef%20dev%40example",
  });
  const encoded = bodyOf(CONFIG, { digest: DIGEST, sshkeys: "ssh-rsa A!'()*~ é\nssh-rsa B" });
  // What pve-common lets through as "urlencoded".
  assert.match((encoded as { sshkeys: string }).sshkeys, /^[-%a-zA-Z0-9_.!~*'()]*$/);
});

Deno.test("encodeCall: GET and DELETE have a query and no body", () => {
  const endpoint = "DELETE /nodes/{node}/qemu/{vmid}";
  const { path, bare, body } = encodeCall(
    endpoint,
    AT,
    { purge: true, "destroy-unreferenced-disks": true },
    ASKED,
  );
  assert.equal(path, "/api2/json/nodes/pve1/qemu/47001?purge=1&destroy-unreferenced-disks=1");
  assert.deepEqual([bare, body], ["/api2/json/nodes/pve1/qemu/47001", null]);
  assert.equal(encodeCall("GET /version", {}, {}, ASKED).path, "/api2/json/version");
});

Deno.test("encodeCall: a POST without parameters has an empty mapping as its body", () => {
  assert.deepEqual(bodyOf("POST /nodes/{node}/qemu/{vmid}/status/stop", {}), {});
});

Deno.test("encodeCall: what stands in the path is one part of it", () => {
  const upid = "UPID:pve1:0000A1B2:00C3D4E5:6921F0AB:qmclone:9000:prov@pve!t0:";
  const { path } = encodeCall("GET /nodes/{node}/tasks/{upid}/status", { node: "pve1", upid }, {}, ASKED);
  assert.equal(decodeURIComponent(path), `/api2/json/nodes/pve1/tasks/${upid}/status`);
  const volume = { node: "pve1", storage: "local", volume: "local:iso/wps-47001.iso" };
  const removal = encodeCall("DELETE /nodes/{node}/storage/{storage}/content/{volume}", volume, {}, ASKED);
  assert.ok(removal.path.endsWith("/content/local%3Aiso%2Fwps-47001.iso"));
});

const WAYS_OUT = ["", ".", "..", "a/b", "a/../b", "../access", "a\nb", "a\u0000"];
for (const node of WAYS_OUT) {
  Deno.test(`encodeCall: ${JSON.stringify(node)} is no node`, () => {
    const fault = faultOf(() => encodeCall(CONFIG, { node, vmid: 1 }, { digest: DIGEST }, ASKED));
    assert.deepEqual([fault.disposition, fault.reason], ["stalled", "invalid"]);
  });
}
Deno.test("encodeCall: a volume cannot lead out of its storage", () => {
  for (const volume of ["local:iso/../../etc", "../x", "local:iso/.."]) {
    const at = { node: "pve1", storage: "local", volume };
    faultOf(() => encodeCall("DELETE /nodes/{node}/storage/{storage}/content/{volume}", at, {}, ASKED));
  }
});

const UNSEEN: { why: string; endpoint: Endpoint; params: Record<string, Value> }[] = [
  { why: "no digest", endpoint: CONFIG, params: { cores: 2 } },
  { why: "an empty digest", endpoint: CONFIG, params: { cores: 2, digest: "" } },
  {
    why: "no digest of the VM that gets a disk",
    endpoint: "POST /nodes/{node}/qemu/{vmid}/move_disk",
    params: { disk: "scsi1", digest: DIGEST, "target-vmid": 47002 },
  },
  {
    why: "no digest of a firewall",
    endpoint: "PUT /nodes/{node}/qemu/{vmid}/firewall/options",
    params: { enable: true },
  },
];
for (const { why, endpoint, params } of UNSEEN) {
  Deno.test(`encodeCall: refuses a write with ${why}`, () => {
    const fault = faultOf(() => encodeCall(endpoint, AT, params, ASKED));
    assert.deepEqual([fault.disposition, fault.reason], ["stalled", "invariant"]);
    assert.match(fault.message, /^Cannot configure VM 47001: no (target-)?digest says what was seen before$/);
  });
}

Deno.test("encodeCall: a body that either daemon would refuse is not sent", () => {
  const overhead = JSON.stringify({ digest: DIGEST, description: "" }).length;
  const fits = { digest: DIGEST, description: "x".repeat(BODY_MAX_BYTES - overhead) };
  assert.equal(encodeCall(CONFIG, AT, fits, ASKED).body?.byteLength, BODY_MAX_BYTES);
  const over = [
    { why: "JSON", description: `${fits.description}x` },
    { why: "the form that pveproxy makes of it", description: "é".repeat(BODY_MAX_BYTES / 5) },
  ];
  for (const { why, description } of over) {
    const fault = faultOf(() => encodeCall(CONFIG, AT, { digest: DIGEST, description }, ASKED));
    assert.match(
      fault.message,
      /^Cannot configure VM 47001: the request has \d+ bytes; Proxmox VE takes 524288$/,
      why,
    );
  }
});

Deno.test("encodeCall: an address that is too long is not sent", () => {
  assert.match(
    faultOf(() => encodeCall("DELETE /pools", {}, { poolid: "x".repeat(8_000) }, ASKED)).message,
    /address/,
  );
});
