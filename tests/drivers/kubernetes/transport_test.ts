import assert from "node:assert/strict";
import { Fault } from "../../../src/core/fault.ts";
import { JOB_PRIORITY } from "../../../src/core/job.ts";
import type { Client } from "../../../src/drivers/kubernetes/client.ts";
import { Pool } from "../../../src/drivers/kubernetes/pool.ts";
import { URGENT_REQUESTS, URGENT_TRIES } from "../../../src/drivers/kubernetes/turns.ts";
import { MACHINE_CLOCK } from "../../../src/machine.ts";
import { until } from "../../services/until.ts";
import { clientOf, startDouble, status, stored } from "./double.ts";

const PLACE = { namespace: "a", name: "b" };
const { signal } = new AbortController();

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  try {
    await promise;
  } catch (thrown) {
    assert.ok(thrown instanceof Fault, `${thrown}`);
    return thrown;
  }
  return assert.fail("it must be refused");
}

Deno.test("Transport: a refused token is read again and the request sent once more", async () => {
  const tokens = ["old", "new"];
  await using server = startDouble(
    (request) =>
      request.headers.get("authorization") === "Bearer new"
        ? Response.json(stored("Pod", "b"))
        : status(401, "Unauthorized", "Unauthorized"),
    { user: "{ tokenFile: token }", files: { "/token": () => tokens.shift() ?? "none left" } },
  );
  assert.equal((await server.client.get("pods", PLACE, signal))?.metadata.name, "b");
  assert.deepEqual(server.requests.map(({ headers }) => headers.get("authorization")), [
    "Bearer old",
    "Bearer new",
  ]);
});

Deno.test("Transport: new credentials replace the pool once, and fail nobody who uses the old one", async () => {
  const held = Promise.withResolvers<void>();
  let token = "old", reads = 0;
  await using server = startDouble(async (request) => {
    const isHeld = new URL(request.url).pathname.endsWith("/slow");
    if (isHeld) await held.promise;
    const isGood = isHeld || request.headers.get("authorization") === "Bearer new";
    return isGood ? Response.json(stored("Pod", "b")) : status(401, "Unauthorized", "Unauthorized");
  }, {
    user: () => {
      reads++;
      return `{ token: ${token} }`;
    },
  });
  const slow = server.client.get("pods", { namespace: "a", name: "slow" }, signal);
  const stop = new AbortController();
  const query = { resourceVersion: "1", timeoutSeconds: 60 };
  await until("the slow one is under way", () => server.requests.length === 1);
  token = "new";
  const many = Array.from({ length: 12 }, () => server.client.get("pods", PLACE, signal));
  const watch = await server.client.openWatch("pods", query, stop.signal);
  assert.deepEqual((await Promise.all(many)).map((pod) => pod?.metadata.name), Array(12).fill("b"));
  assert.equal(reads, 2, "read at first, and once for all that were refused");
  held.resolve();
  assert.equal((await slow)?.metadata.name, "b", "the old connections stay as long as they are used");
  await watch.cancel();
  stop.abort();
});

Deno.test("Pool: retired, it is closed with its last user; closing by force waits for nobody", () => {
  const access = {
    server: "https://127.0.0.1:1",
    caPem: null,
    certPem: null,
    keyPem: null,
    token: "t",
    tokenFile: null,
  };
  const surroundings = {
    readText: () => Promise.reject(new Error("no file")),
    env: () => undefined,
    clock: { now: () => 0, sleep: () => Promise.resolve() },
  };
  const make = (): Pool => new Pool(access, 2, surroundings);
  const used = make();
  const [first, second] = [used.use(), used.use()];
  first();
  first();
  used.retire();
  assert.equal(used.isClosed, false, "a release counts once");
  second();
  assert.equal(used.isClosed, true);
  const forced = make();
  forced.use();
  forced.close();
  assert.equal(forced.isClosed, true);
});

Deno.test("Transport: a token that stays refused is a fault after one repetition, not a loop", async () => {
  await using server = startDouble(() => status(401, "Unauthorized", "Unauthorized"));
  const fault = await faultOf(server.client.get("pods", PLACE, signal));
  assert.deepEqual([fault.disposition, fault.reason], ["retry", "denied"]);
  assert.equal(server.requests.length, 2);
});

