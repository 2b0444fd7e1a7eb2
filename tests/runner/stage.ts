/** Runner, drift pass and intake over a real store and the lab, on a clock that moves by itself. */
import assert from "node:assert/strict";
import { z } from "zod";
import type { Job, StepRecord } from "../../src/core/job.ts";
import { permitName, workspaceName } from "../../src/core/names.ts";
import type { Permit, VolumeRecord } from "../../src/core/permit.ts";
import { LabCluster } from "../../src/drivers/lab/cluster.ts";
import { LabDriver } from "../../src/drivers/lab/driver.ts";
import { LabInside } from "../../src/drivers/lab/inside.ts";
import { LabJudge, type Violation } from "../../src/drivers/lab/judge.ts";
import { LabOperator } from "../../src/drivers/lab/operator.ts";
import type { Interfere } from "../../src/drivers/lab/request.ts";
import { DEFAULT_LAB_SETTINGS, type LabSettings } from "../../src/drivers/lab/settings.ts";
import { type PermitSnapshot, snapshotOf } from "../../src/drivers/lab/snapshot.ts";
import { acceptBatch } from "../../src/intake/accept.ts";
import type { Receipt } from "../../src/intake/delivery.ts";
import { createLog, type Log } from "../../src/log.ts";
import { type Bell, CLAIM_LOOP, createBell } from "../../src/runner/bell.ts";
import { type Drift, startDrift } from "../../src/runner/drift.ts";
import { type Expiry, startExpiry } from "../../src/runner/expiry.ts";
import { type Runner, type RunnerLimits, startRunner } from "../../src/runner/runner.ts";
import { createVault } from "../../src/runner/vault.ts";
import type { Db } from "../../src/store/db.ts";
import { getJob, latestJob } from "../../src/store/jobs.ts";
import { openStore } from "../../src/store/open.ts";
import { getPermit } from "../../src/store/permits.ts";
import { signerFromSeed } from "../../src/store/site_key.ts";
import { createSealer, loadSealKey } from "../../src/store/seal.ts";
import { readSnapshot, type Snapshot } from "../../src/store/snapshot.ts";
import { stepsOf } from "../../src/store/steps.ts";
import { listVolumes } from "../../src/store/volumes.ts";
import { builtInPhases, MEMBERS, SITE } from "../core/plan_fixture.ts";
import { FakeClock } from "../fake_clock.ts";
import { SeededRandom } from "../seeded_random.ts";
import { delivery } from "../intake/fixture.ts";
import { StagedDriver } from "./staged_driver.ts";

const phases = await builtInPhases();
const MINUTE_MS = 60_000;

/** The site's key of all stages. */
export const SIGNER = signerFromSeed(new Uint8Array(32).fill(7));

/** The permit of most tests. */
export const PERMIT = "permit-001";
/** Deadlines that differ from each other, so that a test sees which one counted. */
export const WAITS = {
  cutMs: 2 * MINUTE_MS,
  goneMs: 10 * MINUTE_MS,
  readyMs: 11 * MINUTE_MS,
  canariesMs: 13 * MINUTE_MS,
  consolidatedMs: 24 * 60 * MINUTE_MS,
  volumeMs: 12 * MINUTE_MS,
  membersMs: 30 * 24 * 60 * MINUTE_MS,
};
/** Longest simulated time that {@link Stage.until} lets pass. */
const LIMIT_MS = 60 * MINUTE_MS;

/** What a test may set. */
export interface StageOptions {
  settings?: Partial<LabSettings>;
  limits?: Partial<RunnerLimits>;
  interfere?: Interfere;
  driftMs?: number;
  /** Starts no drift pass; absent: it runs. */
  withoutDrift?: boolean;
  /** Put between the runner and its database. */
  wrap?: (db: Db) => Db;
}

