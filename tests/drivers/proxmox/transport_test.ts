/** Requests against real servers on loopback: what goes over the wire, once, and what becomes of what comes back. */
import assert from "node:assert/strict";
import { Agent, request as httpRequest } from "node:http";
import { z } from "zod";
import { JOB_PRIORITY } from "../../../src/core/job.ts";
import type { Client } from "../../../src/drivers/proxmox/client.ts";
import { RESPONSE_MAX_BYTES } from "../../../src/drivers/proxmox/exchange.ts";
import { keptLog } from "../../kept_log.ts";
import { until } from "../../services/until.ts";
import { clientOf, faultOf, proxmoxFaultOf, TOKEN_ID, TOKEN_SECRET } from "./access.ts";
import { makeCertificates } from "./certificates.ts";
import { type LoopbackServer, type Reply, startServer } from "./server.ts";

const UPID = "UPID:pve1:0000A1B2:00C3D4E5:6921F0AB:qmclone:9000:prov@pve!t0:";
const ASKED = { what: "clone VM 9000 as VM 47001", target: "VM 47001" };
const CLONE = "POST /nodes/{node}/qemu/{vmid}/clone";
const { signal } = new AbortController();

function clone(client: Client, stop: AbortSignal = signal, timeoutMs?: number): Promise<string> {
  const at = { node: "pve1", vmid: 9000 }, params = { newid: 47001, full: false };
  return client.call(CLONE, { at, params, answer: z.string(), asked: ASKED, timeoutMs }, stop);
}

function version(client: Client, stop: AbortSignal = signal): Promise<unknown> {
  const asked = { what: "read the version", target: "Proxmox VE" };
  return client.call("GET /version", { at: {}, answer: z.unknown(), asked }, stop);
}

Deno.test("Transport: a write goes over the wire as Proxmox VE takes it", async () => {
  await using server = startServer(() => ({ body: { data: UPID } }));
  assert.equal(await clone(clientOf(server.port)), UPID);
  const [request] = server.requests;
  assert.ok(request !== undefined);
  const { method, path, headers, body, raw } = request;
  assert.deepEqual([method, path], ["POST", "/api2/json/nodes/pve1/qemu/9000/clone"]);
  assert.equal(headers.get("authorization"), `PVEAPIToken=${TOKEN_ID}=${TOKEN_SECRET}`);
  assert.equal(headers.get("content-type"), "application/json");
  assert.equal(headers.get("host"), `127.0.0.1:${server.port}`);
  assert.equal(headers.get("content-length"), `${body.length}`);
  assert.equal(headers.has("transfer-encoding"), false, "pveproxy takes no chunks");
  assert.equal(headers.has("accept-encoding"), false, "nor is a packed answer read");
  assert.deepEqual(JSON.parse(body), { newid: 47001, full: 0 });
  assert.equal(raw.split("\r\n")[0], "POST /api2/json/nodes/pve1/qemu/9000/clone HTTP/1.1");
});

Deno.test("Transport: a GET and a DELETE have neither body nor a header that speaks of one", async () => {
  await using server = startServer(() => ({ body: { data: null } }));
  const client = clientOf(server.port);
  await version(client);
  const at = { node: "pve1", vmid: 47001 };
  const asked = { what: "destroy VM 47001", target: "VM 47001" };
  await client.call("DELETE /nodes/{node}/qemu/{vmid}", {
    at,
    params: { purge: true },
    answer: z.null(),
    asked,
  }, signal);
  assert.deepEqual(server.requests.map(({ method, path }) => `${method} ${path}`), [
    "GET /api2/json/version",
    "DELETE /api2/json/nodes/pve1/qemu/47001?purge=1",
  ]);
  for (const { headers, body } of server.requests) {
    assert.deepEqual([headers.get("content-length"), headers.get("content-type"), body], [null, null, ""]);
  }
});

