import assert from "node:assert/strict";
import { registeredRoutes } from "../../src/api/api.ts";
import { createAuthenticator } from "../../src/api/auth.ts";
import { PERMISSIONS } from "../../src/api/caller.ts";
import { createRefusalAudit } from "../../src/api/refusals.ts";
import { listAudit } from "../../src/store/audit.ts";
import { MACHINE_CLOCK } from "../../src/machine.ts";
import { KEY, only, withService } from "./service.ts";
import { SteppedClock } from "./surroundings.ts";

const bearer = (key: string): RequestInit => ({ headers: { Authorization: `Bearer ${key}` } });

Deno.test("createApi: every route names its permission, and nothing answers outside of the named routes", () =>
  withService((service) => {
    const routes = registeredRoutes(service.app);
    for (const { method, path, permission } of routes) {
      assert.ok(permission !== null, `${method} ${path} names no permission`);
      assert.ok(permission === "public" || PERMISSIONS.includes(permission), `${path}: ${permission}`);
    }
    const open = routes.filter(({ permission }) => permission === "public").map(({ path }) => path);
    assert.deepEqual(open.sort(), ["/api/v1/openapi.json", "/healthz", "/readyz"], "public, and no others");
    const named = new Set(
      routes.map(({ method, path }) => `${method.toUpperCase()} ${path.replaceAll(/\{(.+?)\}/g, ":$1")}`),
    );
    for (const { method, path } of service.app.routes) {
      // "ALL" are the middleware on /* and the 405 of a known path.
      if (method === "ALL") continue;
      assert.ok(named.has(`${method} ${path}`), `${method} ${path} was added without route()`);
    }
    return Promise.resolve();
  }));

Deno.test("authorize: asks each route's permission before anything else of the request is looked at", () =>
  withService(async (service) => {
    for (const { method, path, permission } of registeredRoutes(service.app)) {
      if (permission === "public") continue;
      const url = path.replaceAll(/\{(.+?)\}/g, "no-number");
      const response = await service.ask(`${url}?nonsense=1`, { method: method.toUpperCase() }, "tcp");
      assert.equal(response.status, 401, `${method} ${path} without a key`);
      assert.equal(response.headers.get("WWW-Authenticate"), 'Bearer realm="wps"');
      assert.equal((await response.json()).type, "urn:wps:problem:unauthenticated");
    }
  }, { clock: impatientClock() }));

Deno.test("authorize: a known caller without the permission is 403, and exactly the permission opens the route", async () => {
  for (const permission of PERMISSIONS) {
    await withService(async (service) => {
      for (const route of registeredRoutes(service.app)) {
        if (route.permission === "public") continue;
        const url = route.path.replaceAll(/\{(.+?)\}/g, "1");
        const response = await service.ask(url, { method: route.method.toUpperCase() }, "tcp");
        await response.body?.cancel();
        const opens = route.permission === permission;
        assert.equal(
          response.status === 403,
          !opens,
          `${route.method} ${url} with ${permission}: ${response.status}`,
        );
      }
    }, { deps: () => ({ authenticate: only(permission) }), clock: impatientClock() });
  }
});

