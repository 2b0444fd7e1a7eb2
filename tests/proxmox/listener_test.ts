import assert from "node:assert/strict";
import { FakeClock } from "../fake_clock.ts";
import { SeededRandom } from "../seeded_random.ts";
import { makeCertificates } from "./certificate.ts";
import { ProxmoxDouble } from "./double.ts";
import { listen } from "./listener.ts";
import { RECORDED_TOKENS, recordedSite } from "./recorded_site.ts";

const authorization = `PVEAPIToken=${RECORDED_TOKENS.broad}`;

function newDouble(): ProxmoxDouble {
  // By itself the time moves whenever nothing else is left to do.
  return new ProxmoxDouble({
    clock: new FakeClock({ auto: true, turns: 20 }),
    random: new SeededRandom(1),
    site: recordedSite(),
  });
}

/** What comes back on the wire, status line and all. */
async function exchange(port: number, text: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(text));
  return await new Response(connection.readable).text();
}

Deno.test("listen: the status line carries the server's words, also where the body is empty", async () => {
  const double = newDouble();
  const listening = await listen(double);
  try {
    const head = (method: string, path: string, rest = ""): string => {
      return `${method} /api2/json${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${rest}`;
    };
    const token = `Authorization: ${authorization}\r\n`;
    const cases: Array<[string, RegExp, string]> = [
      [
        head("GET", "/version", `${token}\r\n`),
        /^HTTP\/1\.1 200 OK\r\n[^]*"version":"9\.2\.11"/,
        "an answer",
      ],
      [head("GET", "/version", "\r\n"), /^HTTP\/1\.1 401 No ticket\r\n[^]*\r\n\r\n$/, "no body at all"],
      [
        head("GET", "/nodes/pve1/qemu/4242/config", `${token}\r\n`),
        /^HTTP\/1\.1 500 Configuration file 'nodes\/pve1\/qemu-server\/4242\.conf' does not exist\r\n/,
        "a failure",
      ],
      [
        head("HEAD", "/version", `${token}\r\n`),
        /^HTTP\/1\.1 501 method 'HEAD' not available\r\n/,
        "a method",
      ],
      [
        head("DELETE", "/nodes/pve1/qemu/9000", `${token}Content-Length: 7\r\n\r\npurge=1`),
        /^HTTP\/1\.1 501 Unexpected content for method 'DELETE'\r\n[^]*\r\n\r\nUnexpected content for method 'DELETE'$/,
        "plain text",
      ],
    ];
    for (const [request, expected, reason] of cases) {
      assert.match(await exchange(listening.port, request), expected, reason);
    }
  } finally {
    await listening.close();
    await double.close();
  }
});

Deno.test("listen: 595, which no other server knows", async () => {
  const double = newDouble();
  const listening = await listen(double);
  try {
    double.faults.isDaemonDown = true;
    const response = await fetch(`${listening.url}/api2/json/nodes/pve1/qemu`, {
      headers: { authorization },
    });
    assert.equal(response.status, 595);
    assert.equal(await response.text(), "");
  } finally {
    await listening.close();
    await double.close();
  }
});

Deno.test("listen: TLS by the authority that a client trusts", async () => {
  const certificates = await makeCertificates();
  const double = newDouble();
  const listening = await listen(double, { tls: certificates });
  using client = Deno.createHttpClient({ caCerts: [certificates.authority] });
  try {
    const url = `${listening.url}/api2/json/version`;
    const response = await fetch(url, { headers: { authorization }, client });
    assert.deepEqual(await response.json(), {
      data: { release: "9.2", repoid: "snapshot", version: "9.2.11" },
    });
    await assert.rejects(fetch(url, { headers: { authorization } }), "nobody else trusts it");
    assert.match(certificates.fingerprint, /^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  } finally {
    await listening.close();
    await double.close();
  }
});

Deno.test("listen: a lost reply breaks the connection after the effect, a lost request before it", async () => {
  const double = newDouble();
  const listening = await listen(double);
  const create = (poolid: string): Promise<Response> => {
    const body = new URLSearchParams({ poolid });
    return fetch(`${listening.url}/api2/json/pools`, { method: "POST", headers: { authorization }, body });
  };
  try {
    double.faults.loseReply({ method: "POST", path: /^\/pools$/ });
    await assert.rejects(create("lost-reply"));
    double.faults.loseRequest({ method: "POST", path: /^\/pools$/ });
    await assert.rejects(create("lost-request"));
    assert.ok(double.world.pools.has("lost-reply"));
    assert.ok(!double.world.pools.has("lost-request"));
    assert.deepEqual(double.faults.struck, ["lose reply: POST /pools", "lose request: POST /pools"]);
    const response = await create("answered");
    assert.equal(response.status, 200, "only once each");
    await response.body?.cancel();
  } finally {
    await listening.close();
    await double.close();
  }
});
