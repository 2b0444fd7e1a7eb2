import assert from "node:assert/strict";
import { SILENT_LOG } from "../../src/log.ts";
import type { Cache, CacheState, CacheWrite } from "../../src/readmodel/cache.ts";
import { type ReadModel, startReadModel } from "../../src/readmodel/read_model.ts";
import { reconnectDelayMs } from "../../src/readmodel/redis.ts";
import { PERMIT, post, type Service, statusEvent, withService } from "../api/service.ts";
import { SteppedClock } from "../api/surroundings.ts";

/** A cache in memory whose comings and goings, failures and pace a test decides. */
class PaperCache implements Cache {
  readonly values = new Map<string, string>();
  readonly batches: CacheWrite[][] = [];
  failing: string | null = null;
  gate: Promise<void> = Promise.resolve();
  #state: CacheState = { is: "connecting" };
  #listener: (state: CacheState) => void = () => {};

  state(): CacheState {
    return this.#state;
  }

  become(state: CacheState): void {
    this.#state = state;
    this.#listener(state);
  }

  onChange(changed: (state: CacheState) => void): void {
    this.#listener = changed;
  }

  async write(writes: readonly CacheWrite[]): Promise<void> {
    await this.gate;
    if (this.failing !== null) throw new Error(this.failing);
    this.batches.push([...writes]);
    for (const { key, value } of writes) {
      if (value === null) this.values.delete(key);
      else this.values.set(key, value);
    }
  }

  async *keys(prefix: string): AsyncIterable<string[]> {
    await Promise.resolve();
    yield [...this.values.keys()].filter((key) => key.startsWith(prefix));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

interface Parts {
  service: Service;
  cache: PaperCache;
  model: ReadModel;
  clock: SteppedClock;
  /** Lets time pass until the question holds. */
  passUntil: (what: string, holds: () => boolean) => Promise<void>;
}

function withModel(test: (parts: Parts) => Promise<void>): Promise<void> {
  const clock = new SteppedClock();
  return withService(async (service) => {
    const cache = new PaperCache();
    const { db, phases, site } = service.deps;
    const model = startReadModel({ cache, db, phases, site, clock, log: SILENT_LOG });
    const passUntil = async (what: string, holds: () => boolean): Promise<void> => {
      for (let turn = 0; !holds(); turn++) {
        assert.ok(turn < 5_000, `in vain: ${what}`);
        clock.advance(100);
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    };
    try {
      await test({ service, cache, model, clock, passUntil });
    } finally {
      cache.gate = Promise.resolve();
      await model.close();
    }
  }, { clock });
}

const wordOf = (cache: PaperCache, permitId = PERMIT): string | undefined => {
  const text = cache.values.get(`wps:workspace:${permitId}`);
  return text === undefined ? undefined : JSON.parse(text).status;
};

Deno.test("startReadModel: many changes of one permit are one write of its newest state", () =>
  withModel(async ({ service, cache, model, passUntil }) => {
    await service.event(statusEvent("AWAITING_INGRESS"));
    cache.become({ is: "connected" });
    await passUntil("rebuilt", () => wordOf(cache) === "NONE");
    const before = cache.batches.length;
    const hold = Promise.withResolvers<void>();
    cache.gate = hold.promise;
    for (const status of ["ARCHIVED", "AWAITING_INGRESS", "ARCHIVED"]) {
      await service.event(statusEvent(status));
      for (let repeat = 0; repeat < 100; repeat++) model.changed(PERMIT);
    }
    hold.resolve();
    await passUntil("written", () => wordOf(cache) === "ARCHIVED");
    assert.ok(cache.batches.length - before <= 2, `${cache.batches.length - before} writes`);
  }));

Deno.test("startReadModel: more changes than are remembered become one rebuild", () =>
  withModel(async ({ service, cache, model, passUntil }) => {
    for (const permitId of ["a", "b", "c"]) {
      await service.ask("/api/v1/events", post({ permitId, ...statusEvent("AWAITING_INGRESS") }));
    }
    for (let count = 0; count < 25_000; count++) model.changed(`unknown-${count}`);
    cache.become({ is: "connected" });
    await passUntil("rebuilt", () => wordOf(cache, "c") === "NONE");
    let turns = 0;
    await passUntil("calm", () => ++turns > 50);
    assert.equal(cache.batches.flat().length, 3, "the permits that exist, once each");
  }));

Deno.test("startReadModel: a write that fails is tried again at a calm pace, and health says why", () =>
  withModel(async ({ service, cache, model, clock, passUntil }) => {
    await service.event(statusEvent("AWAITING_INGRESS"));
    cache.failing = "READONLY You can't write against a read only replica";
    cache.become({ is: "connected" });
    let health = await model.health();
    while (!health.detail.includes("READONLY")) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      health = await model.health();
    }
    assert.equal(health.state, "degraded");
    cache.failing = null;
    clock.advance(1_000);
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(wordOf(cache), undefined, "not at once");
    await passUntil("tried again", () => wordOf(cache) === "NONE");
    assert.equal((await model.health()).state, "ok");
  }));

Deno.test("startReadModel: a change whose write failed is not forgotten", () =>
  withModel(async ({ service, cache, model, passUntil }) => {
    await service.event(statusEvent("AWAITING_INGRESS"));
    cache.become({ is: "connected" });
    await passUntil("rebuilt", () => wordOf(cache) === "NONE");
    cache.failing = "OOM command not allowed when used memory > 'maxmemory'";
    await service.event(statusEvent("ARCHIVED"));
    model.changed(PERMIT);
    let turns = 0;
    await passUntil("tried in vain", () => ++turns > 30);
    assert.equal((await model.health()).detail, `1 permits to be written: ${cache.failing}`);
    cache.failing = null;
    await passUntil("written", () => wordOf(cache) === "ARCHIVED");
  }));

Deno.test("startReadModel: a connection made during a rebuild is followed by another rebuild", () =>
  withModel(async ({ service, cache, passUntil }) => {
    await service.event(statusEvent("AWAITING_INGRESS"));
    const hold = Promise.withResolvers<void>();
    cache.gate = hold.promise;
    cache.become({ is: "connected" });
    await new Promise((resolve) => setTimeout(resolve, 0));
    cache.become({ is: "away", why: "lost" });
    cache.become({ is: "connected" });
    hold.resolve();
    await passUntil("first", () => cache.values.size === 1);
    cache.values.clear();
    await passUntil("second", () => wordOf(cache) === "NONE");
  }));

Deno.test("reconnectDelayMs: doubles from 0.1 s to 5 s, with jitter below", () => {
  const low = { next: () => 0, bytes: (): Uint8Array => new Uint8Array() };
  const high = { ...low, next: () => 1 };
  const cases: [attempt: number, lowest: number, highest: number][] = [
    [1, 50, 100],
    [2, 100, 200],
    [6, 1600, 3200],
    [7, 2500, 5000],
    [1e6, 2500, 5000],
  ];
  for (const [attempt, lowest, highest] of cases) {
    assert.deepEqual([reconnectDelayMs(attempt, low), reconnectDelayMs(attempt, high)], [lowest, highest]);
  }
});