Deno.test("Transport: a token's file is read again after a minute, because kubelet renews it", async () => {
  let nowMs = 0, reads = 0;
  await using server = startDouble(() => Response.json(stored("Pod", "b")), {
    user: "{ tokenFile: token }",
    files: { "/token": () => `t${++reads}` },
    clock: { now: () => nowMs, sleep: () => Promise.resolve() },
  });
  for (const at of [0, 59_000, 61_000]) {
    nowMs = at;
    await server.client.get("pods", PLACE, signal);
  }
  assert.deepEqual(server.requests.map(({ headers }) => headers.get("authorization")), [
    "Bearer t1",
    "Bearer t1",
    "Bearer t2",
  ]);
});

Deno.test("Transport: no answer in time is a timeout; the write may have been done", async () => {
  const held = Promise.withResolvers<Response>();
  await using server = startDouble(() => held.promise, { timeoutMs: 50 });
  const fault = await faultOf(server.client.get("pods", PLACE, signal));
  assert.deepEqual([fault.disposition, fault.reason], ["retry", "timeout"]);
  held.resolve(new Response());
});

Deno.test("Transport: what cuts access goes ahead of all requests that queue, and of those under way", async () => {
  const held = Promise.withResolvers<void>();
  await using server = startDouble(async ({ url }) => {
    if (!url.includes("cut")) await held.promise;
    return Response.json(stored("Pod", "b"));
  }, { parallelRequests: 2 });
  const ask = (client: Client, name: string): Promise<unknown> =>
    client.get("pods", { ...PLACE, name }, signal);
  const names = (): string[] => server.requests.map(({ url }) => url.slice(url.lastIndexOf("/") + 1));
  const reconcile = server.client.at(JOB_PRIORITY.reconcile);
  const others = Array.from({ length: 6 }, (_, index) => ask(reconcile, `other-${index}`));
  await until("as many as may are under way", () => server.requests.length === 2);
  await ask(server.client.at(JOB_PRIORITY.halt), "cut");
  assert.deepEqual(names(), ["other-0", "other-1", "cut"]);
  held.resolve();
  await Promise.all(others);
  assert.equal(names().length, 7);
});

Deno.test("Transport: urgent requests that find their own lane full come before all others, by urgency", async () => {
  const [first, others] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using server = startDouble(async ({ url }) => {
    if (url.includes("held")) await (url.endsWith("held-0") ? first : others).promise;
    return Response.json(stored("Pod", "b"));
  }, { parallelRequests: 1 });
  const ask = (priority: number, name: string): Promise<unknown> =>
    server.client.at(priority).get("pods", { ...PLACE, name }, signal);
  const under = [50, ...Array(URGENT_REQUESTS).fill(20)].map((priority, i) => ask(priority, `held-${i}`));
  await until("all lanes are full", () => server.requests.length === 1 + URGENT_REQUESTS);
  const queued = [ask(90, "drift"), ask(50, "reconcile"), ask(10, "delete"), ask(0, "halt")];
  first.resolve(); // one place: they go through it one after the other
  await Promise.all(queued);
  const order = server.requests.map(({ url }) => url.slice(url.lastIndexOf("/") + 1)).slice(under.length);
  assert.deepEqual(order, ["halt", "delete", "reconcile", "drift"]);
  others.resolve();
  await Promise.all(under);
});

Deno.test("Transport: who is told to stop waiting for others' requests goes at once, and loses no place", async () => {
  const held = Promise.withResolvers<void>();
  await using server = startDouble(async ({ url }) => {
    if (url.includes("slow")) await held.promise;
    return Response.json(stored("Pod", "b"));
  }, { parallelRequests: 1 });
  const slow = server.client.get("pods", { ...PLACE, name: "slow" }, signal);
  await until("it is under way", () => server.requests.length === 1);
  const stop = new AbortController();
  const told = faultOf(server.client.get("pods", PLACE, stop.signal));
  stop.abort();
  assert.equal((await told).reason, "cancelled");
  held.resolve();
  await slow;
  assert.equal((await server.client.get("pods", PLACE, signal))?.metadata.name, "b");
});

Deno.test("Transport: the time for an answer counts from the asking, also behind others", async () => {
  const held = Promise.withResolvers<void>();
  await using server = startDouble(async () => {
    await held.promise;
    return Response.json(stored("Pod", "b"));
  }, { parallelRequests: 1, timeoutMs: 50 });
  const asked = Array.from({ length: 20 }, () => faultOf(server.client.get("pods", PLACE, signal)));
  const begin = performance.now();
  assert.deepEqual(new Set((await Promise.all(asked)).map(({ reason }) => reason)), new Set(["timeout"]));
  assert.ok(performance.now() - begin < 500, "side by side, not one after the other");
  held.resolve();
});

