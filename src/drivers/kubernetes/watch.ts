/**
 * Watches over all permits: a change of an object of ours names its permit. Written on native fetch, because a watch
 * of client-node stalls for ever when its connection breaks (FACTS 2). Metadata only: the planner reads the rest.
 */
import { z } from "zod";
import type { Clock, Random } from "../../core/clock.ts";
import type { Whose } from "../../core/driver.ts";
import { Fault, toFault } from "../../core/fault.ts";
import { chunksOf } from "./chunks.ts";
import type { Client } from "./client.ts";
import { LABEL, MANAGER, NOTE, OURS_SELECTOR } from "./marks.ts";
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
/**
 * Reconnecting: 0.5 s, doubled up to 30 s, each with up to as much jitter again. A server may ask for more patience, but
 * not for more than the bound: until the watch is back, what opens a network is only found by the drift pass.
 */
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
      namespace: z.string().optional(),
      labels: z.record(z.string(), z.string()).optional(),
      annotations: z.record(z.string(), z.string()).optional(),
    }).default({}),
  }),
});

/** One parsed line of a watch. */
export type WatchEvent = z.infer<typeof eventSchema>;

/** A foreign policy may open what ours deny, so policies are watched whatever marks they bear. */
const ALSO_FOREIGN: readonly Resource[] = ["networkpolicies"];

/** Runs until `signal` aborts; `changed` may be called too often, and after a gap for every permit there is. */
export async function watchPermits(
  client: Client,
  surroundings: WatchSurroundings,
  changed: (permitId: string, whose: Whose) => void,
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
  changed: (permitId: string, whose: Whose) => void,
  signal: AbortSignal,
): Promise<void> {
  const watch = new ResourceWatch(client, resource, surroundings, changed);
  let failures = 0;
  while (!signal.aborted) {
    try {
      await watch.round(signal);
      failures = 0;
    } catch (thrown) {
      const { disposition, retryAfterMs } = toFault(thrown);
      if (signal.aborted || disposition === "cancelled") return;
      if (watch.heard) failures = 0;
      const waitMs = Math.min(BACKOFF_FIRST_MS * 2 ** failures, BACKOFF_MAX_MS) *
        (1 + surroundings.random.next());
      failures++;
      const pauseMs = retryAfterMs === null ? waitMs : Math.min(retryAfterMs, BACKOFF_MAX_MS);
      await surroundings.clock.sleep(pauseMs, signal);
    }
  }
}

/** How far one kind has been watched. */
class ResourceWatch {
  /** The version that was reached; null: only a list can tell what happened since. */
  #version: string | null = null;
  /** Whether the last round brought anything before it ended. */
  heard = false;
  /** Namespaces of permits, as the marks of what lies in them say; needed for what bears no mark. */
  readonly #permits = new Map<string, string>();

  constructor(
    private readonly client: Client,
    private readonly resource: Resource,
    private readonly surroundings: WatchSurroundings,
    private readonly changed: (permitId: string, whose: Whose) => void,
  ) {}

  /** Watches until the server ends it. Throws a Fault when it broke, fell silent or began at too old a version. */
  async round(signal: AbortSignal): Promise<void> {
    this.heard = false;
    const version = this.#version ?? await this.#list(signal);
    const { silenceMs = SILENCE_MAX_MS, watchSeconds = WATCH_SECONDS } = this.surroundings;
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), silenceMs);
    const touch = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), silenceMs);
    };
    try {
      const both = AbortSignal.any([signal, silence.signal]);
      const query = { labels: this.#selector, resourceVersion: version, timeoutSeconds: watchSeconds };
      const body = await this.client.openWatch(this.resource, query, both);
      for await (const line of linesOf(chunksOf(body, both), touch)) this.#take(parseEvent(line));
    } catch (thrown) {
      // The server refuses an old version by its answer, or by an event.
      if (thrown instanceof Fault && thrown.reason === "conflict") this.#version = null;
      if (silence.signal.aborted && !signal.aborted) {
        throw this.#broken(`nothing was heard for ${silenceMs} ms`);
      }
      throw thrown instanceof Fault
        ? thrown
        : this.#broken(thrown instanceof Error ? thrown.message : `${thrown}`);
    } finally {
      clearTimeout(timer);
      silence.abort(); // ends the connection, whatever way this was left
    }
  }

  /** Names every permit there is: what happened before the watch is not told otherwise. */
  async #list(signal: AbortSignal): Promise<string> {
    const { items, resourceVersion } = await this.client.listMetadata(
      this.resource,
      { labels: this.#selector },
      signal,
    );
    const told = new Map<string, Whose>();
    for (const item of items) this.#learn(item);
    for (const item of items) {
      const found = this.#permitOf(item);
      if (found !== null && told.get(found.permitId) !== "foreign") told.set(found.permitId, found.whose);
    }
    for (const [permitId, whose] of told) this.changed(permitId, whose);
    this.#version = resourceVersion;
    return resourceVersion;
  }

  #take({ type, object }: WatchEvent): void {
    if (type === "ERROR") {
      const isGap = object.code === 410;
      throw new Fault(
        "retry",
        isGap ? "conflict" : "unavailable",
        `Cannot watch ${this.resource}: the server says ${object.code ?? "error"}`,
      );
    }
    this.heard = true;
    this.#version = object.metadata.resourceVersion ?? this.#version;
    if (type === "BOOKMARK") return;
    this.#learn(object);
    const found = this.#permitOf(object);
    if (found !== null) this.changed(found.permitId, found.whose);
  }

  get #selector(): string | undefined {
    return ALSO_FOREIGN.includes(this.resource) ? undefined : OURS_SELECTOR;
  }

  /** What a selector found bears the label. */
  #isOurs({ metadata }: Marked): boolean {
    return this.#selector !== undefined || metadata.labels?.[LABEL.managedBy] === MANAGER;
  }

  #learn(object: Marked): void {
    const permitId = this.#isOurs(object) ? object.metadata.annotations?.[NOTE.permitId] : undefined;
    const { namespace } = object.metadata;
    if (permitId !== undefined && namespace !== undefined) this.#permits.set(namespace, permitId);
  }

  /** Null: of no permit. */
  #permitOf(object: Marked): { permitId: string; whose: Whose } | null {
    const { annotations, namespace = "" } = object.metadata;
    const permitId = annotations?.[NOTE.permitId];
    if (this.#isOurs(object) && permitId !== undefined) return { permitId, whose: "ours" };
    const host = this.#permits.get(namespace);
    return host === undefined ? null : { permitId: host, whose: "foreign" };
  }

  #broken(why: string): Fault {
    return new Fault("retry", "unavailable", `Cannot watch ${this.resource}: ${why}`);
  }
}

type Marked = {
  metadata: { namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
};

function parseEvent(line: string): WatchEvent {
  return eventSchema.parse(JSON.parse(line));
}

/** Lines of bytes in chunks, each bounded; `touch` is called for every chunk. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, touch: () => void): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pending = "";
  for await (const chunk of chunks) {
    touch();
    pending += decoder.decode(chunk, { stream: true });
    const lines = pending.split("\n");
    pending = lines.pop() ?? "";
    if (pending.length > LINE_MAX_BYTES) throw new Error(`an event has more than ${LINE_MAX_BYTES} bytes`);
    for (const line of lines) if (line.trim() !== "") yield line;
  }
}