/** What may become of a write's answer. */
const LOST: { why: string; reply: Reply; says: RegExp }[] = [
  { why: "the connection is closed without an answer", reply: "close", says: /hang up/ },
  { why: "nothing comes", reply: "hang", says: /no answer within 300 ms/ },
  {
    why: "it breaks in the middle of the body",
    reply: new TextEncoder().encode('HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"data":'),
    says: /broke in the middle/,
  },
  {
    why: "it is not HTTP",
    reply: new TextEncoder().encode("SSH-2.0-OpenSSH_10\r\n\r\n"),
    says: /Parse Error/,
  },
  { why: "it is not JSON", reply: { body: "<html>" }, says: /not JSON/ },
  {
    why: "it is none that the call has",
    reply: { body: { data: { upid: UPID } } },
    says: /not what POST .* answers/,
  },
  { why: "it has no data", reply: { body: [] }, says: /not what POST .* answers/ },
  {
    why: "the daemon behind the proxy was lost",
    reply: { status: 596, reason: "Broken pipe" },
    says: /Broken pipe/,
  },
];
for (const { why, reply, says } of LOST) {
  Deno.test(`Transport: a write whose answer is lost is sent once, and says that it may be done: ${why}`, async () => {
    await using server = startServer(() => reply);
    const fault = await proxmoxFaultOf(clone(clientOf(server.port, { settings: { requestTimeoutMs: 300 } })));
    assert.equal(fault.disposition, "retry");
    assert.match(fault.message, says);
    assert.match(fault.message, /^Cannot clone VM 9000 as VM 47001: .*it may have been carried out$/);
    assert.equal(fault.mayBeDone, true);
    assert.deepEqual([server.requests.length, server.connections], [1, 1], "never a second time");
    await until("the connection is closed", () => server.open === 0);
  });
}

Deno.test("Transport: a connection that broke while nobody used it carries no write, because none is used twice", async () => {
  await using server = startServer((_request, count) => count <= 2 ? { body: { data: null } } : "close");
  const client = clientOf(server.port);
  await version(client);
  await version(client);
  const fault = await proxmoxFaultOf(clone(client));
  assert.equal(fault.mayBeDone, true);
  assert.deepEqual(server.requests.map(({ method }) => method), ["GET", "GET", "POST"]);
  assert.equal(server.connections, 3);
});

Deno.test("openConnection: fetch and node:http send a POST twice over a used connection, so none is used twice", async () => {
  const client = Deno.createHttpClient({}), agent = new Agent({ keepAlive: true });
  const byFetch = async (url: string, init: RequestInit): Promise<unknown> =>
    await (await fetch(url, { ...init, client })).text();
  const byNode = (url: string, { method, body }: { method: string; body?: string }): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const request = httpRequest(url, { method, agent }, (response) => response.on("end", resolve).resume());
      request.on("error", reject).end(body);
    });
  for (const send of [byFetch, byNode]) {
    await using server = startServer((_request, count) => count === 1 ? { body: {} } : "close");
    const url = `http://127.0.0.1:${server.port}/`;
    await send(url, { method: "GET" });
    await assert.rejects(send(url, { method: "POST", body: "a=1" }));
    const posts = server.requests.filter(({ method }) => method === "POST").length;
    assert.equal(posts, 2, `${send.name}: Deno has learnt, and the comments in connection.ts may be mended`);
  }
  client.close();
  agent.destroy();
});

Deno.test("Transport: a write that was not sent, or was refused, says nothing of having been done", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const nobody = clientOf(listener.addr.port);
  listener.close();
  const unsent = await proxmoxFaultOf(clone(nobody));
  assert.deepEqual([unsent.disposition, unsent.reason, unsent.mayBeDone], ["retry", "unavailable", false]);
  assert.match(unsent.message, /ECONNREFUSED/);
  await using server = startServer(() => ({ status: 595, reason: "Connection refused" }));
  const refused = await proxmoxFaultOf(clone(clientOf(server.port)));
  assert.deepEqual([refused.means, refused.mayBeDone], ["unreachable", false]);
  assert.match(refused.message, /Connection refused$/);
});

Deno.test("Transport: the reason phrase is kept where there is no body, also in other letters", async () => {
  const answers: Reply[] = [
    { status: 401, reason: "Authentication failed!" },
    { status: 500, reason: "störage 'nosuch' döes not exist" },
  ];
  await using server = startServer((_request, count) => answers[count - 1] ?? "close");
  const client = clientOf(server.port);
  const denied = await proxmoxFaultOf(version(client));
  assert.deepEqual([denied.means, denied.answer?.reason], ["unauthenticated", "Authentication failed!"]);
  assert.match((await faultOf(version(client))).message, /: störage 'nosuch' döes not exist$/);
});

Deno.test("Transport: a redirection is not followed, least of all with the token", async () => {
  await using elsewhere = startServer(() => ({ body: { data: null } }));
  const location = `http://127.0.0.1:${elsewhere.port}/`;
  await using server = startServer(() => ({ status: 301, reason: "Moved", headers: { location }, body: "" }));
  assert.equal((await proxmoxFaultOf(version(clientOf(server.port)))).means, "redirected");
  assert.equal(elsewhere.connections, 0);
});

