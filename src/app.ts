/**
 * The composition root: builds every part once, in order, and takes them down in reverse (DESIGN 2). Nothing else
 * knows which store, driver, broker or clock is in use.
 */
import type { Clock, Random } from "./core/clock.ts";
import type { Driver } from "./core/driver.ts";
import type { PhaseSet } from "./core/phase.ts";
import type { Config } from "./config/schema.ts";
import type { Log } from "./log.ts";
import { MACHINE_CLOCK, MACHINE_RANDOM } from "./machine.ts";
import { createApi } from "./api/api.ts";
import { createAuthenticator } from "./api/auth.ts";
import { createRefusalAudit } from "./api/refusals.ts";
import type { ApiDeps, Router } from "./api/deps.ts";
import type { Db } from "./store/db.ts";
import { createAlarm } from "./app/alarm.ts";
import { acceptPosted } from "./app/accept.ts";
import { type Broker, startBroker } from "./app/broker.ts";
import { type Foundation, layFoundation } from "./app/foundation.ts";
import { healthSources } from "./app/health.ts";
import { type Listening, startListening } from "./app/listening.ts";
import { makePlanFor } from "./app/plan.ts";
import { Releases } from "./app/releases.ts";
import { openSecrets } from "./app/secrets.ts";
import { startWork, type Work } from "./app/work.ts";
import { VERSION } from "./version.ts";

export { type Offline, openOffline } from "./app/offline.ts";
export { PhaseGap } from "./app/phase_gap.ts";

/** What the service is started with. What is absent is the machine's own. */
export interface AppOptions {
  config: Config;
  phases: PhaseSet;
  log: Log;
  clock?: Clock;
  random?: Random;
  /** In place of the configured one. */
  driver?: Driver;
}

/** A running service. */
export interface App {
  /** The API as the unix socket serves it. */
  fetch(request: Request): Promise<Response>;
  readonly db: Db;
  readonly driver: Driver;
  readonly listening: Listening["addresses"];
  /** Stops taking work in, lets what runs come to a boundary, closes everything. Safe to repeat. */
  stop(): Promise<void>;
}

/**
 * Starts the whole service. Broker and Redis may be away: they are connected in the background. A Fault leaves when
 * the state directory, the key, the driver's settings or an address cannot be used, a {@link PhaseGap} when permits
 * have statuses that `phases` lacks; then nothing stays open.
 */
export async function startApp(options: AppOptions): Promise<App> {
  const releases = new Releases(options.log);
  try {
    return await build(options, releases);
  } catch (thrown) {
    await releases.run();
    throw thrown;
  }
}

async function build(options: AppOptions, releases: Releases): Promise<App> {
  const { clock = MACHINE_CLOCK, random = MACHINE_RANDOM } = options;
  const foundation = await layFoundation({ ...options, clock, random }, releases);
  const { config, phases, log, bootEpoch, db, driver } = foundation;
  const { alarm, arm, stop } = createAlarm(foundation);
  releases.add("alarm", stop);
  const work = await startWork(foundation, releases, alarm);
  const accepted = (permitIds: string[]): void => permitIds.forEach(work.wake);
  const broker = await startBroker({ config, db, phases, clock, random, log, accepted });
  releases.add("broker", () => broker.stop());
  arm(broker.accept, work.wake);
  const api = buildApi(foundation, work, broker);
  const listening = await startListening({
    config,
    clock,
    log,
    answer: (request, env) => api.fetch(request, env),
  });
  releases.add("listeners", () => listening.stop());
  // Before the listeners: they would wait out their grace for open streams.
  releases.add("streams", () => Promise.resolve(work.feed.close()));
  log.info("service started", { ...listening.addresses, bootEpoch, version: VERSION });
  return {
    fetch: (request) => Promise.resolve(api.fetch(request, { transport: "process" })),
    db,
    driver,
    listening: listening.addresses,
    stop: () => releases.run(),
  };
}

function buildApi(foundation: Foundation, work: Work, broker: Broker): Router {
  const { config, phases, site, log, clock, random, bootEpoch, db, sealer, signer, driver, selfCheck } =
    foundation;
  const { runner, drift, probing, readModel, feed, wake, stopping } = work;
  const deps: ApiDeps = {
    db,
    phases,
    site,
    clock,
    random,
    log,
    version: VERSION,
    bootEpoch,
    startedAtMs: clock.now(),
    authenticate: createAuthenticator({ key: config.api.key }),
    secrets: openSecrets(db, sealer),
    siteKey: signer.key,
    health: healthSources({ db, broker, driver, runner, drift, probing, readModel, selfCheck }),
    feed,
    accept: acceptPosted(broker.accept, wake),
    plan: makePlanFor({ db, driver, phases, site, clock }),
    wake,
    isReady: () => !stopping.aborted,
  };
  return createApi(deps, createRefusalAudit(db, clock, stopping));
}