/** The parts, and what a test does to them. */
export interface Stage {
  clock: FakeClock;
  db: Db;
  bell: Bell;
  cluster: LabCluster;
  operator: LabOperator;
  inside: LabInside;
  driver: StagedDriver;
  readonly runner: Runner;
  readonly drift: Drift | null;
  /** Lines of the log. */
  log: string[];
  /** Sends an event of a permit and expects that it is accepted. */
  send(type: string, data?: Record<string, unknown>, permitId?: string): Promise<Receipt & { jobId: number }>;
  /** Sends a status, with everybody named. */
  status(status: string, permitId?: string): Promise<Receipt & { jobId: number }>;
  /** Lets time pass until `holds` gives a value. */
  until<T>(
    what: string,
    holds: () => Promise<T | null | undefined | false> | T | null | undefined | false,
    limitMs?: number,
  ): Promise<T>;
  /** Lets time pass until the job is in that state. */
  job(id: number, state: Job["state"], limitMs?: number): Promise<Job>;
  /** Lets time pass until an attempt of the job has failed and it is queued again. */
  retry(id: number, limitMs?: number): Promise<Job>;
  /** Lets time pass until the permit's newest job is in that state. */
  latest(state: Job["state"], permitId?: string, limitMs?: number): Promise<Job>;
  steps(jobId: number): Promise<StepRecord[]>;
  snapshot(permitId?: string): Promise<Snapshot>;
  permit(permitId?: string): Promise<Permit>;
  volumes(permitId?: string): Promise<VolumeRecord[]>;
  /** The truth of the cluster. */
  truth(permitId?: string): PermitSnapshot;
  /** How many connection passwords are kept. */
  passwords(): Promise<number>;
  /** Scales a workspace to one, as a person with kubectl would. */
  scaleUp(workspaceKey: string, permitId?: string): void;
  violations(): Violation[];
  /** Violations so far were a person's doing, and what the test is about. */
  forgive(): void;
  /** Wakes the runner, as the API does after an order. */
  wake(permitId?: string): void;
  /** Stops runner and drift pass and starts them anew, as the next boot. */
  restart(): Promise<void>;
  /** Does something while nothing of the service runs, then boots anew. */
  halted(meanwhile: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

/** Runs `test` on a stage of its own and takes everything down; no invariant may have been broken meanwhile. */
export async function withStage(
  test: (stage: Stage) => Promise<void>,
  options: StageOptions = {},
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "wps-runner-" });
  const clock = new FakeClock({ auto: true });
  const store = await openStore({ directory, nowMs: clock.now(), durable: false });
  const stage = await build(store.db, clock, directory, options);
  try {
    await test(stage);
    assert.deepEqual(stage.violations(), [], "no invariant was broken at any instant");
  } finally {
    await stage.stop();
    clock.stop();
    await store.close();
    await Deno.remove(directory, { recursive: true });
  }
}

