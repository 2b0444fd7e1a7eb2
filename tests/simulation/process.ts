/** One boot of the service in a simulation: all its parts, over ports that die and freeze with it. */
import { createAlarm } from "../../src/app/alarm.ts";
import { startBroker } from "../../src/app/broker.ts";
import { Releases } from "../../src/app/releases.ts";
import { startSelfCheck } from "../../src/app/self_check.ts";
import { startWork } from "../../src/app/work.ts";
import type { Config } from "../../src/config/schema.ts";
import { siteOf } from "../../src/config/site.ts";
import { signerFromSeed } from "../../src/store/site_key.ts";
import type { Random } from "../../src/core/clock.ts";
import { isEndless } from "../../src/core/retry.ts";
import type { PhaseSet } from "../../src/core/phase.ts";
import type { LabCluster } from "../../src/drivers/lab/cluster.ts";
import type { Broker } from "../../src/intake/broker.ts";
import { createLog } from "../../src/log.ts";
import { goOn } from "../../src/api/uploads.ts";
import { type Db, openDb, type Tx } from "../../src/store/db.ts";
import { openStore, type Store } from "../../src/store/open.ts";
import { cancelJob, retryNow } from "../../src/store/job_transitions.ts";
import { latestWish, openJob } from "../../src/store/jobs.ts";
import { getPermit } from "../../src/store/permits.ts";
import { acceptRefused, refusedUploads } from "../../src/store/refused_uploads.ts";
import type { Sealer } from "../../src/store/seal.ts";
import { type Disk, SimulatedDb } from "./disk.ts";
import type { Faults } from "./faults.ts";
import { Life, ProcessClock } from "./life.ts";
import { type BeforeAction, type Learning, SimulatedPlatform } from "./platform.ts";
import type { Timeline } from "./timeline.ts";

/** What a process finds when it starts. */
export interface ProcessParts {
  /** "boot-3". */
  bootEpoch: string;
  /** A second service on one database, as if the lock of the state directory had failed. */
  isSecond: boolean;
  timeline: Timeline;
  random: Random;
  faults: Faults;
  disk: Disk;
  cluster: LabCluster;
  config: Config;
  phases: PhaseSet;
  beforeAction: BeforeAction;
  learning: Learning;
  brokerFor(life: Life): Broker;
  write(line: string): void;
}

/** A boot. */
export interface Process {
  readonly bootEpoch: string;
  readonly life: Life;
  readonly clock: ProcessClock;
  /** What `wps uploads accept` does, for each newest list that waits; the keys of the uploads. */
  acceptUploads(permitId: string): Promise<string[]>;
  /** What `wps jobs cancel` does with the permit's open job, unless that only takes access away. */
  cancel(permitId: string): Promise<void>;
  /** What `wps jobs retry` does with the permit's last wish, if somebody cancelled it. */
  retryCancelled(permitId: string): Promise<void>;
  /** SIGTERM, and wait. */
  stop(): Promise<void>;
  /** What a kernel does after SIGKILL: files are closed. */
  release(): Promise<void>;
}

/**
 * Starts a boot. Time stands meanwhile, as far as the process itself does not wait. Throws what `openStore` does; the
 * process may also die in the middle, then it never serves.
 */
