import assert from "node:assert/strict";
import type { Clock } from "../../../src/core/clock.ts";
import { Canaries } from "../../../src/drivers/kubernetes/canaries.ts";
import { until } from "../../services/until.ts";
import { type Double, startDouble, status, stored } from "./double.ts";
import { site, TRAITS } from "./fixtures.ts";

/** What these tests change of a control pod as this driver wrote it, and as it ended. */
interface ControlPod {
  metadata: { annotations: Record<string, string>; deletionTimestamp?: string };
  spec: { containers: [{ command: string[] }] };
  status: { containerStatuses: [{ state: { terminated: { message: string } } }] };
}

const NAMESPACE = "/api/v1/namespaces/wps-canaries";
const MARKED = { "app.kubernetes.io/managed-by": "wps", "app.kubernetes.io/component": "canaries" };
const BEGAN_MS = Date.parse("2026-11-22T10:00:00Z");

/** What a control pod says when all that is configured, and no more, is alive. */
const ALIVE = [["tcp 192.0.2.10:443", "reached"], ["name vault.site:8200", "reached", "192.0.2.20"], [
  "tcp 10.96.0.1:443",
  "reached",
], ["tcp 169.254.169.254:80", "timed out"]];

/** The message of a control pod. */
function report(targets: string[][]): string {
  return JSON.stringify({
    v: 1,
    mode: "control",
    result: "done",
    begun: 1,
    ended: 2,
    targets,
    nameservers: ["10.96.0.10"],
  });
}

/** As much of an API server as the canaries need: objects by path, server-side applies, and pods that end at once. */
interface Server extends AsyncDisposable {
  double: Double;
  objects: Map<string, Record<string, unknown>>;
  /** CANARIES of each control pod, in order. */
  asked: string[][];
  /** What the next control pods say; null: they never end. */
  says: () => string | null;
}

function startServer(): Server {
  const objects = new Map<string, Record<string, unknown>>();
  const asked: string[][] = [];
  const double = startDouble(async (request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "PATCH") return apply(pathname, await request.json());
    if (request.method === "DELETE") {
      const there = objects.delete(pathname);
      return there ? Response.json({ kind: "Status" }) : status(404, "NotFound", "gone");
    }
    const found = objects.get(pathname);
    if (found !== undefined) return Response.json(found);
    if (pathname !== `${NAMESPACE}/pods`) return status(404, "NotFound", `no ${pathname}`);
    const items = [...objects].filter(([path]) => path.startsWith(`${pathname}/`)).map(([, item]) => item);
    return Response.json({ metadata: { resourceVersion: "1" }, items });
  });
  const server: Server = {
    double,
    objects,
    asked,
    says: () => report(ALIVE),
    [Symbol.asyncDispose]: () => double[Symbol.asyncDispose](),
  };
  objects.set("/api/v1/namespaces/default/services/kubernetes", {
    ...stored("Service", "kubernetes"),
    spec: { clusterIP: "10.96.0.1" },
  });
  // A manifest of this driver, as it is on the wire.
  // deno-lint-ignore no-explicit-any
  function apply(path: string, body: any): Response {
    const isNew = body.metadata.resourceVersion === "1";
    if (isNew && objects.has(path)) return status(409, "AlreadyExists", "it exists");
    const object = { ...body, metadata: { ...body.metadata, uid: `uid-${path}`, resourceVersion: "10" } };
    object.metadata.creationTimestamp = "2026-11-22T10:00:00Z";
    if (body.kind === "Service") object.spec.clusterIP = "10.96.0.77";
    if (body.kind === "Pod") {
      const env: { name: string; value: string }[] = body.spec.containers[0].env;
      asked.push(env.find(({ name }) => name === "CANARIES")?.value.split("\n") ?? []);
      const message = server.says();
      const state = message === null
        ? { waiting: { reason: "ImagePullBackOff", message: "no such image" } }
        : { terminated: { exitCode: 0, message } };
      object.status = { phase: "Pending", containerStatuses: [{ name: "control", state }] };
    }
    objects.set(path, object);
    return Response.json(object, { status: 201 });
  }
  return server;
}

/** A clock that is ahead of every sleep; `passed` sums them up. */
function quickClock(): Clock & { passedMs: number } {
  const clock = {
    passedMs: 0,
    now: () => BEGAN_MS + clock.passedMs,
    sleep: (ms: number, signal?: AbortSignal) => {
      if (!signal?.aborted) clock.passedMs += ms;
      return Promise.resolve();
    },
  };
  return clock;
}