Deno.test("Transport: while half of all calls fail, what cuts access is asked again at once; the rest takes its turn", async () => {
  const seen: string[] = [];
  await using server = startDouble(({ url }) => {
    const name = url.slice(url.lastIndexOf("/") + 1);
    seen.push(name);
    const isRefused = seen.filter((other) => other === name).length % 4 !== 0;
    return isRefused ? status(503, "ServiceUnavailable", "etcd is away") : Response.json(stored("Pod", name));
  });
  const ask = (priority: number, name: string): Promise<unknown> =>
    server.client.at(priority).get("pods", { ...PLACE, name }, signal);
  await ask(JOB_PRIORITY.halt, "halt");
  assert.deepEqual(seen, Array(4).fill("halt"));
  assert.equal((await faultOf(ask(JOB_PRIORITY.reconcile, "reconcile"))).reason, "unavailable");
  assert.deepEqual(seen.slice(4), ["reconcile"], "one attempt more or less: its job comes back later");
});

const AGAIN: readonly { when: string; code: number; reason: string; asked: number }[] = [
  {
    when: "a server that stays away is not asked for ever",
    code: 500,
    reason: "unavailable",
    asked: URGENT_TRIES,
  },
  { when: "a conflict needs another look, not another call", code: 409, reason: "conflict", asked: 1 },
  { when: "what is denied stays denied", code: 403, reason: "denied", asked: 1 },
];
for (const { when, code, reason, asked } of AGAIN) {
  Deno.test(`Transport: ${when}`, async () => {
    await using server = startDouble(() => status(code, "No", "no"));
    const halting = server.client.at(JOB_PRIORITY.halt);
    assert.equal((await faultOf(halting.get("pods", PLACE, signal))).reason, reason);
    assert.equal(server.requests.length, asked);
  });
}

Deno.test("Transport: asking again ends with the time for an answer", async () => {
  await using server = startDouble(() => status(503, "No", "no"), { timeoutMs: 100, clock: MACHINE_CLOCK });
  const begin = performance.now();
  const fault = await faultOf(server.client.at(JOB_PRIORITY.halt).get("pods", PLACE, signal));
  assert.deepEqual(
    [fault.disposition, fault.reason],
    ["retry", "unavailable"],
    "why, not that time was over",
  );
  assert.ok(performance.now() - begin < 1_000);
});

Deno.test("Transport: what cuts access does not wait as long as a server asks for", async () => {
  const slept: number[] = [];
  const clock = { now: () => 0, sleep: (ms: number) => Promise.resolve(void slept.push(ms)) };
  let asked = 0;
  const answer = (): Response =>
    ++asked === 1
      ? new Response(null, { status: 429, headers: { "retry-after": "300" } })
      : Response.json(stored("Pod", "p"));
  await using server = startDouble(answer, { clock });
  await server.client.at(JOB_PRIORITY.halt).get("pods", PLACE, signal);
  assert.deepEqual(slept, [1_000]);
});

Deno.test("Transport: an answer that stalls in its middle is a timeout, too", async () => {
  let release = (): void => {};
  await using server = startDouble(
    () =>
      new Response(
        new ReadableStream({
          start: (controller) => {
            controller.enqueue(new TextEncoder().encode('{"kind":"Pod",'));
            release = () => controller.close();
          },
        }),
      ),
    { timeoutMs: 50 },
  );
  assert.equal((await faultOf(server.client.get("pods", PLACE, signal))).reason, "timeout");
  release();
});

Deno.test("Transport: the caller's abort is cancelled, before and during the request", async () => {
  const held = Promise.withResolvers<Response>();
  await using server = startDouble(() => held.promise);
  assert.equal((await faultOf(server.client.get("pods", PLACE, AbortSignal.abort()))).reason, "cancelled");
  const stop = new AbortController();
  const asked = faultOf(server.client.get("pods", PLACE, stop.signal));
  stop.abort();
  assert.equal((await asked).reason, "cancelled");
  held.resolve(new Response());
});

