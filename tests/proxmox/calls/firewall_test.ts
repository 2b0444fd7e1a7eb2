import assert from "node:assert/strict";
import { loadSchema } from "../schema/schema.ts";
import { onStage, qemu } from "../stage.ts";

const schema = loadSchema();
const CLUSTER = "/cluster/firewall";

/** Entries of a list without their digest. */
async function plain(list: Promise<unknown>): Promise<unknown> {
  return JSON.parse(
    JSON.stringify(await list, (key, value: unknown) => key === "digest" ? undefined : value),
  );
}

Deno.test("firewall: the cluster's groups, sets and aliases are there for every VM's rules", async () => {
  await onStage(schema, async ({ root, broad, clone }) => {
    await root.run("POST", `${CLUSTER}/groups`, { group: "ws-proxy" });
    const rule = { type: "out", action: "ACCEPT", dest: "dc/proxy", proto: "tcp", dport: 3128, enable: 1 };
    const early = await root.send("POST", `${CLUSTER}/groups/ws-proxy`, rule);
    assert.deepEqual(early.errors, { dest: "no such alias 'dc/proxy'" });
    await root.run("POST", `${CLUSTER}/aliases`, { name: "proxy", cidr: "10.20.0.5/32" });
    await root.run("POST", `${CLUSTER}/groups/ws-proxy`, rule);
    await root.run("POST", `${CLUSTER}/ipset`, { name: "gateways" });
    await root.run("POST", `${CLUSTER}/ipset/gateways`, { cidr: "10.20.0.0/28" });
    await clone(101);
    const inbound = { type: "in", action: "ACCEPT", source: "+dc/gateways", enable: 1 };
    await broad.run("POST", qemu(101, "/firewall/rules"), inbound);
    assert.deepEqual(await plain(broad.get(`${CLUSTER}/groups/ws-proxy`)), [
      { ...rule, dport: "3128", pos: 0, ipversion: 4 },
    ]);
    await root.run("DELETE", `${CLUSTER}/ipset/gateways/10.20.0.0%2F28`);
    await root.run("DELETE", `${CLUSTER}/ipset/gateways`);
    const rules = await plain(broad.get(qemu(101, "/firewall/rules")));
    assert.match(JSON.stringify(rules), /"errors":\{"source":"no such ipset 'dc\/gateways'"\}/);
    const full = await root.send("DELETE", `${CLUSTER}/groups/ws-proxy`);
    assert.equal(full.reason, "Security group 'ws-proxy' is not empty");
  });
});

Deno.test("firewall: the cluster's switch is the operator's", async () => {
  await onStage(schema, async ({ root, broad }) => {
    await root.run("PUT", `${CLUSTER}/options`, { enable: 0 });
    assert.deepEqual(await plain(broad.get(`${CLUSTER}/options`)), { enable: 0, policy_in: "ACCEPT" });
  });
});

Deno.test("firewall: a rule is changed in place, and loses what is deleted from it", async () => {
  await onStage(schema, async ({ broad, clone }) => {
    await clone(101);
    const rules = qemu(101, "/firewall/rules");
    await broad.run("DELETE", `${rules}/0`);
    await broad.run("POST", rules, {
      type: "out",
      action: "ACCEPT",
      proto: "tcp",
      dport: 443,
      comment: "x",
      enable: 1,
    });
    await broad.run("PUT", `${rules}/0`, { action: "DROP", delete: "comment" });
    assert.deepEqual(await plain(broad.get(rules)), [
      { type: "out", action: "DROP", proto: "tcp", dport: "443", enable: 1, pos: 0 },
    ]);
    const broken = await broad.send("PUT", `${rules}/0`, { delete: "proto" });
    assert.deepEqual(broken.errors, { proto: "missing property - 'dport' requires this property" });
  });
});