/** A sleep that nothing but its signal ends. */
function untilAbort(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) resolve();
    signal?.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Short sleeps pass at once; the pause between two rounds lasts. */
function pausingClock(spentMs = 0): Clock {
  const quick = quickClock();
  quick.passedMs = spentMs;
  return {
    now: quick.now,
    sleep: (ms, signal) => ms < 5_000 ? quick.sleep(ms, signal) : untilAbort(signal),
  };
}

function canariesOf(server: Server, clock: Clock = quickClock(), config = site(), first = 1): Canaries {
  let serial = first - 1;
  return new Canaries({
    client: server.double.client,
    site: config,
    clock,
    random: { next: () => 0, bytes: (length) => new Uint8Array(length).fill(++serial) },
    script: () => Promise.resolve("echo gate"),
    traits: () => Promise.resolve(TRAITS),
  });
}

const idle = (canaries: Canaries) => (): boolean => canaries.observed("").asking === null;

Deno.test("Canaries: an asking makes namespace and listener, tries everything, and keeps no pod but the last", async () => {
  await using server = startServer();
  const canaries = canariesOf(server);
  const told: string[] = [];
  const stop = new AbortController();
  canaries.listen((permitId) => told.push(permitId), stop.signal);
  assert.deepEqual(canaries.observed("p"), { asking: null, answer: null });
  canaries.ask(["pod-1"], "permit-1");
  assert.deepEqual(canaries.observed("permit-2").asking, { detail: null, after: ["pod-1"] });
  await until("the answer", idle(canaries));
  assert.deepEqual(server.asked, [[
    "tcp 192.0.2.10 443",
    "name vault.site 8200",
    "tcp 10.96.0.1 443",
    "tcp 10.96.0.77 8080",
    "tcp 169.254.169.254 80",
  ]]);
  assert.deepEqual(canaries.observed("p").answer, {
    askedAtMs: BEGAN_MS,
    alive: ["tcp 192.0.2.10:443", "tcp 192.0.2.20:8200", "tcp 10.96.0.1:443"],
    silent: ["tcp 169.254.169.254:80"],
    after: ["pod-1"],
  });
  assert.deepEqual(canaries.answer?.lines, [
    "tcp 192.0.2.10 443",
    "tcp 10.96.0.1 443",
    "tcp 10.96.0.77 8080",
    "tcp 169.254.169.254 80",
    "tcp 192.0.2.20 8200",
    "dns 10.96.0.10 53",
  ], "a gate cannot resolve, so it gets addresses");
  assert.deepEqual(told.sort(), ["permit-1", "permit-2"], "who waited looks again at once");
  const left = [...server.objects.keys()].filter((path) => path.startsWith(NAMESPACE));
  assert.deepEqual(left.sort(), [
    NAMESPACE,
    `${NAMESPACE}/pods/control-01010101`,
    `${NAMESPACE}/serviceaccounts/canary`,
    `${NAMESPACE}/services/listener`,
  ]);
  stop.abort();
  await canaries.close();
});

Deno.test("Canaries: who asks meanwhile is served by one more asking, and earlier pods stay confirmed", async () => {
  await using server = startServer();
  const canaries = canariesOf(server);
  server.says = () => {
    if (server.asked.length === 1) { for (let pod = 2; pod <= 9; pod++) canaries.ask([`pod-${pod}`], "b"); }
    return report(ALIVE);
  };
  canaries.ask(["pod-1"], "a");
  await until("the answers", idle(canaries));
  assert.equal(server.asked.length, 2);
  assert.equal(canaries.observed("a").answer?.after.length, 9);
  await canaries.close();
});

Deno.test("Canaries: while too few are alive they are asked again after a pause, and not for ever", async () => {
  await using server = startServer();
  server.says = () => report([["tcp 192.0.2.10:443", "reached"], ["tcp 10.96.0.1:443", "refused"]]);
  const clock = quickClock();
  const canaries = canariesOf(server, clock);
  canaries.ask(["pod-1"], "a");
  await until("it ends", idle(canaries));
  assert.equal(server.asked.length, 12);
  assert.equal(clock.passedMs, 11 * 5_000);
  assert.deepEqual(canaries.observed("a").answer?.alive, ["tcp 192.0.2.10:443"]);
  assert.equal(canaries.fresh, null, "one alone may be down without anybody noticing");
  server.says = () => report(ALIVE);
  canaries.ask([], "a");
  await until("they are alive", () => canaries.fresh !== null);
  clock.passedMs += 61_000;
  assert.equal(canaries.fresh, null, "old news");
  await canaries.close();
});

