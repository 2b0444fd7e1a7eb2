/**
 * Keeps the cache in step with the database: written after each commit, rebuilt at each connection, and never in
 * anybody's way. One writer reads the newest rows, so no older value can follow a newer one.
 */
import type { Clock } from "../core/clock.ts";
import { toInstant } from "../core/clock.ts";
import type { Log } from "../log.ts";
import { listPermits } from "../store/permits.ts";
import { readSnapshot, type SnapshotDeps, snapshotOf } from "../store/snapshot.ts";
import type { Cache, CacheWrite } from "./cache.ts";
import { entryOf, KEY_PREFIX, keyOf } from "./entry.ts";

/** What the read model works with. */
export interface ReadModelDeps extends SnapshotDeps {
  cache: Cache;
  clock: Clock;
  log: Log;
}

/** How the read model is, for health. */
export interface ReadModelHealth {
  state: "ok" | "degraded" | "down";
  detail: string;
  /** Since when it is so. */
  since: string | null;
}

/** The read model while the service runs. */
export interface ReadModel {
  /** A change of this permit was committed. Cheap, never throws, may be told too often. */
  changed(permitId: string): void;
  health(): Promise<ReadModelHealth>;
  /** Stops writing and closes the cache. */
  close(): Promise<void>;
}

/** Changed permits remembered one by one; beyond, all are written anew, so that memory stays bounded. */
const CHANGED_MAX = 10_000;
/** Permits of one pipeline: a round trip of about 100 KiB. */
const BATCH = 100;
/** Changes that follow each other closely are written once. */
const COALESCE_MS = 20;
/** After a write that failed on a connection that stands, e.g. a read-only replica or one out of memory. */
const RETRY_MS = 2_000;
/** A read model that nobody changes is looked at so often, to notice that its cache is back. */
const IDLE_MS = 60_000;

/** Starts writing; returns at once. */
export function startReadModel(deps: ReadModelDeps): ReadModel {
  const writer = new Writer(deps);
  const looping = writer.run();
  return {
    changed: (permitId) => writer.changed(permitId),
    health: () => Promise.resolve(writer.health()),
    async close(): Promise<void> {
      writer.stop();
      await deps.cache.close();
      await looping;
    },
  };
}

class Writer {
  readonly #deps: ReadModelDeps;
  readonly #stopping = new AbortController();
  readonly #changed = new Set<string>();
  // Rebuilds asked for, and how many of them are done: a connection made during one asks for another.
  readonly #rebuilds = { asked: 1, done: 0 };
  #alarm = new AbortController();
  #failure: string | null = null;
  #state: ReadModelHealth["state"] | null = null;
  #sinceMs: number;

  constructor(deps: ReadModelDeps) {
    this.#deps = deps;
    this.#sinceMs = deps.clock.now();
    deps.cache.onChange(({ is }) => {
      if (is === "connected") this.#rebuilds.asked++;
      this.#alarm.abort();
    });
  }

  changed(permitId: string): void {
    if (this.#changed.size >= CHANGED_MAX) {
      this.#changed.clear();
      this.#rebuilds.asked++;
    } else this.#changed.add(permitId);
    this.#alarm.abort();
  }

  stop(): void {
    this.#stopping.abort();
  }

  health(): ReadModelHealth {
    this.#note();
    const state = this.#judge();
    const behind = this.#isRebuilding() ? "all permits" : `${this.#changed.size} permits`;
    const detail = state === "ok" ? "in step" : `${behind} to be written: ${this.#whyNot()}`;
    return { state, detail, since: toInstant(this.#sinceMs) };
  }

  async run(): Promise<void> {
    const { cache, clock } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      const hasWork = this.#isRebuilding() || this.#changed.size > 0;
      if (cache.state().is !== "connected" || !hasWork) {
        this.#note();
        await clock.sleep(IDLE_MS, AbortSignal.any([this.#alarm.signal, this.#stopping.signal]));
        this.#alarm = new AbortController();
        continue;
      }
      try {
        await this.#work();
        this.#failure = null;
      } catch (thrown) {
        this.#failure = thrown instanceof Error ? thrown.message : String(thrown);
      }
      this.#note();
      await clock.sleep(this.#failure === null ? COALESCE_MS : RETRY_MS, this.#stopping.signal);
    }
  }

  async #work(): Promise<void> {
    if (this.#isRebuilding()) {
      const { asked } = this.#rebuilds;
      this.#changed.clear();
      await rebuild(this.#deps);
      this.#rebuilds.done = asked;
      return;
    }
    const ids = [...this.#changed].slice(0, BATCH);
    for (const id of ids) this.#changed.delete(id);
    try {
      await this.#deps.cache.write(await Promise.all(ids.map((id) => currentWrite(this.#deps, id))));
    } catch (thrown) {
      for (const id of ids) this.#changed.add(id);
      throw thrown;
    }
  }

  #isRebuilding(): boolean {
    return this.#rebuilds.done < this.#rebuilds.asked;
  }

  #judge(): ReadModelHealth["state"] {
    if (this.#deps.cache.state().is === "away") return "down";
    return this.#failure === null && !this.#isRebuilding() ? "ok" : "degraded";
  }

  /** Notes a turn of the state; the log has one line when readers fall behind and one when they are in step again. */
  #note(): void {
    const { cache, clock, log } = this.#deps;
    const now = this.#judge();
    const before = this.#state;
    const isCatchingUp = now === "degraded" && this.#failure === null;
    if (now === before || isCatchingUp || cache.state().is === "connecting") return;
    [this.#state, this.#sinceMs] = [now, clock.now()];
    if (now === "ok") log.info("The read model is in step");
    else if (before === null || before === "ok") {
      log.warn("The read model is behind; its readers see older answers", { why: this.#whyNot() });
    }
  }

  #whyNot(): string {
    const connection = this.#deps.cache.state();
    return connection.is === "away" ? connection.why : this.#failure ?? "writing";
  }
}

/** What the cache should have of a permit, as the database has it now. */
async function currentWrite(deps: SnapshotDeps, permitId: string): Promise<CacheWrite> {
  const snapshot = await readSnapshot(deps, permitId);
  const entry = snapshot === null ? null : entryOf(snapshot);
  return { key: keyOf(permitId), value: entry === null ? null : JSON.stringify(entry) };
}

/** Writes every permit, then removes keys that no permit has any more (deleted meanwhile, an older database restored). */
async function rebuild(deps: ReadModelDeps): Promise<void> {
  const known = new Set<string>();
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof listPermits>> = await listPermits(deps.db, {}, {
      cursor,
      limit: BATCH,
    });
    const writes: CacheWrite[] = [];
    for (const permit of page.items) {
      const entry = entryOf(await snapshotOf(deps, permit));
      const key = keyOf(permit.permitId);
      if (entry !== null) known.add(key);
      writes.push({ key, value: entry === null ? null : JSON.stringify(entry) });
    }
    if (writes.length > 0) await deps.cache.write(writes);
    cursor = page.next;
  } while (cursor !== null);
  for await (const keys of deps.cache.keys(KEY_PREFIX)) {
    const stale = keys.filter((key) => !known.has(key));
    if (stale.length === 0) continue;
    // A permit that came while this ran is no stale key: the database decides.
    const ids = stale.map((key) => key.slice(KEY_PREFIX.length));
    await deps.cache.write(await Promise.all(ids.map((id) => currentWrite(deps, id))));
  }
}
