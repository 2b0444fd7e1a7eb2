/** What everything else of the service stands on: its database, its key, its platform. */
import type { Clock, Random } from "../core/clock.ts";
import type { Driver } from "../core/driver.ts";
import type { PhaseSet } from "../core/phase.ts";
import type { Site } from "../core/site.ts";
import type { Config } from "../config/schema.ts";
import { siteOf } from "../config/site.ts";
import type { Log } from "../log.ts";
import type { Db } from "../store/db.ts";
import { openStore } from "../store/open.ts";
import { loadSiteSigner, type SiteSigner } from "../store/site_key.ts";
import { checkSealKey, createSealer, loadSealKey, type Sealer } from "../store/seal.ts";
import { createDriver } from "./driver.ts";
import { refusePhaseGap } from "./phase_gap.ts";
import type { Releases } from "./releases.ts";
import { type SelfCheck, startSelfCheck } from "./self_check.ts";

/** What the service is built with, and what was opened for it. */
export interface Foundation {
  config: Config;
  phases: PhaseSet;
  site: Site;
  log: Log;
  clock: Clock;
  random: Random;
  /** Names this start of the service. */
  bootEpoch: string;
  db: Db;
  sealer: Sealer;
  signer: SiteSigner;
  driver: Driver;
  selfCheck: SelfCheck;
}

/** What a foundation is laid with; `driver` in place of the configured one. */
export interface FoundationOptions {
  config: Config;
  phases: PhaseSet;
  log: Log;
  clock: Clock;
  random: Random;
  driver?: Driver;
}

/**
 * Opens store, key and driver, and lets the driver check itself. Faults of theirs leave, and a `PhaseGap`; `releases`
 * has what is open.
 */
export async function layFoundation(options: FoundationOptions, releases: Releases): Promise<Foundation> {
  const { config, phases, log, clock, random } = options;
  const bootEpoch = `${clock.now().toString(36)}-${hex(random.bytes(6))}`;
  const store = await openStore({ directory: config.state.directory, nowMs: clock.now(), clock });
  releases.add("store", () => store.close());
  const { db } = store;
  await refusePhaseGap(db, phases, config.phases.directory);
  const sealer = createSealer(await loadSealKey(config.keys.directory, random), random);
  await checkSealKey(db, sealer);
  const signer = await loadSiteSigner(config.keys.directory, random);
  const driver = options.driver ?? await createDriver({ config, phases, clock, random, log });
  releases.add("driver", () => driver.close());
  const selfCheck = await startSelfCheck({ driver, clock, random, log });
  releases.add("self-check", () => selfCheck.stop());
  return {
    config,
    phases,
    site: siteOf(config),
    log,
    clock,
    random,
    bootEpoch,
    db,
    sealer,
    signer,
    driver,
    selfCheck,
  };
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
