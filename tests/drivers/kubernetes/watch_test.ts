import assert from "node:assert/strict";
import type { Clock } from "../../../src/core/clock.ts";
import { OURS_SELECTOR } from "../../../src/drivers/kubernetes/marks.ts";
import { watchResource } from "../../../src/drivers/kubernetes/watch.ts";
import { clientOf, collectGarbage, type Double, startDouble, status } from "./double.ts";

const random = { next: () => 0, bytes: (length: number) => new Uint8Array(length) };

/** Sleeps are noted and over at once; after `max` of them the watch is stopped. */
function countingClock(stop: AbortController, max: number): Clock & { slept: number[] } {
  const slept: number[] = [];
  return {
    slept,
    now: () => 0,
    sleep: (ms) => {
      slept.push(ms);
      if (slept.length >= max) stop.abort();
      return Promise.resolve();
    },
  };
}

function event(type: string, version: string, permitId?: string): string {
  const annotations = permitId === undefined ? undefined : { "spe.wps/permit-id": permitId };
  return `${
    JSON.stringify({
      type,
      object: { kind: "PartialObjectMetadata", metadata: { resourceVersion: version, annotations } },
    })
  }\n`;
}

function isWatch(request: { url: string }): boolean {
  return new URL(request.url).searchParams.has("watch");
}

function versionOf(request: { url: string }): string | null {
  return new URL(request.url).searchParams.get("resourceVersion");
}

/** A list with one pod of permit "listed". */
function listOf(version: string): Response {
  const metadata = {
    name: "p",
    uid: "u",
    resourceVersion: "1",
    annotations: { "spe.wps/permit-id": "listed" },
  };
  return Response.json({ kind: "PodList", metadata: { resourceVersion: version }, items: [{ metadata }] });
}

/** A body that stays open after its first chunk. */
function openBody(text: string): { response: Response; close: () => void } {
  let close = (): void => {};
  const body = new ReadableStream({
    start: (controller) => {
      controller.enqueue(new TextEncoder().encode(text));
      close = () => {
        try {
          controller.close();
        } catch {
          // The client went first.
        }
      };
    },
  });
  return { response: new Response(body), close: () => close() };
}

interface Run {
  called: string[];
  slept: number[];
}

/** Runs the watch against a double until it has slept `sleeps` times. */
async function watched(server: Double, sleeps: number, silenceMs = 1_000): Promise<Run> {
  const stop = new AbortController();
  const clock = countingClock(stop, sleeps);
  const called: string[] = [];
  await watchResource(
    server.client,
    "pods",
    { clock, random, silenceMs },
    (permitId) => called.push(permitId),
    stop.signal,
  );
  return { called, slept: clock.slept };
}

Deno.test("watchResource: lists, names every permit, and watches from there by label, with bookmarks", async () => {
  await using server = startDouble((request) => {
    if (!isWatch(request)) return listOf("7");
    return status(503, "ServiceUnavailable", "enough");
  });
  const { called } = await watched(server, 1);
  assert.deepEqual(called, ["listed"]);
  const [list, watch] = server.requests.map(({ url }) => new URL(url).searchParams);
  assert.equal(list?.get("labelSelector"), OURS_SELECTOR);
  assert.deepEqual(
    ["labelSelector", "resourceVersion", "allowWatchBookmarks"].map((key) => watch?.get(key)),
    [OURS_SELECTOR, "7", "true"],
  );
  assert.match(server.requests[1]?.headers.get("accept") ?? "", /as=PartialObjectMetadata;/);
});

Deno.test("watchResource: a clean end goes on at the last version, bookmarks included, without a list", async () => {
  const bodies = [
    event("ADDED", "8", "a") + event("BOOKMARK", "9"),
    event("MODIFIED", "11", "b"),
  ];
  await using server = startDouble((request) => {
    if (!isWatch(request)) return listOf("7");
    const body = bodies.shift();
    return body === undefined ? status(500, "InternalError", "enough") : new Response(body);
  });
  const { called } = await watched(server, 1);
  assert.deepEqual(called, ["listed", "a", "b"]);
  assert.deepEqual(server.requests.map(versionOf), [null, "7", "9", "11"]);
});

Deno.test("watchResource: an event in two chunks is one event", async () => {
  const text = event("ADDED", "8", "a");
  let first = true;
  await using server = startDouble((request) => {
    if (!isWatch(request)) return listOf("7");
    if (!first) return status(500, "InternalError", "enough");
    first = false;
    const halves = [text.slice(0, 20), text.slice(20)];
    return new Response(
      new ReadableStream({
        pull: (controller) => {
          const half = halves.shift();
          if (half === undefined) controller.close();
          else controller.enqueue(new TextEncoder().encode(half));
        },
      }),
    );
  });
  assert.deepEqual((await watched(server, 1)).called, ["listed", "a"]);
});

