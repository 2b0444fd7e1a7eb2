/** What works by itself: jobs, drift, pruning, the platform's watch, and who is told of changes. */
import { createJobFeed, type JobFeed } from "../api/job_feed.ts";
import { CLAIM_LOOP, createBell } from "../runner/bell.ts";
import type { Alarm } from "../runner/breach.ts";
import { type Drift, startDrift } from "../runner/drift.ts";
import { startExpiry } from "../runner/expiry.ts";
import { type Probing, startProbing } from "../runner/probing.ts";
import { startPruning } from "../runner/pruning.ts";
import { type Runner, startRunner } from "../runner/runner.ts";
import { createVault } from "../runner/vault.ts";
import type { Foundation } from "./foundation.ts";
import { type ReadModelPart, startReadModelPart } from "./read_model.ts";
import type { Releases } from "./releases.ts";

/** The parts at work. */
export interface Work {
  runner: Runner;
  drift: Drift;
  probing: Probing;
  readModel: ReadModelPart;
  feed: JobFeed;
  /** A permit's wish or job has changed: the runner looks at once, and who follows it is told. */
  wake(permitId: string): void;
  /** Aborted once the service begins to stop. */
  stopping: AbortSignal;
}

/** Starts them in the order in which they need each other; `releases` stops them. `alarm` halts a permit. */
export async function startWork(foundation: Foundation, releases: Releases, alarm: Alarm): Promise<Work> {
  const { config, phases, site, log, clock, random, bootEpoch, db, sealer, signer, driver } = foundation;
  const stopping = new AbortController();
  const bell = createBell(clock);
  const feed = createJobFeed(clock);
  const readModel = await startReadModelPart({ config, db, phases, site, clock, random, log });
  releases.add("read model", () => readModel.close());
  const changed = (permitId: string): void => {
    feed.changed(permitId);
    readModel.changed(permitId);
  };
  const common = { db, driver, clock, random, phases, site, bell, log, bootEpoch, alarm, changed };
  // Before jobs are claimed: what expired while the service was away is cut first.
  const expiry = await startExpiry({ ...common, warnDays: config.permits.expiry.warnDays });
  releases.add("expiry", () => expiry.stop());
  const drift = startDrift({ ...common, intervalMs: config.runner.drift.intervalMs });
  releases.add("drift", () => drift.stop());
  const runner = await startRunner({
    ...common,
    signer,
    vault: createVault(db, sealer, random, clock),
    limits: config.runner,
    taken: (permitId) => drift.followUp(permitId),
  });
  releases.add("runner", () => runner.stop());
  const probing = startProbing({ ...common, intervalMs: config.runner.probe.intervalMs });
  releases.add("probing", () => probing.stop());
  const pruning = startPruning({ db, clock, random, log, keep: config.runner.keep });
  releases.add("pruning", () => pruning.stop());
  const watching = driver.watch((permitId, whose) => {
    bell.ring(permitId);
    drift.notice(permitId, whose);
    changed(permitId);
  }, stopping.signal);
  releases.add("watch", async () => {
    stopping.abort();
    await watching;
  });
  const wake = (permitId: string): void => {
    bell.ring(permitId);
    bell.ring(CLAIM_LOOP);
    expiry.wake();
    changed(permitId);
  };
  return { runner, drift, probing, readModel, feed, wake, stopping: stopping.signal };
}
