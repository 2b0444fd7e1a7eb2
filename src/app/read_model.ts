/** The Redis read model where configured; without it nothing is lost but reads. */
import type { Config } from "../config/schema.ts";
import type { Clock, Random } from "../core/clock.ts";
import type { PhaseSet } from "../core/phase.ts";
import type { Site } from "../core/site.ts";
import type { Log } from "../log.ts";
import type { Db } from "../store/db.ts";
import type { PartHealth } from "./health.ts";

/** The read model as the rest sees it. */
export interface ReadModelPart {
  /** A permit's rows may have changed; cheap. */
  changed(permitId: string): void;
  health(): Promise<PartHealth>;
  close(): Promise<void>;
}

/** What it works with. */
export interface ReadModelParts {
  config: Config;
  db: Db;
  phases: PhaseSet;
  site: Site;
  clock: Clock;
  random: Random;
  log: Log;
}

const OFF: ReadModelPart = {
  changed: () => {},
  health: () => Promise.resolve({ state: "off", detail: "no Redis is configured", since: null }),
  close: () => Promise.resolve(),
};

/** Starts it; never waits for Redis, whose client is loaded only where one is configured. */
export async function startReadModelPart(parts: ReadModelParts): Promise<ReadModelPart> {
  const { config: { redis }, random, ...deps } = parts;
  if (redis === null) return OFF;
  const { connectRedis } = await import("../readmodel/redis.ts");
  const { startReadModel } = await import("../readmodel/read_model.ts");
  const ca = redis.caFile === null ? null : await Deno.readTextFile(redis.caFile);
  return startReadModel({ ...deps, cache: connectRedis({ url: redis.url, ca, random }) });
}
