/**
 * The composition root: builds every part once, in order, and takes them down in reverse (DESIGN 2). Nothing else
 * knows which store, driver, broker or clock is in use.
 */
import type { Clock, Random } from "./core/clock.ts";
import type { CheckLine, Driver } from "./core/driver.ts";
import type { PhaseSet } from "./core/phase.ts";
import type { Config } from "./config/schema.ts";
import { siteOf } from "./config/site.ts";
import type { Log } from "./log.ts";
import { MACHINE_CLOCK, MACHINE_RANDOM } from "./machine.ts";
import { createApi } from "./api/api.ts";
import { createAuthenticator } from "./api/auth.ts";
import { createJobFeed } from "./api/job_feed.ts";
import { createRefusalAudit } from "./api/refusals.ts";
import type { ApiDeps } from "./api/deps.ts";
import type { Transport } from "./api/caller.ts";
import { CLAIM_LOOP, createBell } from "./runner/bell.ts";
import { startDrift } from "./runner/drift.ts";
import { startPruning } from "./runner/pruning.ts";
import { type Runner, startRunner } from "./runner/runner.ts";
import { createVault } from "./runner/vault.ts";
import { openStore, type Store } from "./store/open.ts";
import type { Db } from "./store/db.ts";
import { checkSealKey, createSealer, loadSealKey } from "./store/seal.ts";
import { acceptPosted } from "./app/accept.ts";
import { createDriver } from "./app/driver.ts";
import { type HealthParts, healthSources } from "./app/health.ts";
import { type Listening, startListening } from "./app/listening.ts";
import { makePlanFor } from "./app/plan.ts";
import { Releases } from "./app/releases.ts";
import { openSecrets } from "./app/secrets.ts";
import { type Broker, startBroker } from "./app/broker.ts";
import { startReadModelPart } from "./app/read_model.ts";
import { VERSION } from "./version.ts";

export { type Offline, openOffline } from "./app/offline.ts";

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
  /** The driver's self-check, as it was at the start. */
  readonly checks: CheckLine[];
  /** Stops taking work in, lets what runs come to a boundary, closes everything. Safe to repeat. */
  stop(): Promise<void>;
}

/**
 * Starts the whole service. Broker and Redis may be away: they are connected in the background. A Fault leaves when
 * the state directory, the key, the driver's settings or an address cannot be used; then nothing stays open.
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
  const { config, phases, log, clock = MACHINE_CLOCK, random = MACHINE_RANDOM } = options;
  const bootEpoch = `${clock.now().toString(36)}-${hex(random.bytes(6))}`;
  const store: Store = await openStore({ directory: config.state.directory, nowMs: clock.now(), clock });
  releases.add("store", () => store.close());
  const { db } = store;
  const sealer = createSealer(await loadSealKey(config.keys.directory, random), random);
  await checkSealKey(db, sealer);
  const driver = options.driver ?? await createDriver({ config, phases, clock, random, log });
  releases.add("driver", () => driver.close());
  const checks = await driver.check(AbortSignal.timeout(CHECK_MS));
  for (const line of checks) tellCheck(log, line);

  const stopping = new AbortController();
  const bell = createBell(clock);
  const feed = createJobFeed(clock);
  const site = siteOf(config);
  const readModel = await startReadModelPart({ config, db, phases, site, clock, random, log });
  releases.add("read model", () => readModel.close());
  const changed = (permitId: string): void => {
    feed.changed(permitId);
    readModel.changed(permitId);
  };
  const common = { db, driver, clock, random, phases, site, bell, log, bootEpoch, changed };
  const drift = startDrift({ ...common, intervalMs: config.runner.drift.intervalMs });
  releases.add("drift", () => drift.stop());
  const runner: Runner = await startRunner({
    ...common,
    vault: createVault(db, sealer, random, clock),
    limits: config.runner,
    taken: (permitId) => drift.followUp(permitId),
  });
  releases.add("runner", () => runner.stop());
  const pruning = startPruning({ db, clock, random, log, keep: config.runner.keep });
  releases.add("pruning", () => pruning.stop());
  const watching = driver.watch((permitId) => {
    bell.ring(permitId);
    drift.notice(permitId);
    changed(permitId);
  }, stopping.signal);
  releases.add("watch", async () => {
    stopping.abort();
    await watching;
  });

  const wake = (permitId: string): void => {
    bell.ring(permitId);
    bell.ring(CLAIM_LOOP);
    changed(permitId);
  };
  const broker: Broker = await startBroker({
    config,
    db,
    phases,
    clock,
    random,
    log,
    accepted: (ids) => ids.forEach(wake),
  });
  releases.add("broker", () => broker.stop());
  const health: HealthParts = { broker, driver, runner, drift, readModel, checks };
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
    health: healthSources(health),
    feed,
    accept: acceptPosted(broker.accept, wake),
    plan: makePlanFor({ db, driver, phases, site }),
    wake,
    isReady: () => !stopping.signal.aborted,
  };
  const api = createApi(deps, createRefusalAudit(db, clock, stopping.signal));
  const fetch = (request: Request, transport: Transport): Promise<Response> =>
    Promise.resolve(api.fetch(request, { transport }));
  const listening = await startListening({
    config,
    clock,
    log,
    answer: (request, env) => api.fetch(request, env),
  });
  releases.add("listeners", () => listening.stop());
  // Before the listeners: they would wait out their grace for open streams.
  releases.add("streams", () => Promise.resolve(feed.close()));
  log.info("service started", { ...listening.addresses, bootEpoch, version: VERSION });
  return {
    fetch: (request) => fetch(request, "process"),
    db,
    driver,
    listening: listening.addresses,
    checks,
    stop: () => releases.run(),
  };
}

/** The self-check asks a handful of questions; a platform that is away must not hold the start up longer. */
const CHECK_MS = 20_000;

function tellCheck(log: Log, { check, result, detail, advice }: CheckLine): void {
  const fields = { check, detail, ...(advice === "" ? {} : { advice }) };
  if (result === "ok") log.info("self-check: ok", fields);
  else log.warn(`self-check: ${result}`, fields);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
