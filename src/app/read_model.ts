/** The Redis read model where configured; without it nothing is lost but reads. */
import type { Config } from "../config/schema.ts";
import type { Clock } from "../core/clock.ts";
import type { PhaseSet } from "../core/phase.ts";
import type { Log } from "../log.ts";
import type { Db } from "../store/db.ts";
import type { PartHealth } from "./health.ts";

/** The read model as the rest sees it. */
export interface ReadModelPart {
  /** A permit's rows may have changed; cheap. */
  changed(permitId: string): void;
  health(): PartHealth;
  stop(): Promise<void>;
}

/** Starts it; never waits for Redis. */
export function startReadModel(
  _parts: { config: Config; db: Db; phases: PhaseSet; clock: Clock; log: Log },
): Promise<ReadModelPart> {
  return Promise.resolve({
    changed: () => {},
    health: () => ({ state: "off", detail: "no Redis is configured", since: null }),
    stop: () => Promise.resolve(),
  });
}
