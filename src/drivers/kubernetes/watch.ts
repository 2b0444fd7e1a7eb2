/**
 * Watches over all permits: a change of an object of ours names its permit. Written on native fetch, because a watch
 * of client-node stalls for ever when its connection breaks (FACTS 2). Metadata only: the planner reads the rest.
 */
import { z } from "zod";
import type { Clock, Random } from "../../core/clock.ts";
import { Fault, toFault } from "../../core/fault.ts";
import type { Client } from "./client.ts";
import { NOTE, note, OURS_SELECTOR } from "./marks.ts";
import type { Resource } from "./wire.ts";

/** What changes when something becomes ready, bound, finished or gone, and what an intruder may alter. No Secrets. */
export const WATCHED: readonly Resource[] = [
  "namespaces",
  "pods",
  "statefulsets",
  "persistentvolumeclaims",
  "persistentvolumes",
  "jobs",
  "networkpolicies",
];

/** The server ends a watch after this time, so that a forgotten one does not live on. */
const WATCH_SECONDS = 300;
/** The API server sends a bookmark about once a minute; silence of this length means that the connection is dead. */
const SILENCE_MAX_MS = 90_000;
/** One event is one object's metadata; managed fields of thousands of entries do not occur. */
const LINE_MAX_BYTES = 1_000_000;
/** Reconnecting: 0.5 s, doubled up to 30 s, each with up to as much jitter again. */
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;

/** What a watch needs beside the client; `silenceMs` and `watchSeconds` are for tests. */
export interface WatchSurroundings {
  clock: Clock;
  random: Random;
  silenceMs?: number;
  watchSeconds?: number;
}

const eventSchema = z.object({
  type: z.enum(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]),
  object: z.looseObject({
    code: z.number().optional(),
    metadata: z.looseObject({
      resourceVersion: z.string().optional(),
      annotations: z.record(z.string(), z.string()).optional(),
    }).default({}),
  }),
});

/** One parsed line of a watch. */
export type WatchEvent = z.infer<typeof eventSchema>;

/** Runs until `signal` aborts; `changed` may be called too often, and after a gap for every permit there is. */
export async function watchPermits(
  client: Client,
  surroundings: WatchSurroundings,
  changed: (permitId: string) => void,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    WATCHED.map((resource) => watchResource(client, resource, surroundings, changed, signal)),
  );
}

/** One kind: list, watch from there, and again whenever the watch ends, breaks, falls silent or is too old. */
export async function watchResource(
  client: Client,
  resource: Resource,
  surroundings: WatchSurroundings,
  changed: (permitId: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random } = surroundings;
  let version: string | null = null;
  let failures = 0;
  while (!signal.aborted) {
    try {
      version ??= await relist(client, resource, changed, signal);
      version = await follow(client, resource, version, surroundings, changed, signal);
      failures = 0;
    } catch (thrown) {
      const fault = toFault(thrown);
      if (signal.aborted || fault.disposition === "cancelled") return;
      // Too old (410): what happened in between is found by listing. Anything else goes on where it was.
      if (fault instanceof GapFault) version = null;
      const waitMs = Math.min(BACKOFF_FIRST_MS * 2 ** failures, BACKOFF_MAX_MS) * (1 + random.next());
      failures++;
      await clock.sleep(fault.retryAfterMs ?? waitMs, signal);
    }
  }
}

/** The watch's version is too old: only a list can tell what happened since. */
class GapFault extends Fault {}

function gap(resource: Resource): GapFault {
  return new GapFault("retry", "conflict", `Cannot watch ${resource}: the version is too old`, {
    advice: "None needed: WPS lists again",
  });
}

/** Names every permit there is, and returns the version from which to watch. */
async function relist(
  client: Client,
  resource: Resource,
  changed: (permitId: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const { items, resourceVersion } = await client.listMetadata(resource, { labels: OURS_SELECTOR }, signal);
  for (const permitId of new Set(items.flatMap((item) => note(item, NOTE.permitId) ?? []))) changed(permitId);
  return resourceVersion;
}

/** Reads one watch to its end; returns the last version it reached. Silence, a broken body and ERROR throw. */
async function follow(
  client: Client,
  resource: Resource,
  from: string,
  { silenceMs = SILENCE_MAX_MS, watchSeconds = WATCH_SECONDS }: WatchSurroundings,
  changed: (permitId: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const silence = new AbortController();
  const both = AbortSignal.any([signal, silence.signal]);
  let timer = setTimeout(() => silence.abort(), silenceMs);
  const touch = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), silenceMs);
  };
  let version = from;
  try {
    const query = { labels: OURS_SELECTOR, resourceVersion: from, timeoutSeconds: watchSeconds };
    const body = await client.openWatch(resource, query, both);
    for await (const line of linesOf(body, touch)) {
      const event = parseEvent(line);
      if (event.type === "ERROR") {
        throw event.object.code === 410
          ? gap(resource)
          : broken(resource, "the server ended it with an error");
      }
      version = event.object.metadata.resourceVersion ?? version;
      const permitId = event.object.metadata.annotations?.[NOTE.permitId];
      if (event.type !== "BOOKMARK" && permitId !== undefined) changed(permitId);
    }
    return version;
  } catch (thrown) {
    if (signal.aborted) return version;
    if (silence.signal.aborted) throw new SilenceFault(resource, silenceMs);
    // The server answers an old version with 410 before any event, or with 400 when it never existed.
    if (thrown instanceof Fault && thrown.reason === "conflict") throw gap(resource);
    throw thrown instanceof Fault
      ? thrown
      : broken(resource, thrown instanceof Error ? thrown.message : `${thrown}`);
  } finally {
    clearTimeout(timer);
    silence.abort(); // ends the connection whatever way this was left
  }
}

class SilenceFault extends Fault {
  constructor(resource: Resource, silenceMs: number) {
    super("retry", "unavailable", `Cannot watch ${resource}: nothing was heard for ${silenceMs} ms`);
  }
}

function broken(resource: Resource, why: string): Fault {
  return new Fault("retry", "unavailable", `Cannot watch ${resource}: ${why}`);
}

function parseEvent(line: string): WatchEvent {
  return eventSchema.parse(JSON.parse(line));
}

/** Lines of a byte stream, each bounded; `touch` is called for every chunk. */
export async function* linesOf(body: ReadableStream<Uint8Array>, touch: () => void): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pending = "";
  for await (const chunk of body) {
    touch();
    pending += decoder.decode(chunk, { stream: true });
    const lines = pending.split("\n");
    pending = lines.pop() ?? "";
    if (pending.length > LINE_MAX_BYTES) throw new Error(`an event has more than ${LINE_MAX_BYTES} bytes`);
    for (const line of lines) if (line.trim() !== "") yield line;
  }
}
