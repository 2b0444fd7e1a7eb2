/**
 * Everything that happened to the cluster's objects, in its order: watches of all kinds, whose resource versions are
 * one sequence (the revision of etcd). So a judge sees each instant, not samples of them.
 */
import type { Cluster } from "../../cluster/harness.ts";
import { until } from "../../services/until.ts";
import { type Kind, KINDS, type KubeObject } from "./objects.ts";

/** One write, as the API server tells it. */
export interface Change {
  /** Position in the cluster's one sequence of writes. */
  version: number;
  atMs: number;
  kind: Kind;
  /** Null: deleted; `before` has it. */
  object: KubeObject | null;
  before: KubeObject | null;
  uid: string;
}

type Watched =
  | { type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK"; object: KubeObject }
  | { type: "ERROR"; object: { code: number; message: string } };

/** An API server that is away for longer has more lost than a test can judge. */
const OUTAGE_MAX_MS = 60_000;

/** The HTTP status for a version that is not remembered. */
const EXPIRED = 410;

/** A running record of one cluster. */
export class ClusterHistory {
  /** As they arrived; see {@link ordered}. */
  readonly #changes: Change[] = [];
  readonly #now = new Map<string, KubeObject>();
  readonly #closing = new AbortController();
  readonly #client: Deno.HttpClient;
  readonly #watches: Promise<void>[] = [];
  #failure: Error | undefined;

  private constructor(private readonly cluster: Cluster) {
    const { caCert, token, clientCert: cert, clientKey: key } = cluster.connection;
    this.#client = Deno.createHttpClient({
      caCerts: caCert === undefined ? [] : [caCert],
      ...(token === undefined && cert !== undefined && key !== undefined ? { cert, key } : {}),
    });
  }

  /** Starts recording; what exists already is known as well. */
  static async start(cluster: Cluster): Promise<ClusterHistory> {
    const history = new ClusterHistory(cluster);
    for (const kind of Object.keys(KINDS)) await history.#begin(kind as Kind); // keys of KINDS are its kinds
    return history;
  }

  /** All objects of a kind as they are now, a few milliseconds late. Throws when a watch was lost. */
  list(kind: Kind): KubeObject[] {
    this.#check();
    return [...this.#now].flatMap(([key, object]) => key.startsWith(`${kind}/`) ? [object] : []);
  }

  /** Every write since the start, in the cluster's order. Throws when a watch was lost. */
  ordered(): Change[] {
    this.#check();
    return this.#changes.toSorted((one, other) => one.version - other.version);
  }

  /** Ends all watches. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#watches);
    this.#client.close();
  }

  #check(): void {
    if (this.#failure !== undefined) throw new Error("The history is not complete", { cause: this.#failure });
  }

  async #ask(path: string): Promise<Response> {
    const { server, token } = this.cluster.connection;
    return await fetch(`${server}${path}`, {
      client: this.#client,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      signal: this.#closing.signal,
    });
  }

  async #begin(kind: Kind): Promise<void> {
    const { version, items } = await this.#list(kind);
    for (const object of items) this.#now.set(`${kind}/${object.metadata.uid}`, object);
    this.#watches.push(this.#follow(kind, version));
  }

  async #list(kind: Kind): Promise<{ version: string; items: KubeObject[] }> {
    const response = await this.#ask(KINDS[kind]);
    const list: { metadata: { resourceVersion: string }; items: KubeObject[] } = await response.json();
    if (!response.ok) throw new Error(`Cannot list ${kind}: ${response.status}`);
    return { version: list.metadata.resourceVersion, items: list.items };
  }

  /**
   * What a new API server no longer tells: it remembers nothing from before its start, when nobody could write. Several
   * writes between that and this list look like one.
   */
  async #catchUp(kind: Kind): Promise<string> {
    const { version, items } = await this.#list(kind);
    const before = this.list(kind);
    for (const object of items) {
      const known = before.find(({ metadata }) => metadata.uid === object.metadata.uid);
      if (known?.metadata.resourceVersion !== object.metadata.resourceVersion) {
        this.#note(kind, object, false);
      }
    }
    for (
      const object of before.filter((one) => items.every(({ metadata }) => metadata.uid !== one.metadata.uid))
    ) {
      this.#note(kind, { ...object, metadata: { ...object.metadata, resourceVersion: version } }, true);
    }
    return version;
  }

  /** Watches until closed; a watch that the server ends goes on where it ended. */
  async #follow(kind: Kind, from: string): Promise<void> {
    let version = from;
    try {
      while (!this.#closing.signal.aborted) {
        const query = `?watch=1&allowWatchBookmarks=true&resourceVersion=${version}`;
        const response = await this.#answer(`${KINDS[kind]}${query}`);
        if (response === null) return;
        if (response.status === EXPIRED) {
          await response.body?.cancel();
          version = await this.#catchUp(kind);
          continue;
        }
        if (!response.ok || response.body === null) {
          throw new Error(`Cannot watch ${kind}: ${response.status}`);
        }
        for await (const line of linesOf(response.body, this.#closing.signal)) {
          const watched: Watched = JSON.parse(line);
          if (watched.type === "ERROR") {
            if (watched.object.code !== EXPIRED) {
              throw new Error(`Watch of ${kind}: ${watched.object.message}`);
            }
            version = await this.#catchUp(kind);
            break;
          }
          version = watched.object.metadata.resourceVersion;
          if (watched.type !== "BOOKMARK") this.#note(kind, watched.object, watched.type === "DELETED");
        }
      }
    } catch (thrown) {
      if (!this.#closing.signal.aborted) this.#failure ??= thrown as Error; // fetch and JSON.parse throw Errors
    }
  }

  /** Asks until the API server answers and is well, which tests kill; null: it need not be asked any more. */
  async #answer(path: string): Promise<Response | null> {
    return await until("the API server answers a watch", async () => {
      if (this.#closing.signal.aborted) return null;
      const response = await this.#ask(path);
      if (response.status < 500 && response.status !== 401 && response.status !== 403) return response;
      await response.body?.cancel(); // one that has just started does not know its accounts yet
      return false;
    }, OUTAGE_MAX_MS);
  }

  #note(kind: Kind, object: KubeObject, isDeleted: boolean): void {
    const { uid, resourceVersion } = object.metadata;
    const key = `${kind}/${uid}`;
    const before = this.#now.get(key) ?? null;
    const atMs = Date.now();
    this.#changes.push({
      version: Number(resourceVersion),
      atMs,
      kind,
      object: isDeleted ? null : object,
      before,
      uid,
    });
    if (isDeleted) this.#now.delete(key);
    else this.#now.set(key, object);
  }
}

/** The reader is cancelled by hand: fetch's own signal no longer ends a body once garbage was collected (Deno 2.9). */
async function* linesOf(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const reader = body.getReader(), decoder = new TextDecoder();
  signal.addEventListener("abort", () => reader.cancel().catch(() => {}), { once: true });
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined })); // the server died
    if (done || signal.aborted) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield line;
  }
}