async function build(store: Db, clock: FakeClock, directory: string, options: StageOptions): Promise<Stage> {
  const db = options.wrap?.(store) ?? store;
  const random = new SeededRandom(1);
  const bell = createBell(clock);
  const isSensitive = (volume: string): boolean => phases.volumes.get(volume)?.sensitive === "always";
  const settings = { ...DEFAULT_LAB_SETTINGS, ...options.settings };
  const cluster = new LabCluster({ clock, settings, isSensitive });
  const deleted = new Set<string>();
  const judge = new LabJudge(cluster, { mayDestroy: (permitId) => deleted.has(permitId) });
  const lab = new LabDriver({
    cluster,
    clock,
    ...(options.interfere === undefined ? {} : { interfere: options.interfere }),
  });
  const driver = new StagedDriver(lab, clock);
  const lines: string[] = [];
  const log: Log = createLog({
    level: "debug",
    format: "text",
    clock,
    write: (line) => void lines.push(line),
  });
  const vault = createVault(db, createSealer(await loadSealKey(directory, random), random), random, clock);
  const parts: { runner: Runner; drift: Drift | null; expiry: Expiry; stop(): Promise<void> }[] = [];
  let boots = 0;
  let forgiven = 0;

  async function boot(): Promise<void> {
    const bootEpoch = `boot-${++boots}`;
    const site = { ...SITE, waits: WAITS };
    const alarm = async (permitId: string): Promise<void> => {
      await stage.send("permit.halted", {}, permitId);
    };
    const common = {
      db,
      driver,
      clock,
      random,
      phases,
      site,
      bell,
      log,
      bootEpoch,
      alarm,
      changed: () => {},
    };
    const expiry = await startExpiry({ ...common, warnDays: [30, 7, 1] });
    const drift = options.withoutDrift === true
      ? null
      : startDrift({ ...common, intervalMs: options.driftMs ?? 10 * MINUTE_MS });
    const limits = {
      parallelPermits: 8,
      urgentPermits: 4,
      attemptMax: 4,
      backoffMs: 2_000,
      backoffMaxMs: 300_000,
      rereadMs: 5_000,
      ...options.limits,
    };
    const runner = await startRunner({
      ...common,
      signer: SIGNER,
      vault,
      limits,
      taken: (id) => drift?.followUp(id),
    });
    const stopping = new AbortController();
    const watching = driver.watch((permitId, whose) => {
      bell.ring(permitId);
      drift?.notice(permitId, whose);
    }, stopping.signal);
    const stop = async (): Promise<void> => {
      stopping.abort();
      await watching;
      await runner.stop();
      await expiry.stop();
      await drift?.stop();
    };
    parts.push({ runner, drift, expiry, stop });
  }

  await boot();
  const last = (): (typeof parts)[number] => parts.at(-1) ?? assert.fail("nothing was started");
  const wake = (permitId = PERMIT): void => {
    bell.ring(permitId);
    bell.ring(CLAIM_LOOP);
    last().expiry.wake();
  };
  const stage: Stage = {
    clock,
    db: store,
    bell,
    cluster,
    operator: new LabOperator(cluster),
    inside: new LabInside(cluster),
    driver,
    get runner() {
      return last().runner;
    },
    get drift() {
      return last().drift;
    },
    log: lines,
    async send(type, data = {}, permitId = PERMIT): Promise<Receipt & { jobId: number }> {
      const body = { id: `evt-${lines.length}-${random.next()}`, type, permitId, data };
      const rules = { phases, tiers: new Set(["standard"]), uidRange: [30_000, 39_999] as const };
      const [receipt] = await store.write((tx) => acceptBatch(tx, [delivery(body)], rules, clock.now()));
      assert.equal(receipt?.verdict, "accepted", JSON.stringify(receipt));
      assert.ok(receipt.jobId !== null);
      if (type === "permit.deleted") deleted.add(permitId);
      wake(permitId);
      return { ...receipt, jobId: receipt.jobId };
    },
    status: (status, permitId = PERMIT) =>
      stage.send("permit.status.updated", { status, ...MEMBERS }, permitId),
    async until<T>(
      what: string,
      holds: () => Promise<T | null | undefined | false> | T | null | undefined | false,
      limitMs = LIMIT_MS,
    ): Promise<T> {
      const endMs = clock.now() + limitMs;
      for (let pauseMs = 2;; pauseMs = Math.min(2 * pauseMs, 1_000)) {
        const value = await holds();
        if (value !== null && value !== undefined && value !== false) return value;
        if (clock.now() > endMs) {
          assert.fail(`not within ${limitMs} ms: ${what}\n${lines.slice(-30).join("")}`);
        }
        await clock.sleep(pauseMs);
      }
    },
    job: (id, state, limitMs) =>
      stage.until(`job ${id} is ${state}`, async () => {
        const job = await getJob(db, id);
        return job?.state === state && job;
      }, limitMs),
    retry: (id, limitMs) =>
      stage.until(`job ${id} is to be tried again`, async () => {
        const job = await getJob(db, id);
        return job?.state === "queued" && job.attempt > 0 && job;
      }, limitMs),
    latest: (state, permitId = PERMIT, limitMs) =>
      stage.until(`the newest job of ${permitId} is ${state}`, async () => {
        const job = await latestJob(db, permitId);
        return job?.state === state && job;
      }, limitMs),
    steps: (jobId) => stepsOf(db, jobId),
    async snapshot(permitId = PERMIT): Promise<Snapshot> {
      const site = { ...SITE, waits: WAITS };
      return await readSnapshot({ db, phases, site, clock }, permitId) ??
        assert.fail(`no permit ${permitId}`);
    },
    permit: async (permitId = PERMIT) =>
      await getPermit(db, permitId) ?? assert.fail(`no permit ${permitId}`),
    volumes: (permitId = PERMIT) => listVolumes(db, permitId),
    truth: (permitId = PERMIT) => snapshotOf(cluster, permitId),
    async passwords(): Promise<number> {
      const sql = "select count(*) as kept from secrets where kind = 'password'";
      const [row] = await store.read(sql, [], z.object({ kept: z.number() }));
      return row?.kept ?? 0;
    },
    scaleUp: (workspaceKey, permitId = PERMIT) =>
      cluster.write(permitName(permitId), (world) => {
        const compute = world.state.scopes[permitName(permitId)]?.computes[workspaceName(workspaceKey)];
        assert.ok(compute !== undefined, workspaceKey);
        compute.replicas = 1;
        world.bump(compute);
      }),
    violations: () => judge.violations().slice(forgiven),
    forgive: () => void (forgiven = judge.violations().length),
    wake,
    async restart(): Promise<void> {
      await last().stop();
      await boot();
    },
    async halted(meanwhile): Promise<void> {
      await last().stop();
      await meanwhile();
      await boot();
    },
    async stop(): Promise<void> {
      driver.open();
      for (const part of parts) await part.stop();
      judge.close();
      await lab.close();
    },
  };
  return stage;
}
