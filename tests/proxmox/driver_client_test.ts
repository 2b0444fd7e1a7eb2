import assert from "node:assert/strict";
import { z } from "zod";
import { meansThat } from "../../src/drivers/proxmox/faults.ts";
import { runTask, waitForTask } from "../../src/drivers/proxmox/tasks.ts";
import { MACHINE_CLOCK } from "../../src/machine.ts";
import { clientOf } from "../drivers/proxmox/access.ts";
import { SeededRandom } from "../seeded_random.ts";
import { ProxmoxDouble } from "./double.ts";
import { listen } from "./listener.ts";
import { RECORDED_TOKENS, recordedSite } from "./recorded_site.ts";
import { INSTANT_TIMINGS } from "./state/timings.ts";

const NODE = "pve1";
const signal = new AbortController().signal;

/** As little of an ISO image as the server looks at. */
function iso(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(40_000);
  bytes.set(new TextEncoder().encode("\u0001CD001\u0001cidata"), 32_768);
  return bytes;
}

Deno.test("Client: what it sends, the double takes, and what that answers, it understands", async () => {
  const site = recordedSite();
  site.roles["Broad"]?.push("Datastore.AllocateTemplate", "VM.GuestAgent.Unrestricted");
  const double = new ProxmoxDouble({
    clock: MACHINE_CLOCK,
    random: new SeededRandom(1),
    site,
    timings: INSTANT_TIMINGS,
  });
  const listening = await listen(double);
  const client = clientOf(listening.port, {
    clock: MACHINE_CLOCK,
    files: { "/token": () => RECORDED_TOKENS.broad },
  });
  const surroundings = {
    client,
    clock: MACHINE_CLOCK,
    settings: { taskDeadlineMs: 10_000, copyDeadlineMs: 10_000 },
  };
  const asked = { what: "try the double", target: "VM 101" };
  const at = { node: NODE, vmid: 101 };
  try {
    const clone = "POST /nodes/{node}/qemu/{vmid}/clone";
    const cloning = {
      at: { node: NODE, vmid: 9000 },
      params: { newid: 101, full: false, name: "first" },
      asked,
    };
    assert.equal((await runTask(surroundings, clone, cloning, signal))?.warnings, 0);
    await assert.rejects(
      runTask(surroundings, clone, cloning, signal),
      (thrown) => meansThat(thrown, "vmid-taken"),
      "the id is taken",
    );
    const upid = await client.upload(
      { node: NODE, storage: "local" },
      { name: "seed.iso", bytes: iso() },
      asked,
      signal,
    );
    await waitForTask(surroundings, upid, asked, signal);
    const config = "GET /nodes/{node}/qemu/{vmid}/config";
    const { digest } = await client.call(
      config,
      { at, asked, answer: z.object({ digest: z.string() }) },
      signal,
    );
    const params = { ide0: "local:iso/seed.iso,media=cdrom", onboot: false, digest };
    await runTask(surroundings, "POST /nodes/{node}/qemu/{vmid}/config", { at, params, asked }, signal);
    await runTask(surroundings, "POST /nodes/{node}/qemu/{vmid}/status/start", { at, asked }, signal);
    const exec = { at, params: { command: ["id"] }, asked, answer: z.object({ pid: z.number() }) };
    const { pid } = await client.call("POST /nodes/{node}/qemu/{vmid}/agent/exec", exec, signal);
    const outcome = { at, params: { pid }, asked, answer: z.object({ exitcode: z.number() }) };
    assert.equal(
      (await client.call("GET /nodes/{node}/qemu/{vmid}/agent/exec-status", outcome, signal)).exitcode,
      127,
    );
  } finally {
    await listening.close();
    await double.close();
  }
});
