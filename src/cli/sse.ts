/** Reads server-sent events (WHATWG HTML 9.2) as far as the API writes them. */

/** One event. */
export interface ServerSentEvent {
  event: string;
  data: string;
  /** To be sent as Last-Event-ID when the stream breaks after this one; null: none was given. */
  id: string | null;
}

/** An event of the API is one job or step; a line longer than this comes from something else. */
const LINE_MAX = 1_000_000;

/**
 * The events of a stream, which is cancelled when the reader stops early or `signal` aborts; then its reason is
 * thrown. Throws when a line never ends.
 */
export async function* serverSentEvents(
  stream: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<ServerSentEvent> {
  let event = "message";
  let data: string[] = [];
  let id: string | null = null;
  let rest = "";
  // The built-in decoder stream types its input more narrowly than fetch types its body.
  const decoder = new TextDecoderStream() as TransformStream<Uint8Array, string>;
  for await (const chunk of stream.pipeThrough(decoder, { signal })) {
    const lines = (rest + chunk).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    if (rest.length > LINE_MAX) throw new TypeError("Cannot follow the stream: a line of it does not end");
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) yield { event, data: data.join("\n"), id };
        event = "message";
        data = [];
      } else if (line.startsWith("event:")) event = line.slice("event:".length).trimStart();
      else if (line.startsWith("data:")) data.push(line.slice("data:".length).replace(/^ /, ""));
      else if (line.startsWith("id:")) id = line.slice("id:".length).replace(/^ /, "");
    }
  }
}