Deno.test("Transport: a server that is not there is unavailable, and the way back needs nothing", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { client, transport } = clientOf(`http://127.0.0.1:${listener.addr.port}`);
  listener.close();
  const fault = await faultOf(client.get("pods", PLACE, signal));
  assert.deepEqual([fault.disposition, fault.reason], ["retry", "unavailable"]);
  assert.match(fault.message, /refused/i);
  await transport.close();
});

Deno.test("Transport: an answer that is no JSON, or no object, is not believed", async () => {
  const answers = ["<html>", "{}", '{"metadata":{"name":"b"}}'];
  await using server = startDouble(() => new Response(answers.shift()));
  for (let index = 0; index < 3; index++) {
    assert.equal((await faultOf(server.client.get("pods", PLACE, signal))).reason, "unavailable");
  }
});

Deno.test("Transport: an object larger than etcd takes is refused before it is sent", async () => {
  await using server = startDouble(() => Response.json({}));
  const data = { big: "x".repeat(1_600_000) };
  const fault = await faultOf(server.client.apply("secrets", { metadata: PLACE, data }, signal));
  assert.deepEqual([fault.disposition, fault.reason], ["stalled", "invalid"]);
  assert.equal(server.requests.length, 0);
});

Deno.test("Client.list: pages are followed; an expired continuation begins anew, once", async () => {
  const seen: string[] = [];
  let expired = false;
  await using server = startDouble((request) => {
    const next = new URL(request.url).searchParams.get("continue");
    seen.push(next ?? "first");
    if (next === "page-2" && !expired) {
      expired = true;
      return status(410, "Expired", "The provided continue parameter is too old");
    }
    const metadata = next === null ? { resourceVersion: "5", continue: "page-2" } : { resourceVersion: "5" };
    return Response.json({ kind: "PodList", metadata, items: [stored("Pod", next ?? "first")] });
  });
  const pods = await server.client.list("pods", { namespace: "a" }, signal);
  assert.deepEqual(pods.map(({ metadata }) => metadata.name), ["first", "page-2"]);
  assert.deepEqual(seen, ["first", "page-2", "first", "page-2"]);
});

Deno.test("Client.list: a list without end is refused", async () => {
  await using server = startDouble(() =>
    Response.json({ kind: "PodList", metadata: { resourceVersion: "5", continue: "more" }, items: [] })
  );
  const fault = await faultOf(server.client.list("pods", {}, signal));
  assert.deepEqual([fault.disposition, fault.reason], ["stalled", "invalid"]);
});

Deno.test("Client: a read of Secrets asks for metadata alone", async () => {
  await using server = startDouble(() =>
    Response.json({ kind: "List", metadata: { resourceVersion: "1" }, items: null })
  );
  await server.client.listMetadata("secrets", { namespace: "a" }, signal);
  assert.match(server.requests[0]?.headers.get("accept") ?? "", /as=PartialObjectMetadataList/);
});

Deno.test("Client.remove: absent is done; what is there goes with its preconditions", async () => {
  const bodies: unknown[] = [];
  await using server = startDouble(async (request) => {
    bodies.push(await request.json());
    return bodies.length === 1
      ? Response.json({ kind: "Status", status: "Success" })
      : status(404, "NotFound", "gone");
  });
  const preconditions = { uid: "u", resourceVersion: "3" };
  assert.equal(await server.client.remove("jobs", PLACE, preconditions, signal, { foreground: true }), true);
  assert.equal(await server.client.remove("jobs", PLACE, preconditions, signal), false);
  assert.deepEqual(bodies, [
    { kind: "DeleteOptions", apiVersion: "v1", preconditions, propagationPolicy: "Foreground" },
    { kind: "DeleteOptions", apiVersion: "v1", preconditions, propagationPolicy: "Background" },
  ]);
});

Deno.test("Transport: a connection that is closed on arrival is tried again, as often as the pool has connections", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let closed = 0;
  const serving = (async () => {
    for await (const connection of listener) {
      closed++;
      connection.close();
    }
  })();
  const { client, transport } = clientOf(`http://127.0.0.1:${listener.addr.port}`);
  const fault = await faultOf(client.get("pods", PLACE, signal));
  assert.deepEqual([fault.disposition, fault.reason], ["retry", "unavailable"]);
  assert.equal(closed, 3, "two connections, and one time more");
  await transport.close();
  listener.close();
  await serving;
});
