import assert from "node:assert/strict";
import { callService, isServiceDown } from "../../src/cli/service.ts";
import { Fault } from "../../src/core/fault.ts";
import { listenTcp, listenUnix } from "../../src/api/listen.ts";
import { MACHINE_CLOCK } from "../../src/machine.ts";

const options = {
  clock: MACHINE_CLOCK,
  failed: (thrown: unknown) => {
    throw thrown;
  },
};

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "wps-api-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A socket file that nobody listens on, as a killed service leaves it. */
async function leaveStaleSocket(path: string): Promise<void> {
  const listener = Deno.listen({ transport: "unix", path: `${path}.gone` });
  await Deno.rename(`${path}.gone`, path);
  listener.close();
}

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const thrown = await work.then(() => null, (reason) => reason);
  assert.ok(thrown instanceof Fault, `expected a Fault, got ${thrown}`);
  return thrown;
}

Deno.test("listenUnix: answers on a socket of mode 0660 and knows the transport", () =>
  inFolder(async (folder) => {
    const path = `${folder}/wps.sock`;
    const listener = await listenUnix(path, {
      ...options,
      answer: async (request, env) =>
        Response.json({ env, body: await request.text(), path: new URL(request.url).pathname }),
    });
    assert.equal(((await Deno.lstat(path)).mode ?? 0) & 0o777, 0o660);
    const response = await callService(path, { method: "POST", path: "/api/v1/permits/a%2Fb", body: "hi" });
    assert.deepEqual(await response.json(), {
      env: { transport: "unix" },
      body: "hi",
      path: "/api/v1/permits/a%2Fb",
    });
    await listener.stop(1000);
    assert.deepEqual([...Deno.readDirSync(folder)], [], "nothing is left behind");
  }));

Deno.test("listenUnix: takes over a stale socket, and nothing else", () =>
  inFolder(async (folder) => {
    const path = `${folder}/wps.sock`;
    await leaveStaleSocket(path);
    const down = await faultOf(callService(path, { path: "/healthz" }));
    assert.ok(isServiceDown(down), "a stale socket is a service that is down");
    const answer = (): Response => new Response("first");
    const first = await listenUnix(path, { ...options, answer });
    const second = await faultOf(listenUnix(path, { ...options, answer }));
    assert.equal(second.reason, "conflict", "a live socket is never taken");
    assert.equal(await (await callService(path, { path: "/" })).text(), "first", "and goes on answering");
    await first.stop(1000);
    await Deno.writeTextFile(path, "kept");
    assert.equal((await faultOf(listenUnix(path, { ...options, answer }))).reason, "invalid");
    assert.equal(await Deno.readTextFile(path), "kept", "a regular file is never removed");
    const long = await faultOf(listenUnix(`${folder}/${"x".repeat(120)}.sock`, { ...options, answer }));
    assert.match(long.message, /at most 107 bytes/);
  }));

Deno.test("listenUnix: says what is with the socket's folder, and what to do", () =>
  inFolder(async (folder) => {
    const answer = (): Response => new Response();
    const absent = await faultOf(listenUnix(`${folder}/run/wps/wps.sock`, { ...options, answer }));
    assert.equal(absent.reason, "unavailable");
    assert.ok(absent.message.endsWith(`the folder ${folder}/run/wps does not exist`), absent.message);
    assert.match(absent.advice ?? "", /install -d -m 0750 .*\/run\/wps;/);
    await Deno.writeTextFile(`${folder}/file`, "");
    const file = await faultOf(listenUnix(`${folder}/file/wps.sock`, { ...options, answer }));
    assert.deepEqual([file.reason, file.message.endsWith(`${folder}/file is not a folder`)], [
      "invalid",
      true,
    ]);
  }));

Deno.test("callService: says whether the service is down or this user is denied", () =>
  inFolder(async (folder) => {
    const absent = await faultOf(callService(`${folder}/none.sock`, { path: "/" }));
    assert.ok(isServiceDown(absent));
    assert.match(absent.message, /nobody listens on .*none\.sock/);
    const path = `${folder}/slow.sock`;
    const held = Promise.withResolvers<Response>();
    const listener = await listenUnix(path, { ...options, answer: () => held.promise });
    const late = await faultOf(callService(path, { path: "/", signal: AbortSignal.timeout(50) }));
    assert.equal(late.reason, "timeout");
    assert.ok(!isServiceDown(late), "a slow service is not a service that is down");
    held.resolve(new Response("late"));
    await listener.stop(1000);
  }));

Deno.test("callService: reads a stream as it comes and closes the connection when it is cancelled", () =>
  inFolder(async (folder) => {
    const path = `${folder}/wps.sock`;
    const cancelled = Promise.withResolvers<void>();
    const body = () =>
      new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode("event: job\n\n")),
        cancel: () => cancelled.resolve(),
      });
    const listener = await listenUnix(path, { ...options, answer: () => new Response(body()) });
    const response = await callService(path, { path: "/" });
    const reader = response.body?.getReader();
    assert.equal(new TextDecoder().decode((await reader?.read())?.value), "event: job\n\n");
    await reader?.cancel();
    await cancelled.promise;
    await listener.stop(1000);
  }));

Deno.test("listenTcp: lets an answer finish before it stops, and names a port that is taken", async () => {
  const held = Promise.withResolvers<Response>();
  const entered = Promise.withResolvers<void>();
  const answer = (request: Request): Promise<Response> | Response => {
    if (!request.url.endsWith("/held")) return new Response("at once");
    entered.resolve();
    return held.promise;
  };
  const listener = listenTcp({ hostname: "127.0.0.1", port: 0, tls: null }, { ...options, answer });
  assert.equal(listener.address, `http://127.0.0.1:${listener.port}`);
  assert.equal(await (await fetch(listener.address)).text(), "at once");
  const pending = fetch(`${listener.address}/held`);
  await entered.promise;
  const stopped = listener.stop(10_000);
  held.resolve(new Response("finished"));
  assert.equal(await (await pending).text(), "finished");
  await stopped;
  await listener.stop(0);
  const busy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  assert.throws(
    () => listenTcp({ hostname: "127.0.0.1", port: busy.addr.port, tls: null }, { ...options, answer }),
    (thrown) => thrown instanceof Fault && thrown.reason === "unavailable" && /in use/i.test(thrown.message),
  );
  busy.close();
});
