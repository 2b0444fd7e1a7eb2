/** Reading a response's body so that it can be ended at any time. */

/**
 * The chunks of a body, until it ends or `signal` aborts; then its reason is thrown. The reader is cancelled here,
 * because the signal that fetch was given ends the body only as long as nothing was collected: Deno 2.9 holds its own
 * copy of that signal weakly (measured: after a garbage collection an abort leaves the body open for ever).
 */
export async function* chunksOf(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  const end = (): void => {
    reader.cancel().catch(() => {}); // broken already: the read says so
  };
  signal.addEventListener("abort", end);
  try {
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", end);
    end(); // whoever stops reading early ends the connection, too
  }
}
