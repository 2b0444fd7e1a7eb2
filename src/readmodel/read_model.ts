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
  const { cache, clock, log } = deps;
  const stopping = new AbortController();
  const changed = new Set<string>();
  // Rebuilds asked for, and how many of them are done: a connection made during one asks for another.
  const rebuilds = { asked: 1, done: 0 };
  let failure: string | null = null;
  let state: ReadModelHealth["state"] | null = null;
  let sinceMs = clock.now();
  let alarm = new AbortController();

  const ring = (): void => alarm.abort();
  const isRebuilding = (): boolean => rebuilds.done < rebuilds.asked;
  cache.onChange(({ is }) => {
    if (is === "connected") rebuilds.asked++;
    ring();
  });

  async function wait(ms: number): Promise<void> {
    const until = AbortSignal.any([alarm.signal, stopping.signal]);
    await clock.sleep(ms, until);
    alarm = new AbortController();
  }

  async function work(): Promise<void> {
    if (isRebuilding()) {
      const { asked } = rebuilds;
      changed.clear();
      await rebuild(deps);
      rebuilds.done = asked;
      return;
    }
    const ids = [...changed].slice(0, BATCH);
    for (const id of ids) changed.delete(id);
    try {
      await cache.write(await Promise.all(ids.map((id) => currentWrite(deps, id))));
    } catch (thrown) {
      for (const id of ids) changed.add(id);
      throw thrown;
    }
  }

  function judge(): ReadModelHealth["state"] {
    if (cache.state().is === "away") return "down";
    return failure === null && !isRebuilding() ? "ok" : "degraded";
  }

  function note(): void {
    const now = judge();
    if (now === state || cache.state().is === "connecting") return;
    [state, sinceMs] = [now, clock.now()];
    if (now === "ok") log.info("The read model is in step");
    else log.warn("The read model is behind; its readers see older answers", { why: whyNot() });
  }

  function whyNot(): string {
    const connection = cache.state();
    return connection.is === "away" ? connection.why : failure ?? "writing";
  }

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      const hasWork = isRebuilding() || changed.size > 0;
      if (cache.state().is !== "connected" || !hasWork) {
        note();
        await wait(IDLE_MS);
        continue;
      }
      try {
        await work();
        failure = null;
      } catch (thrown) {
        failure = thrown instanceof Error ? thrown.message : String(thrown);
      }
      note();
      await clock.sleep(failure === null ? COALESCE_MS : RETRY_MS, stopping.signal);
    }
  }

  const looping = loop();
  return {
    changed(permitId: string): void {
      if (changed.size >= CHANGED_MAX) {
        changed.clear();
        rebuilds.asked++;
      } else changed.add(permitId);
      ring();
    },
    health(): Promise<ReadModelHealth> {
      note();
      const is = judge();
      const behind = isRebuilding() ? "all permits" : `${changed.size} permits`;
      const detail = is === "ok" ? "in step" : `${behind} to be written: ${whyNot()}`;
      return Promise.resolve({ state: is, detail, since: toInstant(sinceMs) });
    },
    async close(): Promise<void> {
      stopping.abort();
      await cache.close();
      await looping;
    },
  };
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