Deno.test("Canaries: a control pod that does not end is named, and removed", async () => {
  await using server = startServer();
  server.says = () => null;
  const canaries = canariesOf(server, pausingClock());
  canaries.ask([], "a");
  const detail = await until("it is told", () => canaries.observed("a").asking?.detail ?? undefined);
  assert.match(detail, /^control pod wps-canaries\/control-[0-9a-f]{8}: ImagePullBackOff: no such image$/);
  await until("it is removed", () => ![...server.objects.keys()].some((path) => path.includes("/pods/")));
  assert.equal(canaries.answer, null);
  await canaries.close();
});

for (
  const [why, message] of [
    ["no report", "Killed"],
    [
      "a tool that is broken",
      '{"v":1,"mode":"control","result":"broken","why":"no nc","begun":1,"ended":1,"targets":[],"nameservers":[]}',
    ],
    [
      "a gate's report",
      '{"v":1,"mode":"gate","result":"clean","rounds":3,"clean":3,"begun":1,"ended":2,"targets":[]}',
    ],
  ] as const
) {
  Deno.test(`Canaries: a control pod with ${why} is no answer`, async () => {
    await using server = startServer();
    server.says = () => message;
    const canaries = canariesOf(server);
    canaries.ask([], "a");
    await until("it ends", idle(canaries));
    assert.equal(canaries.answer, null);
    await canaries.close();
  });
}