Deno.test("Transport: an answer has an end", async () => {
  await using server = startServer(() => ({ body: `"${"x".repeat(RESPONSE_MAX_BYTES)}"` }));
  assert.match((await faultOf(version(clientOf(server.port)))).message, /more than 16777216 bytes/);
  await until("the connection is closed", () => server.open === 0);
});

Deno.test("Transport: the time for an answer counts from the asking, also behind others", async () => {
  await using server = startServer(() => "hang");
  const client = clientOf(server.port, { settings: { parallelRequests: 1 } });
  const stop = new AbortController();
  const first = proxmoxFaultOf(clone(client, stop.signal));
  await until("the first has the only place", () => server.requests.length === 1);
  const begin = performance.now();
  const others = await Promise.all(
    Array.from({ length: 8 }, () => proxmoxFaultOf(clone(client, signal, 100))),
  );
  assert.ok(performance.now() - begin < 700, "side by side, not one after the other");
  assert.deepEqual(
    new Set(others.map(({ reason, mayBeDone }) => `${reason} ${mayBeDone}`)),
    new Set(["timeout false"]),
  );
  stop.abort();
  assert.equal((await first).mayBeDone, true);
  assert.equal(server.requests.length, 1, "the others never left");
});

Deno.test("Transport: a call may have a time limit of its own", async () => {
  await using server = startServer(() => "hang");
  const asked = { what: "ping the agent", target: "VM 47001" };
  const call = { at: { node: "pve1", vmid: 47001 }, answer: z.unknown(), asked, timeoutMs: 100 };
  const fault = await faultOf(
    clientOf(server.port).call("POST /nodes/{node}/qemu/{vmid}/agent/ping", call, signal),
  );
  assert.match(fault.message, /no answer within 100 ms/);
});

/** Where an abort may come. */
const ABORTED: { when: string; isSent: boolean; from: (server: LoopbackServer) => Promise<unknown> }[] = [
  {
    when: "while it waits for the answer",
    isSent: true,
    from: (server) => until("it came", () => server.requests.length > 0),
  },
  { when: "before anything", isSent: false, from: () => Promise.resolve() },
];
for (const { when, isSent, from } of ABORTED) {
  Deno.test(`Transport: whoever stops a write is told whether it had left: ${when}`, async () => {
    await using server = startServer(() => "hang");
    const stop = new AbortController();
    if (!isSent) stop.abort();
    const told = proxmoxFaultOf(clone(clientOf(server.port), stop.signal));
    await from(server);
    stop.abort();
    const { disposition, reason, message, mayBeDone } = await told;
    assert.deepEqual([disposition, reason, mayBeDone], ["cancelled", "cancelled", isSent]);
    assert.match(
      message,
      isSent ? /stopped on request; .*it may have been carried out$/ : /stopped on request$/,
    );
    assert.equal(server.requests.length, isSent ? 1 : 0);
  });
}

Deno.test("Transport: as many requests as are allowed are under way; what cuts access goes ahead of all", async () => {
  const held = Promise.withResolvers<void>();
  await using server = startServer(async ({ path }) => {
    if (!path.includes("47001")) await held.promise;
    return { body: { data: null } };
  });
  const client = clientOf(server.port, { settings: { parallelRequests: 2 } });
  const others = Array.from({ length: 6 }, () => version(client));
  await until("as many as may are under way", () => server.requests.length === 2);
  const asked = { what: "stop VM 47001", target: "VM 47001" };
  const call = { at: { node: "pve1", vmid: 47001 }, answer: z.null(), asked };
  await client.at(JOB_PRIORITY.halt).call("POST /nodes/{node}/qemu/{vmid}/status/stop", call, signal);
  assert.equal(server.requests.length, 3, "the others still wait");
  held.resolve();
  await Promise.all(others);
  assert.equal(server.requests.length, 7);
});

