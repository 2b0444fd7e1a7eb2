/** The API over the database's file while the service is down: what only reads answers as it would, the rest says 503. */
import { createApi } from "../api/api.ts";
import { createAuthenticator } from "../api/auth.ts";
import type { Config } from "../config/schema.ts";
import { siteOf } from "../config/site.ts";
import { Fault } from "../core/fault.ts";
import type { PhaseSet } from "../core/phase.ts";
import { type Log } from "../log.ts";
import { MACHINE_CLOCK, MACHINE_RANDOM } from "../machine.ts";
import { openStoppedStore } from "../store/open.ts";
import { createSealer, loadSealKey } from "../store/seal.ts";
import { publicKeyOf, SITE_PUBLIC_FILE, type SitePublicKey } from "../store/site_key.ts";
import { VERSION } from "../version.ts";
import type { PartHealth } from "./health.ts";
import { openSecrets } from "./secrets.ts";

/** An API without a service behind it. */
export interface Offline {
  fetch(request: Request): Promise<Response>;
  close(): Promise<void>;
}

/** What an offline API is made of. */
export interface OfflineParts {
  config: Config;
  /** A Fault: why they cannot be read; the answers tell it, with what was seen last. */
  phases: PhaseSet | Fault;
  log: Log;
}

const NO_PHASES: PhaseSet = { statuses: new Map(), events: new Map(), volumes: new Map() };
const ABSENT: PartHealth = { state: "down", detail: "the service is not running", since: null };

/**
 * Opens the stopped service's database for reading; the state's lock is held meanwhile. Faults: `not-found` (never
 * started here), `conflict` (a service is running after all, or another version wrote the file).
 */
export async function openOffline(parts: OfflineParts): Promise<Offline> {
  const { config, phases, log } = parts;
  const store = await openStoppedStore(config.state.directory);
  const down = (): Promise<PartHealth> => Promise.resolve(ABSENT);
  const sealer = async (): Promise<ReturnType<typeof createSealer>> =>
    createSealer(await loadSealKey(config.keys.directory, MACHINE_RANDOM), MACHINE_RANDOM);
  const api = createApi({
    db: store.db,
    ...(phases instanceof Fault ? { phases: NO_PHASES, phasesFault: phases } : { phases }),
    site: siteOf(config),
    clock: MACHINE_CLOCK,
    random: MACHINE_RANDOM,
    log,
    version: VERSION,
    bootEpoch: "offline",
    startedAtMs: MACHINE_CLOCK.now(),
    authenticate: createAuthenticator({ key: config.api.key }),
    secrets: {
      // The key is read only when a secret is asked for: an operator may look at the status without it.
      password: async (permitId, key) => await openSecrets(store.db, await sealer()).password(permitId, key),
      hostKey: async (permitId, holder) =>
        await openSecrets(store.db, await sealer()).hostKey(permitId, holder),
    },
    siteKey: await readSiteKey(config.keys.directory),
    health: { broker: down, driver: down, runner: down, readModel: down },
    feed: null,
    accept: null,
    plan: null,
    wake: null,
    isReady: () => false,
  }, () => Promise.resolve());
  return {
    fetch: (request) => Promise.resolve(api.fetch(request, { transport: "process" })),
    close: () => store.close(),
  };
}

/** Whoever may look at the database need not be allowed to read the keys' folder. */
async function readSiteKey(directory: string): Promise<SitePublicKey | null> {
  const path = `${directory}/${SITE_PUBLIC_FILE}`;
  try {
    return publicKeyOf(await Deno.readTextFile(path), path);
  } catch {
    return null;
  }
}