Deno.test("Canaries: a namespace of somebody else's is never touched, and named", async () => {
  await using server = startServer();
  server.objects.set(NAMESPACE, { ...stored("Namespace", "wps-canaries") });
  const canaries = canariesOf(server, pausingClock());
  canaries.ask([], "a");
  const detail = await until("it is told", () => canaries.observed("a").asking?.detail ?? undefined);
  assert.match(detail, /Namespace wps-canaries: it is not of WPS's canaries/);
  assert.deepEqual([...server.objects.keys()].filter((path) => path.startsWith(NAMESPACE)), [NAMESPACE]);
  await canaries.close();
});

Deno.test("Canaries: what stands is left alone, what somebody removed is made anew", async () => {
  await using server = startServer();
  const canaries = canariesOf(server);
  const writes = async (): Promise<string[]> => {
    const before = server.double.requests.length;
    canaries.ask([], "a");
    await until("the answer", idle(canaries));
    const asked = server.double.requests.slice(before).map(({ url }) => new URL(url));
    return asked.filter(({ searchParams }) => searchParams.has("fieldManager")).map(({ pathname }) =>
      pathname.replace(/control-[0-9a-f]+$/, "control")
    );
  };
  assert.equal((await writes()).length, 5, "namespace, account, Service, listener and a control pod");
  assert.deepEqual(await writes(), [`${NAMESPACE}/pods/control`]);
  const account = `${NAMESPACE}/serviceaccounts/canary`;
  server.objects.delete(account);
  await writes();
  assert.ok(server.objects.has(account), "no pod starts without its account");
  await canaries.close();
});

Deno.test("Canaries: what a crash left long ago is removed, what another WPS has begun stays", async () => {
  await using server = startServer();
  for (
    const [name, creationTimestamp] of [["old", "2026-11-22T09:00:00Z"], ["new", "2026-11-22T09:59:30Z"]]
  ) {
    const labels = { ...MARKED, "app.kubernetes.io/name": "control" };
    server.objects.set(`${NAMESPACE}/pods/control-${name}`, {
      ...stored("Pod", `control-${name}`, { metadata: { labels, creationTimestamp } }),
    });
  }
  const canaries = canariesOf(server);
  canaries.ask([], "a");
  await until("the answer", idle(canaries));
  const left = [...server.objects.keys()].filter((path) => path.includes("/pods/"));
  assert.deepEqual(left, [`${NAMESPACE}/pods/control-new`, `${NAMESPACE}/pods/control-01010101`]);
  await canaries.close();
});

/** A service asks after `pod-1`, and ends. What it says and when comes after the setting up of the case. */
async function afterAnotherService(
  server: Server,
  act: (next: Canaries) => void | Promise<void>,
  { spentMs = 0, config = site() }: { spentMs?: number; config?: ReturnType<typeof site> } = {},
): Promise<Canaries> {
  const before = canariesOf(server);
  before.ask(["pod-1"], "a");
  await until("its answer", idle(before));
  await before.close();
  const clock = pausingClock(spentMs);
  const next = canariesOf(server, clock, config, 7);
  await act(next);
  await until("the answer", idle(next));
  return next;
}

for (
  const { why, askings, after, act, given } of [
    {
      why: "whom it speaks for is not made to wait for another",
      askings: 1,
      after: ["pod-1"],
      act: (next: Canaries) => next.ask(["pod-1"], "a"),
    },
    {
      why: "a start needs no more than a fresh one",
      askings: 1,
      after: ["pod-1"],
      act: (next: Canaries) => next.ask([], "a"),
    },
    {
      why: "a pod that passed its gate later needs a later one",
      askings: 2,
      after: ["pod-1", "pod-2"],
      act: (next: Canaries) => next.ask(["pod-1", "pod-2"], "a"),
    },
    {
      why: "old news confirm a pod, but no start",
      askings: 2,
      after: [],
      act: (next: Canaries) => next.ask([], "a"),
      given: { spentMs: 61_000 },
    },
    {
      why: "a canary that was configured since has not been tried",
      askings: 2,
      after: [],
      act: (next: Canaries) => next.ask([], "a"),
      given: { config: site({ canaries: [{ host: "192.0.2.99", port: 1 }] }) },
    },
    {
      why: "a probe needs one that is asked for after its call",
      askings: 2,
      after: [],
      act: async (next: Canaries) => {
        assert.notEqual(await next.next(60_000, new AbortController().signal), null);
      },
    },
  ]
) {
  Deno.test(`Canaries: what a service that has ended asked goes on: ${why}`, async () => {
    await using server = startServer();
    const next = await afterAnotherService(server, act, given);
    assert.equal(server.asked.length, askings);
    assert.deepEqual(next.observed("a").answer?.after, after);
    await next.close();
  });
}

for (
  const [why, alter] of [
    ["another script", (pod: ControlPod) => pod.spec.containers[0].command[2] = "exit 0"],
    ["no asking on it", (pod: ControlPod) => delete pod.metadata.annotations["spe.wps/asking"]],
    ["an asking that cannot be read", (pod: ControlPod) => pod.metadata.annotations["spe.wps/asking"] = "{}"],
    ["its end decided", (pod: ControlPod) => pod.metadata.deletionTimestamp = "2026-11-22T10:00:01Z"],
    ["no report", (pod: ControlPod) => pod.status.containerStatuses[0].state.terminated.message = "Killed"],
  ] as const
) {
  Deno.test(`Canaries: an earlier control pod with ${why} is no answer`, async () => {
    await using server = startServer();
    const next = await afterAnotherService(server, (next) => {
      const pod: unknown = server.objects.get(`${NAMESPACE}/pods/control-01010101`);
      alter(pod as ControlPod);
      next.ask(["pod-1"], "a");
    });
    assert.equal(server.asked.length, 2);
    await next.close();
  });
}

Deno.test("Canaries.next: an answer that was asked for after the call", async () => {
  await using server = startServer();
  const canaries = canariesOf(server, pausingClock());
  const enough = new AbortController();
  const first = await canaries.next(60_000, enough.signal);
  const second = await canaries.next(60_000, enough.signal);
  assert.deepEqual([first?.round, second?.round, server.asked.length], [1, 2, 2]);
  server.says = () => null;
  const waiting = canaries.next(60_000, enough.signal);
  enough.abort();
  assert.equal(await waiting, null, "nobody waits longer than he wants");
  await canaries.close();
});

Deno.test("Canaries.close: ends an asking that waits, and nothing runs on", async () => {
  await using server = startServer();
  server.says = () => null;
  const clock: Clock = {
    now: () => BEGAN_MS,
    sleep: (_ms, signal) => untilAbort(signal),
  };
  const canaries = canariesOf(server, clock);
  canaries.ask([], "a");
  await until("a pod waits", () => server.asked.length === 1);
  await canaries.close();
  assert.equal(canaries.observed("a").asking, null);
  canaries.ask([], "a");
  assert.equal(canaries.observed("a").asking, null, "a closed one asks nobody");
});