export async function startProcess(parts: ProcessParts): Promise<Process> {
  const { bootEpoch, timeline, random, faults, disk, cluster, config, phases } = parts;
  const life = new Life();
  const clock = new ProcessClock(timeline, life);
  const store = await open(parts, clock.now());
  const { beforeAction, learning } = parts;
  const db = new SimulatedDb({ db: store.db, life, faults, disk });
  const log = createLog({
    level: "debug",
    format: "text",
    clock,
    write: (line) => life.isDead || parts.write(`${bootEpoch} ${line}`),
  });
  const driver = new SimulatedPlatform({ cluster, timeline, life, faults, beforeAction, learning });
  const releases = new Releases(log);
  releases.add("store", () => store.close());
  let wake = (_permitId: string): void => {};
  const started = (async (): Promise<void> => {
    const selfCheck = await startSelfCheck({ driver, clock, random, log });
    releases.add("self-check", () => selfCheck.stop());
    const common = { config, phases, log, clock, random, db };
    const foundation = {
      ...common,
      site: siteOf(config),
      bootEpoch,
      sealer: TRANSPARENT,
      signer: SIGNER,
      driver,
      selfCheck,
    };
    const { alarm, arm, stop } = createAlarm(foundation);
    releases.add("alarm", stop);
    const work = await startWork(foundation, releases, alarm);
    wake = work.wake;
    const accepted = (permitIds: string[]): void => permitIds.forEach(work.wake);
    const broker = await startBroker({ ...common, messages: parts.brokerFor(life), accepted });
    releases.add("broker", () => broker.stop());
    arm(broker.accept, work.wake);
    releases.add("streams", () => Promise.resolve(work.feed.close()));
  })();
  // A process that dies while it starts never comes to an end of it.
  try {
    await Promise.race([started, new Promise<void>((resolve) => life.onDeath(resolve))]);
  } catch (thrown) {
    life.kill();
    await store.close();
    throw thrown;
  }
  const ordered = async (permitId: string, order: (tx: Tx) => Promise<void>): Promise<void> => {
    await db.write(order);
    wake(permitId);
  };
  return {
    bootEpoch,
    life,
    clock,
    acceptUploads: (permitId) => acceptUploads(store.db, permitId, clock.now(), wake),
    cancel: (permitId) => ordered(permitId, (tx) => cancel(tx, permitId, clock.now())),
    retryCancelled: (permitId) => ordered(permitId, (tx) => retryCancelled(tx, permitId, clock.now())),
    stop: () => releases.run(),
    release: () => store.close(),
  };
}

/** The order's own transaction; that it is answered once is the API's matter. */
async function acceptUploads(
  db: Db,
  permitId: string,
  nowMs: number,
  wake: (permitId: string) => void,
): Promise<string[]> {
  const refused = (await refusedUploads(db, permitId)).filter(({ acceptedAtMs }) => acceptedAtMs === null);
  const permit = await getPermit(db, permitId);
  if (refused.length === 0 || permit === null || permit.deletion !== "none") return [];
  await db.write(async (tx) => {
    for (const { key, listHash } of refused) {
      await acceptRefused(tx, permitId, key, listHash, { kind: "operator", id: "somebody" }, nowMs);
    }
    await goOn(tx, permitId, permit.version, nowMs);
  });
  wake(permitId);
  return refused.map(({ key }) => key);
}

async function cancel(tx: Tx, permitId: string, nowMs: number): Promise<void> {
  const job = await openJob(tx, permitId);
  if (job !== null && !isEndless(job)) await cancelJob(tx, job.id, nowMs);
}

async function retryCancelled(tx: Tx, permitId: string, nowMs: number): Promise<void> {
  const wish = await latestWish(tx, permitId);
  if (wish?.state === "cancelled") await retryNow(tx, wish.id, nowMs);
}

/** Without patience for a rival's lock: SQLite would stop all of simulated time. */
async function open(
  { config: { state: { directory } }, isSecond }: ProcessParts,
  nowMs: number,
): Promise<Pick<Store, "db" | "close">> {
  const options = { busyTimeoutMs: 0, durable: false };
  if (!isSecond) return await openStore({ directory, nowMs, ...options });
  const db = await openDb({ path: `${directory}/wps.db`, ...options });
  return { db, close: () => db.close() };
}

const SIGNER = signerFromSeed(new Uint8Array(32).fill(7));

/** Cryptography takes threads, whose order no seed decides; that it binds a secret to its place is still checked. */
const TRANSPARENT: Sealer = {
  seal: (plain, context) => Promise.resolve(new TextEncoder().encode(`${context}\n${plain}`)),
  open(sealed, context): Promise<string> {
    const [bound, ...rest] = new TextDecoder().decode(sealed).split("\n");
    if (bound !== context) return Promise.reject(new Error("sealed for something else"));
    return Promise.resolve(rest.join("\n"));
  },
};