Deno.test("Transport: token and authority are read for each request: what is renewed needs no restart", async () => {
  const { leaf, foreign, authority, foreignAuthority } = await makeCertificates();
  let ca = foreignAuthority, secret = "1".repeat(8) + TOKEN_SECRET.slice(8);
  await using server = startServer(
    ({ headers }) =>
      headers.get("authorization")?.includes(TOKEN_SECRET)
        ? { body: { data: { version: "9.2" } } }
        : { status: 401 },
    leaf,
  );
  const client = clientOf(server.port, {
    settings: { url: `https://localhost:${server.port}`, caFile: "/ca.pem" },
    files: { "/token": () => `${TOKEN_ID}=${secret}`, "/ca.pem": () => ca },
  });
  const distrusted = await proxmoxFaultOf(version(client));
  assert.deepEqual([distrusted.disposition, distrusted.reason], ["stalled", "denied"]);
  assert.match(`${distrusted.message} ${distrusted.advice}`, /not trusted: unable to verify.*openssl x509/);
  assert.equal(server.requests.length, 0, "nothing is said to somebody else");
  ca = authority;
  assert.equal((await proxmoxFaultOf(version(client))).means, "unauthenticated");
  assert.equal(server.requests.length, 1, "a refused token is not tried again by itself");
  secret = TOKEN_SECRET;
  assert.deepEqual(await version(client), { version: "9.2" });
  await using other = startServer(() => ({ body: { data: null } }), foreign);
  const elsewhere = { url: `https://localhost:${other.port}`, caFile: "/ca.pem" };
  assert.equal(
    (await faultOf(version(clientOf(other.port, { settings: elsewhere, files: { "/ca.pem": () => ca } }))))
      .reason,
    "denied",
  );
});

Deno.test("Transport: without its token's file nothing is sent", async () => {
  await using server = startServer(() => ({ body: { data: null } }));
  const fault = await faultOf(version(clientOf(server.port, { settings: { tokenFile: "/gone" } })));
  assert.deepEqual([fault.disposition, fault.reason], ["retry", "unavailable"]);
  assert.equal(server.connections, 0);
});

Deno.test("Transport: each request has a line in the log, and no line, fault or answer has a secret", async () => {
  const kept = keptLog();
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA7J6v6XJHXsN9Z5TOJuh5wMIY9ezliV9OqFZ2+2gJef dev@example";
  const secrets = { cipassword: "pl4nted-password", sshkeys: key, description: "planted-note" };
  const echo = (text: string): Reply => ({
    status: 400,
    reason: text.replaceAll(/[\r\n]+/g, " "),
    body: { message: text, errors: { sshkeys: text } },
  });
  await using server = startServer(({ body, headers, raw }, count) =>
    count === 1 ? { body: { data: null } } : echo(`${body} ${headers.get("authorization")} ${raw.length}`)
  );
  const client = clientOf(server.port, { log: kept.log });
  const asked = { what: "configure VM 47001", target: "VM 47001" };
  const params = { digest: "0".repeat(40), cores: 2, ...secrets };
  const call = { at: { node: "pve1", vmid: 47001 }, params, answer: z.null(), asked };
  await client.call("PUT /nodes/{node}/qemu/{vmid}/config", call, signal);
  const fault = await proxmoxFaultOf(client.call("PUT /nodes/{node}/qemu/{vmid}/config", call, signal));
  const seed = new TextEncoder().encode("#cloud-config planted-seed");
  const upload = { name: "wps-47001.iso", bytes: seed };
  await faultOf(client.upload({ node: "pve1", storage: "local" }, upload, asked, signal));

  const [first] = kept.saying("proxmox request");
  assert.equal(first?.request, "PUT /api2/json/nodes/pve1/qemu/47001/config");
  assert.deepEqual(first?.params, {
    digest: "0".repeat(40),
    cores: 2,
    cipassword: "[redacted]",
    sshkeys: "[hidden]",
    description: "[hidden]",
  });
  assert.deepEqual([first?.level, first?.status, first?.ms], ["debug", 200, 0]);
  assert.equal(kept.saying("proxmox request").length, 3);
  const shown = [kept.text(), fault.message, fault.advice, JSON.stringify(fault.answer), `${fault.stack}`]
    .join("\n");
  assert.match(shown, /wps-47001\.iso/);
  for (const planted of [TOKEN_SECRET, "pl4nted", "AAAAC3", "dev@example", "planted-note", "planted-seed"]) {
    assert.ok(!shown.includes(planted), `${planted} in ${shown}`);
  }
  const sent = server.requests.map(({ raw }) => raw).join("\n");
  for (const planted of [TOKEN_SECRET, "pl4nted", "AAAAC3", "planted-note", "planted-seed"]) {
    assert.ok(sent.includes(planted), `${planted} was sent, else the test shows nothing`);
  }
});