Deno.test("createAuthenticator: who is known", async () => {
  const cases: {
    why: string;
    key: string | null;
    transport: "unix" | "tcp" | "process";
    header: string | null;
    operator?: string;
    is: string | null;
  }[] = [
    { why: "the socket is the operator's", key: KEY, transport: "unix", header: null, is: "operator unix" },
    { why: "so is the command line", key: null, transport: "process", header: null, is: "operator process" },
    {
      why: "the socket names its user",
      key: KEY,
      transport: "unix",
      header: null,
      operator: "m.keller",
      is: "operator m.keller",
    },
    {
      why: "what is no user name is not believed",
      key: KEY,
      transport: "unix",
      header: null,
      operator: "x\ny",
      is: "operator unix",
    },
    { why: "the key", key: KEY, transport: "tcp", header: `Bearer ${KEY}`, is: "api configured-key" },
    {
      why: "the scheme in any case (RFC 9110 11.1)",
      key: KEY,
      transport: "tcp",
      header: `bearer ${KEY}`,
      is: "api configured-key",
    },
    {
      why: "nobody on TCP is an operator by saying so",
      key: KEY,
      transport: "tcp",
      header: null,
      operator: "root",
      is: null,
    },
    { why: "a longer key", key: KEY, transport: "tcp", header: `Bearer ${KEY}x`, is: null },
    { why: "a shorter key", key: KEY, transport: "tcp", header: `Bearer ${KEY.slice(1)}`, is: null },
    { why: "another scheme", key: KEY, transport: "tcp", header: `Basic ${btoa(`x:${KEY}`)}`, is: null },
    { why: "an empty key", key: KEY, transport: "tcp", header: "Bearer ", is: null },
    { why: "two keys", key: KEY, transport: "tcp", header: `Bearer ${KEY} ${KEY}`, is: null },
    { why: "no key configured: nobody", key: null, transport: "tcp", header: "Bearer null", is: null },
    { why: "an empty key configured: nobody", key: "", transport: "tcp", header: "Bearer ", is: null },
  ];
  for (const { why, key, transport, header, operator = null, is } of cases) {
    const caller = await createAuthenticator({ key })({ transport, authorization: header, operator });
    assert.equal(caller === null ? null : `${caller.actor.kind} ${caller.actor.id}`, is, why);
  }
});

Deno.test("authorize: refusals are audited before their answer leaves, without the key that came", () =>
  withService(async (service) => {
    await service.ask("/api/v1/permits/secret%2Fid?cursor=x", {
      headers: { Authorization: "Bearer wrong-key-123", "X-Request-Id": "r-1" },
    }, "tcp");
    const { items } = await listAudit(service.db, { action: "api.refused" }, { cursor: null, limit: 9 });
    assert.equal(items.length, 1);
    const { actor, target, outcome, reason, requestId } = items[0] ?? {};
    assert.deepEqual({ actor, target, outcome, reason, requestId }, {
      actor: { kind: "api", id: "unknown" },
      target: "GET /api/v1/permits/secret%2Fid",
      outcome: "refused",
      reason: "not known, permits:read asked",
      requestId: "r-1",
    });
    assert.ok(!JSON.stringify(items).includes("wrong-key"));
    const known = await service.ask("/api/v1/permits", bearer(KEY), "tcp");
    assert.equal(known.status, 200);
  }));

Deno.test("createRefusalAudit: a flood costs one group of rows a second, and each of it waits for its row", () =>
  withService(async (service) => {
    const clock = new SteppedClock();
    const stopping = new AbortController();
    const refused = createRefusalAudit(service.db, clock, stopping.signal);
    const refusal = {
      actor: { kind: "api", id: "unknown" },
      status: 401,
      permission: "permits:read",
      target: "GET /x",
      requestId: "r",
    } as const;
    const rows = async (): Promise<string[]> => {
      const page = await listAudit(service.db, { action: "api.refused" }, { cursor: null, limit: 500 });
      return page.items.map(({ target, reason }) => `${target}: ${reason}`);
    };
    await refused(refusal);
    assert.equal((await rows()).length, 1, "the first at once");
    let answered = 0;
    const flood = Array.from({ length: 500 }, () => refused(refusal).then(() => answered++));
    await Promise.resolve();
    assert.equal(answered, 0, "the rest waits for the next group");
    clock.advance(1_000);
    await Promise.all(flood);
    const after = await rows();
    assert.equal(after.length, 1 + 20 + 1);
    assert.equal(after[0], "several: 480 more refusals within a second");
    stopping.abort();
    await refused(refusal);
    assert.equal((await rows()).length, 23, "stopping does not lose one");
  }));

/** Waits between groups of refusals take no time; deadlines never pass. */
function impatientClock(): typeof MACHINE_CLOCK {
  return {
    now: () => Date.now(),
    sleep: (ms, signal) => ms === 1_000 ? Promise.resolve() : MACHINE_CLOCK.sleep(ms, signal),
  };
}
