import assert from "node:assert/strict";
import { listenTcp, listenUnix } from "../../src/api/listen.ts";
import { STREAMS_MAX } from "../../src/api/job_feed.ts";
import { callService } from "../../src/cli/service.ts";
import { MACHINE_CLOCK } from "../../src/machine.ts";
import { KEY, PEOPLE, PERMIT, type Service, statusEvent, withService } from "../api/service.ts";
import { until } from "../services/until.ts";

const COMMON = { clock: MACHINE_CLOCK, failed: (thrown: unknown): void => assert.fail(String(thrown)) };

/** A service that listens on a socket and on TCP, with TLS where `tls` is given. */
function listening(
  tls: { cert: string; key: string } | null,
  test: (service: Service, at: { socket: string; url: string; stop: () => Promise<void> }) => Promise<void>,
): Promise<void> {
  return withService(async (service) => {
    const folder = await Deno.makeTempDir({ prefix: "wps-listen-" });
    const answer: Parameters<typeof listenUnix>[1]["answer"] = (request, env) =>
      service.app.fetch(request, env);
    const socket = `${folder}/wps.sock`;
    const unix = await listenUnix(socket, { ...COMMON, answer });
    const tcp = listenTcp({ hostname: "127.0.0.1", port: 0, tls }, { ...COMMON, answer });
    const stop = async (): Promise<void> => {
      service.deps.feed?.close();
      await Promise.all([unix.stop(5_000), tcp.stop(5_000)]);
    };
    try {
      await test(service, { socket, url: tcp.address, stop });
    } finally {
      await stop();
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("createApi: on a real socket the caller is trusted, on real TCP the key decides", () =>
  listening(null, async (service, { socket, url }) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    const path = `/api/v1/workspaces/${PERMIT}/status`;
    assert.deepEqual(await (await callService(socket, { path })).json(), { status: "PENDING" });
    const stranger = await fetch(`${url}${path}`, { headers: { "X-WPS-Operator": "root" } });
    assert.deepEqual([stranger.status, (await stranger.json()).type], [
      401,
      "urn:wps:problem:unauthenticated",
    ]);
    const known = await fetch(`${url}${path}`, { headers: { Authorization: `Bearer ${KEY}` } });
    assert.deepEqual(await known.json(), { status: "PENDING" });
    const slashes = await callService(socket, { path: `/api/v1/permits/${encodeURIComponent("a/b/../c")}` });
    assert.match((await slashes.json()).detail, /"a\/b\/\.\.\/c"/, "the segment arrives as it was meant");
    const sent = await callService(socket, {
      method: "POST",
      path: "/api/v1/events",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ permitId: "a/b", ...statusEvent("AWAITING_INGRESS") }),
    });
    assert.equal((await sent.json()).verdict, "accepted");
  }));

Deno.test("createApi: a body over the bound is refused on the wire, and the listener lives on", () =>
  listening(null, async (_service, { socket, url }) => {
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${KEY}` };
    const body = "x".repeat(3 * 1024 * 1024);
    const refused = await fetch(`${url}/api/v1/events`, { method: "POST", headers, body }).catch(() => null);
    // A server that stops reading may cut the connection before the client has sent everything (RFC 9110 15.5.14).
    if (refused !== null) {
      assert.equal(refused.status, 413);
      await refused.body?.cancel();
    }
    assert.equal(
      (await (await callService(socket, { path: "/api/v1/events" })).json()).items[0].verdict,
      "rejected",
    );
  }));

Deno.test("listeners: stop ends open streams in order, at once", () =>
  listening(null, async (service, { socket, stop }) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    const stream = await callService(socket, { path: "/api/v1/jobs/1/events" });
    const reader = stream.body?.getReader();
    assert.match(new TextDecoder().decode((await reader?.read())?.value), /^event: job/);
    const startedAt = performance.now();
    await stop();
    assert.ok(performance.now() - startedAt < 4_000, "no grace was waited out");
    assert.equal((await reader?.read())?.done, true, "ended, not broken off");
  }));

Deno.test("GET /jobs/{id}/events: a reader that hangs up frees its seat", () =>
  listening(null, async (service, { socket }) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    const request = { path: "/api/v1/jobs/1/events" };
    const open: Response[] = [];
    for (let seat = 0; seat < STREAMS_MAX; seat++) open.push(await callService(socket, request));
    const refused = await callService(socket, request);
    assert.equal(refused.status, 503);
    await refused.body?.cancel();
    await open[0]?.body?.cancel();
    const freed = await until("a seat is free", async () => {
      const response = await callService(socket, request);
      if (response.status === 200) return response;
      await response.body?.cancel();
    });
    for (const response of [...open.slice(1), freed]) await response.body?.cancel();
  }));

Deno.test("listenTcp: speaks TLS with the site's certificate", async () => {
  const folder = await Deno.makeTempDir({ prefix: "wps-tls-" });
  try {
    const made = await new Deno.Command("openssl", {
      args: [
        ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=wps".split(
          " ",
        ),
        ..."-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE".split(" "),
        ..."-keyout key.pem -out cert.pem".split(" "),
      ],
      cwd: folder,
      stderr: "piped",
    }).output();
    assert.ok(made.success, new TextDecoder().decode(made.stderr));
    const [cert, key] = await Promise.all(
      ["cert.pem", "key.pem"].map((name) => Deno.readTextFile(`${folder}/${name}`)),
    );
    assert.ok(cert !== undefined && key !== undefined);
    await listening({ cert, key }, async (_service, { url }) => {
      assert.match(url, /^https:/);
      using client = Deno.createHttpClient({ caCerts: [cert] });
      const response = await fetch(`${url}/healthz`, { client });
      assert.deepEqual(await response.json(), { status: "ok" });
      await assert.rejects(fetch(`${url}/healthz`), "an unknown authority is not trusted");
    });
    assert.throws(
      () =>
        listenTcp({ hostname: "127.0.0.1", port: 0, tls: { cert: "no", key: "no" } }, {
          ...COMMON,
          answer: () => new Response(),
        }),
      /Cannot listen on 127\.0\.0\.1:0/,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
