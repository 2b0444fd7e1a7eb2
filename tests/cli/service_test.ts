import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { callService } from "../../src/cli/service.ts";

/** Collects garbage now, as V8 does when it likes. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("gc");
  assert.ok(typeof gc === "function");
  gc();
}

const TIMEOUT_MS = 10_000;

Deno.test(
  "callService: an abort ends a stream, also after a garbage collection",
  { timeout: TIMEOUT_MS },
  async () => {
    const directory = await Deno.makeTempDir();
    const path = `${directory}/wps.sock`;
    const server = Deno.serve({ path, onListen: () => {} }, ({ signal }) => {
      const body = new ReadableStream({
        start: (controller): void => {
          controller.enqueue(new TextEncoder().encode("first\n"));
          signal.addEventListener("abort", () => controller.close(), { once: true });
        },
      });
      return new Response(body);
    });
    try {
      for (const collects of [false, true]) {
        const leaving = new AbortController();
        const { body } = await callService(path, { path: "/stream", signal: leaving.signal });
        assert.ok(body !== null);
        const reader = body.getReader();
        await reader.read();
        if (collects) collectGarbage();
        const pending = reader.read();
        leaving.abort(new Error("Enough"));
        await assert.rejects(pending, /Enough|aborted/, `garbage collection: ${collects}`);
      }
    } finally {
      await server.shutdown();
      await Deno.remove(directory, { recursive: true });
    }
  },
);
