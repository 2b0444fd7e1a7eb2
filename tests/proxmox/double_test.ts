import assert from "node:assert/strict";
import { loadSchema } from "./schema/schema.ts";
import type { Site } from "./sites.ts";
import { onStage, qemu } from "./stage.ts";
import { INSTANT_TIMINGS } from "./state/timings.ts";
import { ConnectionLost } from "./wire/errors.ts";

const schema = loadSchema();

function secondNode(site: Site): void {
  const [node] = site.nodes;
  if (node !== undefined) site.nodes.push({ ...node, name: "pve2", address: "10.77.0.2" });
}

Deno.test("handle: without the privileged daemon, what needs none still answers", async () => {
  await onStage(schema, async ({ double, broad }) => {
    double.faults.isDaemonDown = true;
    const cases: Array<[string, number]> = [
      ["/version", 200],
      ["/cluster/nextid", 200],
      ["/nodes/pve1/qemu", 595],
      [qemu(9000, "/status/current"), 595],
    ];
    for (const [path, expected] of cases) {
      const { status, data } = await broad.send("GET", path);
      assert.equal(status, expected, path);
      if (expected === 595) assert.equal(data, undefined, "with an empty body");
    }
  });
});

Deno.test("handle: another node that is away is not reached, and its VMs are unknown", async () => {
  await onStage(schema, async ({ double, broad, clock }) => {
    await broad.run("POST", "/nodes/pve2/qemu", { vmid: 101 });
    await clock.advance(10_000);
    double.operator.takeAway("pve2");
    const { status, reason, elapsedMs } = await broad.send("GET", "/nodes/pve2/qemu");
    assert.deepEqual([status, reason, elapsedMs], [595, "No route to host", 3_000]);
    const resources = JSON.stringify(await broad.get("/cluster/resources?type=vm"));
    assert.match(resources, /"id":"qemu\/101"[^}]*"status":"unknown"/);
    assert.equal((await broad.send("GET", "/nodes/pve1/qemu")).status, 200);
    double.operator.bringBack("pve2");
    assert.equal((await broad.send("GET", "/nodes/pve2/qemu")).status, 200);
  }, { change: secondNode });
});

Deno.test("handle: the node that clients use is away, and no answer comes", async () => {
  await onStage(schema, async ({ double, broad }) => {
    double.operator.takeAway("pve1");
    await assert.rejects(broad.send("GET", "/version"), ConnectionLost);
    double.operator.bringBack("pve1");
    assert.equal((await broad.send("GET", "/version")).status, 200);
  });
});

Deno.test("handle: a lost reply to a clone leaves a clone that nobody announced", async () => {
  await onStage(schema, async ({ double, broad, world, clock }) => {
    double.faults.loseReply({ method: "POST", path: /\/clone$/ });
    await assert.rejects(broad.send("POST", qemu(9000, "/clone"), { newid: 101, full: 0 }), ConnectionLost);
    await clock.advance(5_000);
    assert.ok(world.vms.has(101));
    const repeated = await broad.send("POST", qemu(9000, "/clone"), { newid: 101, full: 0 });
    assert.equal(repeated.reason, "unable to create VM 101: config file already exists");
  });
});

Deno.test("handle: what the schema has and the double has not says so", async () => {
  await onStage(schema, async ({ root }) => {
    const { status, reason } = await root.send("POST", qemu(9000, "/migrate"), { target: "pve2" });
    assert.equal(status, 501);
    assert.equal(reason, "The double does not model 'POST /nodes/{node}/qemu/{vmid}/migrate'");
  });
});

Deno.test("handle: some calls are not for tokens", async () => {
  await onStage(schema, async ({ root }) => {
    const closed = schema.find(({ allowtoken, method, path }) =>
      allowtoken === 0 && method === "POST" && !/\{/.test(path)
    );
    assert.ok(closed !== undefined);
    const { status, reason } = await root.send("POST", closed.path, {});
    assert.equal(status, 403);
    assert.match(reason, /not available with API token/);
  });
});

Deno.test("handle: the same seed and the same requests give the same answers", async () => {
  const answers = async (): Promise<string> => {
    const seen: unknown[] = [];
    await onStage(schema, async ({ broad }) => {
      seen.push((await broad.send("POST", qemu(9000, "/clone"), { newid: 101, full: 0 })).data);
      seen.push(await broad.exitStatus(`${seen[0]}`), await broad.get(qemu(101, "/config")));
    });
    return JSON.stringify(seen);
  };
  assert.equal(await answers(), await answers());
});

Deno.test("handle: with instant timings no time passes but what somebody waits for", async () => {
  await onStage(schema, async ({ broad, clock }) => {
    const begunMs = clock.now();
    await broad.run("POST", qemu(9000, "/clone"), { newid: 101, full: 1 });
    await broad.run("POST", qemu(101, "/config"), { scsi1: "vmstore:1" });
    await broad.run("POST", qemu(101, "/status/start"));
    await broad.run("POST", qemu(101, "/status/stop"));
    await broad.run("DELETE", qemu(101));
    assert.ok(clock.now() - begunMs <= 500, `${clock.now() - begunMs} ms`);
  }, { timings: INSTANT_TIMINGS });
});

Deno.test("resources: a new VM is unknown, and a change unseen, until pvestatd had its round", async () => {
  await onStage(schema, async ({ broad, clone, clock, vm }) => {
    const seen = async (): Promise<string> => {
      const all = await broad.get("/cluster/resources?type=vm");
      if (!Array.isArray(all)) throw new Error("No list");
      const entry: unknown = all.find((resource) => resource.vmid === 101);
      return JSON.stringify(entry ?? null);
    };
    await clone(101);
    assert.match(await seen(), /"status":"unknown"/);
    await clock.advance(10_000);
    assert.match(await seen(), /"status":"stopped"/);
    await broad.run("POST", qemu(101, "/status/start"));
    assert.ok(vm(101).power !== undefined);
    assert.match(await seen(), /"status":"stopped"/, "it runs, and is not seen to");
    await clock.advance(10_000);
    assert.match(await seen(), /"status":"running"/);
    await broad.run("POST", qemu(101, "/status/stop"));
    await broad.run("DELETE", qemu(101));
    assert.equal(await seen(), "null", "who is gone is not listed");
  });
});

Deno.test("task: stopped by its owner, it ends as interrupted and gives back what it held", async () => {
  await onStage(schema, async ({ broad, narrow, world }) => {
    const { data } = await broad.send("POST", qemu(9000, "/clone"), { newid: 101, full: 1, bwlimit: 1024 });
    const path = `/nodes/pve1/tasks/${data}`;
    assert.equal((await narrow.send("DELETE", path)).status, 403);
    await broad.run("DELETE", path);
    assert.match(await broad.exitStatus(`${data}`), /interrupted by signal$/);
    assert.ok(!world.vms.has(101));
    await broad.run("POST", qemu(9000, "/clone"), { newid: 101, full: 0 });
  });
});
