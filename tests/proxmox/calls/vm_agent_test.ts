import assert from "node:assert/strict";
import { type ExecOutcome, IdleGuest } from "../guest/guest.ts";
import { requestOf } from "../client.ts";
import { RECORDED_TOKENS } from "../recorded_site.ts";
import { loadSchema } from "../schema/schema.ts";
import type { Site } from "../sites.ts";
import { onStage, qemu } from "../stage.ts";

const schema = loadSchema();

const mayExec = (site: Site): void => void site.roles["Broad"]?.push("VM.GuestAgent.Unrestricted");

/** Has an address and runs `echo`, which takes until somebody says so. */
class EchoGuest extends IdleGuest {
  end: () => void = () => {};

  override addresses(_nic: string): string[] {
    return ["10.77.0.21/24"];
  }
  override exec([program, ...words]: readonly string[], input: string | undefined): Promise<ExecOutcome> {
    if (program !== "echo") return super.exec([program ?? ""], input);
    const { promise, resolve } = Promise.withResolvers<ExecOutcome>();
    this.end = () => resolve({ exitCode: 0, stdout: `${words.join(" ")}${input ?? ""}\n` });
    return promise;
  }
}

Deno.test("agent: not configured, not running, not answering, each in its own words", async () => {
  await onStage(schema, async ({ double, broad, clone }) => {
    await clone(101);
    const ping = async (): Promise<[string, number]> => {
      const { reason, elapsedMs } = await broad.send("POST", qemu(101, "/agent/ping"), {});
      return [reason, elapsedMs];
    };
    assert.deepEqual(await ping(), ["VM 101 is not running", 0]);
    await broad.run("POST", qemu(101, "/status/start"));
    assert.deepEqual(await ping(), ["OK", 0]);
    await broad.run("POST", qemu(101, "/status/suspend"));
    assert.deepEqual(await ping(), ["QEMU guest agent is not running", 3_000]);
    double.operator.deleteOption(101, "agent");
    assert.deepEqual(await ping(), ["No QEMU guest agent configured", 0]);
  });
});

Deno.test("agent: a command runs until it ends, and its output is told then", async () => {
  const guest = new EchoGuest();
  await onStage(schema, async ({ broad, clone }) => {
    await clone(101);
    await broad.run("POST", qemu(101, "/status/start"));
    const body = { command: ["echo", "one", "two"], "input-data": "!" };
    const { data } = await broad.raw(
      requestOf("POST", qemu(101, "/agent/exec"), body, RECORDED_TOKENS.broad, "json"),
    );
    const pid = (data as { pid: number }).pid; // the double's own answer
    assert.deepEqual(await broad.get(`${qemu(101)}/agent/exec-status?pid=${pid}`), { exited: 0 });
    guest.end();
    assert.deepEqual(await broad.get(`${qemu(101)}/agent/exec-status?pid=${pid}`), {
      exited: 1,
      exitcode: 0,
      "out-data": "one two!\n",
    });
    const unknown = await broad.send("GET", `${qemu(101)}/agent/exec-status?pid=77`);
    assert.equal(unknown.reason, "Agent error: Invalid parameter 'pid'");
  }, { guests: () => guest, change: mayExec });
});

Deno.test("agent: the idle guest knows no command", async () => {
  await onStage(schema, async ({ broad, clone }) => {
    await clone(101);
    await broad.run("POST", qemu(101, "/status/start"));
    const { data } = await broad.send("POST", qemu(101, "/agent/exec"), { command: "id" });
    const pid = (data as { pid: number }).pid; // the double's own answer
    assert.deepEqual(await broad.get(`${qemu(101)}/agent/exec-status?pid=${pid}`), {
      exited: 1,
      exitcode: 127,
      "err-data": "id: not found\n",
    });
  }, { change: mayExec });
});

Deno.test("agent: files go in as they are or as base64, and come out again", async () => {
  await onStage(schema, async ({ broad, clone }) => {
    await clone(101);
    await broad.run("POST", qemu(101, "/status/start"));
    const write = (file: string, body: Record<string, unknown>): Promise<unknown> =>
      broad.run("POST", qemu(101, "/agent/file-write"), { file, ...body });
    const read = (file: string): Promise<unknown> =>
      broad.get(`${qemu(101)}/agent/file-read?file=${encodeURIComponent(file)}`);
    await write("/tmp/a", { content: "plain" });
    assert.deepEqual(await read("/tmp/a"), { content: "plain", "bytes-read": 5 });
    await write("/tmp/b", { content: btoa("coded"), encode: 0 });
    assert.deepEqual(await read("/tmp/b"), { content: "coded", "bytes-read": 5 });
    await assert.rejects(read("/tmp/c"), /No such file or directory/);
  }, { change: mayExec });
});

Deno.test("agent: interfaces show the NICs' own addresses", async () => {
  await onStage(schema, async ({ broad, clone, vm }) => {
    await clone(101);
    await broad.run("POST", qemu(101, "/status/start"));
    const mac = /virtio=([^,]+)/.exec(vm(101).config.get("net0") ?? "")?.[1]?.toLowerCase();
    const interfaces = JSON.stringify(await broad.get(qemu(101, "/agent/network-get-interfaces")));
    assert.ok(interfaces.includes(`"hardware-address":"${mac}"`), interfaces);
    assert.ok(
      interfaces.includes('{"ip-address":"10.77.0.21","ip-address-type":"ipv4","prefix":24}'),
      interfaces,
    );
  }, { guests: () => new EchoGuest() });
});
