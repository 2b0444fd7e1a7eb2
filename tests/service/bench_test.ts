import assert from "node:assert/strict";
import { benchStatus, memoryOf } from "../../bench/lifetime.ts";
import { endedJob } from "../../bench/provision.ts";
import { Service } from "../../bench/service.ts";
import { render } from "../../bench/table.ts";

const LAB = "drivers: { lab: { latency: 0ms, delays: { bind: 1ms, start: 1ms, ready: 1ms } } }\n";

/** What needs a broker or a cluster is measured with them alone; the rest of its machinery works on the lab as well. */
Deno.test("deno task bench: a service is started, given work, asked, killed, started again, and gives figures", async () => {
  const folder = await Deno.makeTempDir({ prefix: "wps-bench-smoke-" });
  const service = await Service.start({ folder, brokerUrl: null, sections: LAB });
  try {
    const permitId = "bench-smoke";
    const sinceMs = Date.now();
    await service.post("/api/v1/events", {
      id: "bench-smoke-1",
      type: "permit.status.updated",
      time: new Date(sinceMs).toISOString(),
      permitId,
      data: {
        status: "WORKSPACE_SETUP_PENDING",
        researchers: [{ username: "r0", uid: 21000, gid: 21000 }],
      },
    });
    const job = await endedJob(service, permitId, sinceMs);
    assert.equal(job.state, "succeeded");
    assert.ok(job.steps.some(({ kind, outcome }) => kind === "start" && outcome === "done"));
    assert.ok((await memoryOf(service)).every((mib) => mib > 10));

    await service.kill();
    await service.relaunch();
    assert.ok(await service.ready() > 0);
    const rows = await benchStatus(service, permitId, 2);
    assert.match(
      render(rows),
      /^\ncommand line\n {2}wps status, whole process +\d+\.\d ms \(measured once\)\n.*empty Deno program +\d/,
    );
  } finally {
    await service.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
