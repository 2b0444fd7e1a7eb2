import assert from "node:assert/strict";
import { type ServerSentEvent, serverSentEvents } from "../../src/cli/sse.ts";

function streamOf(chunks: string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(chunks.map((chunk) => new TextEncoder().encode(chunk)));
}

async function read(chunks: string[]): Promise<ServerSentEvent[]> {
  return await Array.fromAsync(serverSentEvents(streamOf(chunks)));
}

Deno.test("serverSentEvents: however the bytes are cut", async () => {
  const whole = 'event: job\ndata: {"a":"ä"}\n\n: still here\n\nevent: end\ndata: {}\n\n';
  const expected = [
    { event: "job", data: '{"a":"ä"}', id: null },
    { event: "end", data: "{}", id: null },
  ];
  assert.deepEqual(await read([whole]), expected, "in one piece");
  assert.deepEqual(await read([...whole]), expected, "character by character");
  assert.deepEqual(await read([whole.replaceAll("\n", "\r\n")]), expected, "CR LF");
  const bytes = new TextEncoder().encode(whole);
  const split = ReadableStream.from([bytes.slice(0, 24), bytes.slice(24)]);
  assert.deepEqual(await Array.fromAsync(serverSentEvents(split)), expected, "within a letter");
});

Deno.test("serverSentEvents: the last id stands until another comes", async () => {
  const events = await read(["id: 1-2:3\ndata: a\n\ndata: b\n\nid:1-9;end\ndata: c\n\n"]);
  assert.deepEqual(events.map(({ id }) => id), ["1-2:3", "1-2:3", "1-9;end"]);
});

Deno.test("serverSentEvents: what has no end is no event", async () => {
  assert.deepEqual(await read(["event: job\ndata: {}\n"]), [], "the stream broke");
  assert.deepEqual(
    await read(["data: a\ndata: b\n\n"]),
    [{ event: "message", data: "a\nb", id: null }],
    "two lines of data",
  );
  await assert.rejects(read(["data: ".padEnd(1_000_100, "x")]), /does not end/);
});

Deno.test("serverSentEvents: an abort ends a stream that says nothing, and cancels it", async () => {
  let cancelled = false;
  const silent = new ReadableStream<Uint8Array>({
    cancel: (): void => {
      cancelled = true;
    },
  });
  const leaving = new AbortController();
  const reading = Array.fromAsync(serverSentEvents(silent, leaving.signal));
  leaving.abort(new Error("Enough"));
  await assert.rejects(reading, /Enough/);
  assert.ok(cancelled);
});