for (const how of ["answer", "event"] as const) {
  Deno.test(`watchResource: 410 as ${how} lists again, because what happened in between is unknown`, async () => {
    let watches = 0;
    await using server = startDouble((request) => {
      if (!isWatch(request)) return listOf("7");
      if (++watches > 1) return status(500, "InternalError", "enough");
      if (how === "answer") return status(410, "Expired", "too old resource version");
      const gone = { type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired" } };
      return new Response(event("ADDED", "8", "a") + `${JSON.stringify(gone)}\n`);
    });
    const { called } = await watched(server, 2);
    assert.deepEqual(called.filter((permitId) => permitId === "listed").length, 2);
    assert.deepEqual(server.requests.map((request) => isWatch(request) ? "watch" : "list"), [
      "list",
      "watch",
      "list",
      "watch",
    ]);
  });
}

Deno.test("watchResource: silence ends the watch, and it goes on where it was", async () => {
  const silent = openBody(event("ADDED", "8", "a"));
  let watches = 0;
  await using server = startDouble((request) => {
    if (!isWatch(request)) return listOf("7");
    return ++watches === 1 ? silent.response : status(500, "InternalError", "enough");
  });
  const { called, slept } = await watched(server, 2, 500); // a busy machine may take a while to say even the first event
  silent.close();
  assert.deepEqual(called, ["listed", "a"]);
  assert.equal(slept[0], 500, "it had heard something, so the backoff begins anew");
  assert.deepEqual(server.requests.map(versionOf), [null, "7", "8"]);
});

Deno.test("watchResource: a connection that is reset in the middle of an event goes on where it was", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const asked: string[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      const buffer = new Uint8Array(4096);
      const count = await connection.read(buffer) ?? 0;
      const [line = ""] = new TextDecoder().decode(buffer.subarray(0, count)).split("\r\n");
      asked.push(line.includes("watch=1") ? `watch ${/resourceVersion=(\d+)/.exec(line)?.[1]}` : "list");
      const send = (text: string): Promise<number> => connection.write(new TextEncoder().encode(text));
      if (line.includes("watch=1")) {
        // A chunk is promised that never comes.
        const text = event("ADDED", "8", "a");
        await send(
          `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${
            text.length.toString(16)
          }\r\n${text}\r\n50\r\n{"type"`,
        );
      } else {
        const body = await listOf("7").text();
        await send(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      }
      connection.close();
    }
  })();
  const { client, transport } = clientOf(`http://127.0.0.1:${listener.addr.port}`);
  const stop = new AbortController();
  const clock = countingClock(stop, 2);
  const called: string[] = [];
  await watchResource(
    client,
    "pods",
    { clock, random, silenceMs: 2_000 },
    (permitId) => called.push(permitId),
    stop.signal,
  );
  await transport.close();
  listener.close();
  await serving;
  assert.deepEqual(called, ["listed", "a", "a"]);
  assert.deepEqual(asked, ["list", "watch 7", "watch 8"]);
});

Deno.test("watchResource: failures back off, doubled to a bound; Retry-After counts first", async () => {
  let asked = 0;
  await using server = startDouble(() => {
    asked++;
    if (asked === 2) return new Response(null, { status: 429, headers: { "retry-after": "4" } });
    return status(500, "InternalError", "no");
  });
  const { slept } = await watched(server, 9);
  assert.deepEqual(slept, [500, 4_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

Deno.test("watchResource: a Retry-After is not obeyed for longer than the longest backoff", async () => {
  await using server = startDouble(() =>
    new Response(null, { status: 503, headers: { "retry-after": "3600" } })
  );
  const { slept } = await watched(server, 2);
  assert.deepEqual(slept, [30_000, 30_000]);
});

Deno.test("watchResource: an event that is no event, or too long, breaks the watch and not the service", async () => {
  const bodies = ["not json\n", `{"type":"ADDED","object":"${"x".repeat(1_100_000)}`];
  await using server = startDouble((request) =>
    isWatch(request) ? new Response(bodies.shift() ?? "") : listOf("7")
  );
  const { slept } = await watched(server, 2);
  assert.equal(slept.length, 2);
});

Deno.test("watchResource: an abort ends it at once, also in the middle of a silent watch", async () => {
  const silent = openBody(event("ADDED", "8", "a"));
  const stop = new AbortController();
  await using server = startDouble((request) => isWatch(request) ? silent.response : listOf("7"));
  const clock = { now: () => 0, sleep: () => Promise.resolve() };
  await watchResource(server.client, "pods", { clock, random }, (permitId) => {
    if (permitId === "a") stop.abort();
  }, stop.signal);
  silent.close();
  assert.equal(server.requests.length, 2);
});

Deno.test("watchResource: an abort ends it although garbage was collected meanwhile", async () => {
  const silent = openBody(event("ADDED", "8", "a"));
  const heard = Promise.withResolvers<void>();
  const stop = new AbortController();
  await using server = startDouble((request) => isWatch(request) ? silent.response : listOf("7"));
  const clock = { now: () => 0, sleep: () => Promise.resolve() };
  const watching = watchResource(server.client, "pods", { clock, random }, (permitId) => {
    if (permitId === "a") heard.resolve();
  }, stop.signal);
  await heard.promise;
  await collectGarbage();
  stop.abort();
  let hangs = false;
  const late = setTimeout(() => {
    hangs = true;
    silent.close();
  }, 5_000);
  await watching;
  clearTimeout(late);
  silent.close();
  assert.ok(!hangs, "the watch went on until the server ended it");
});
