/** What the types let through and what they refuse; `deno check` runs this test, the assertions only keep it honest. */
import assert from "node:assert/strict";
import {
  type Endpoint,
  type Params,
  type PathVariables,
  SEEN_ENDPOINTS,
} from "../../../src/drivers/proxmox/endpoints.ts";

function call<E extends Endpoint>(
  endpoint: E,
  at: PathVariables<E>,
  params: Params<E>,
): [string, object, object] {
  return [endpoint, at, params];
}

const DIGEST = "0".repeat(40);
const AT = { node: "pve1", vmid: 47001 };

Deno.test("Params: what Proxmox VE takes is a call, by name and type", () => {
  const calls = [
    call("GET /version", {}, {}),
    call("POST /nodes/{node}/qemu/{vmid}/clone", AT, { newid: 47002, full: false, pool: "wps" }),
    call("PUT /nodes/{node}/qemu/{vmid}/config", AT, { digest: DIGEST, scsi1: "vmstore:1", virtiofs0: "p" }),
    call("POST /nodes/{node}/qemu/{vmid}/status/stop", AT, { "overrule-shutdown": true }),
    call("GET /nodes/{node}/tasks/{upid}/log", { node: "pve1", upid: "UPID:…" }, { limit: 500 }),
    call("DELETE /nodes/{node}/qemu/{vmid}", AT, { purge: true }),
    call("GET /cluster/mapping/dir", {}, { "check-node": "pve1" }),
  ];
  assert.equal(calls.length, 7);
});

Deno.test("Params: what Proxmox VE would refuse does not compile", () => {
  const clone = "POST /nodes/{node}/qemu/{vmid}/clone";
  const config = "PUT /nodes/{node}/qemu/{vmid}/config";
  const refused = [
    // @ts-expect-error: a write over what was seen carries its digest
    call(config, AT, { scsi1: "vmstore:1" }),
    // @ts-expect-error: there is no such disk
    call(config, AT, { digest: DIGEST, scsi31: "vmstore:1" }),
    // @ts-expect-error: a clone needs its new id
    call(clone, AT, { name: "a" }),
    // @ts-expect-error: the path has another name in its braces
    call(clone, { node: "pve1", id: 1 }, { newid: 2 }),
    // @ts-expect-error: there is no such call
    call("POST /nodes/{node}/qemu/{vmid}/explode", AT, { newid: 2 }),
    // @ts-expect-error: the policy is spelt in capitals
    call("PUT /nodes/{node}/qemu/{vmid}/firewall/options", AT, { digest: DIGEST, policy_in: "drop" }),
    // @ts-expect-error: a call without parameters
    call("GET /version", {}, { verbose: true }),
  ];
  assert.equal(refused.length, 7);
});

Deno.test("SEEN_ENDPOINTS: what changes a VM's configuration or removes a firewall rule by its place", () => {
  assert.equal(new Set(SEEN_ENDPOINTS).size, 7);
  assert.ok(
    SEEN_ENDPOINTS.every((endpoint) =>
      /^(PUT|POST|DELETE) .*(config|resize|move_disk|firewall\/)/.test(endpoint)
    ),
  );
});
