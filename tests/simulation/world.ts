/** A simulated site: one cluster, one broker, one disk, and the processes of the service on it, one after the other. */
import { OWN_SOURCE } from "../../src/core/event.ts";
import { z } from "zod";
import type { Config } from "../../src/config/schema.ts";
import { Fault } from "../../src/core/fault.ts";
import type { PhaseSet } from "../../src/core/phase.ts";
import type { Action } from "../../src/core/step.ts";
import { LabCluster } from "../../src/drivers/lab/cluster.ts";
import { LabJudge, type Violation } from "../../src/drivers/lab/judge.ts";
import { LabOperator } from "../../src/drivers/lab/operator.ts";
import { DEFAULT_LAB_SETTINGS, type LabSettings } from "../../src/drivers/lab/settings.ts";
import { type Db, openDb } from "../../src/store/db.ts";
import { BrokerServer } from "./broker.ts";
import type { Disk } from "./disk.ts";
import type { Faults } from "./faults.ts";
import { type Process, startProcess } from "./process.ts";
import type { SeededRandom } from "../seeded_random.ts";
import { Timeline } from "./timeline.ts";

/** Serials of messages that no history has begin here. */
const RESUMED_SERIALS = 1_000_000;
/** Lines of the processes' logs that are kept for a report. */
const LOG_MAX = 4_000;
/** A pod that had a way out has its connections until it is gone. */
const AFTER_SABOTAGE_MS = 120_000;
/** How late policies are enforced while nobody does; longer than a gate tries. */
export const UNENFORCED_MS = 90_000;
/** systemd starts a service again after this long; a machine takes longer. */
const RESTART_MIN_MS = 100, RESTART_MAX_MS = 20_000;

const sourceRow = z.object({ source: z.string().nullable() });
const countRow = z.object({ what: z.string(), count: z.number() });
const stepRow = z.object({ target: z.string() });

/** What a site is made of. */
export interface WorldParts {
  random: SeededRandom;
  faults: Faults;
  config: Config;
  phases: PhaseSet;
  settings: Partial<LabSettings>;
}

/** The site. */
export class World {
  readonly timeline = new Timeline();
  readonly cluster: LabCluster;
  readonly operator: LabOperator;
  readonly judge: LabJudge;
  readonly broker: BrokerServer;
  readonly disk: Disk = { isFull: false };
  readonly parts: WorldParts;
  /** Permits whose deletion the service has accepted, so that their data may go. */
  readonly deleted = new Set<string>();
  /** Permit and uploads of which an operator has agreed to leave something out. */
  readonly accepted = new Set<string>();
  /** Actions that reached the platform without their rows (invariant 6). */
  readonly unrecorded: string[] = [];
  readonly log: string[] = [];
  readonly processes: Process[] = [];
  /** What went wrong with the simulation itself. */
  failure: unknown = null;
  readonly #sabotages: { permitId: string; fromMs: number; untilMs: number }[] = [];
  /** When the disk was full, in order. */
  readonly #full: { fromMs: number; untilMs: number }[] = [];
  #boots = 0;
  #resumed = 0;
  #isEnding = false;
  #reader: Db | null = null;

  constructor(parts: WorldParts) {
    this.parts = parts;
    const { phases } = parts;
    const isSensitive = (volume: string): boolean => phases.volumes.get(volume)?.sensitive === "always";
    this.cluster = new LabCluster({
      clock: this.timeline,
      settings: { ...DEFAULT_LAB_SETTINGS, ...parts.settings },
      isSensitive,
    });
    this.operator = new LabOperator(this.cluster);
    this.judge = new LabJudge(this.cluster, { mayDestroy: (permitId) => this.deleted.has(permitId) });
    this.broker = new BrokerServer(this.timeline, parts.faults);
  }

  /** The process that serves; undefined between a death and the next boot. */
  get serving(): Process | undefined {
    return this.processes.find(({ life }) => !life.isDead);
  }

  /** The inbox, jobs and audit as they are on the disk. */
  get store(): Db {
    if (this.#reader === null) throw new Error("Nothing was started yet");
    return this.#reader;
  }

  /** Starts the service, as often as it takes, and starts it again whenever it dies. */
  async start(): Promise<void> {
    while (!await this.#tryBoot()) await this.timeline.run(this.timeline.now() + RESTART_MIN_MS);
  }

  /** One start. Throws a Fault where the service ends at once. */
  async boot(isSecond = false): Promise<Process> {
    const { random, faults, config, phases } = this.parts;
    const bootEpoch = `boot-${++this.#boots}`;
    const process = await startProcess({
      bootEpoch,
      isSecond,
      timeline: this.timeline,
      random: random.fork(bootEpoch),
      faults,
      disk: this.disk,
      cluster: this.cluster,
      config,
      phases,
      beforeAction: (permitId, action) => this.#assertRecorded(permitId, action),
      brokerFor: (life) => this.broker.clientOf(life),
      write: (line) => this.#keep(line),
    });
    this.#reader ??= await openDb({ path: `${config.state.directory}/wps.db`, readOnly: true });
    this.processes.push(process);
    const again = (): void => void this.#restart(process, isSecond);
    if (process.life.isDead) again();
    else process.life.onDeath(again);
    return process;
  }

  /** How often each transition was seen: of permits, jobs, verdicts and steps. */
  readonly transitions: Record<string, number> = {};

  /**
   * Somebody opens a way out behind the service's back: what runs now has it at once, and nobody can be faster. What
   * the judge sees of that permit is theirs until the way is shut again and pods had time to go.
   */
  sabotage(permitId: string, act: () => void, undo: () => void, lastsMs: number): void {
    const fromMs = this.timeline.now();
    // Where nobody enforces policies for a while, what was taken back still stands on the node.
    const isLazy = this.parts.faults.kinds.includes("policy-never");
    const afterMs = AFTER_SABOTAGE_MS + (isLazy ? 2 * UNENFORCED_MS : 0);
    this.#sabotages.push({ permitId, fromMs, untilMs: fromMs + lastsMs + afterMs });
    act();
    this.timeline.at(lastsMs, undo);
  }

  /** An operator looks after a permit that the service itself has halted, and lets it go on. */
  async resumeBreached(permitId: string): Promise<void> {
    const [last] = await this.store.read(
      `select source from events where permit_id = ? and verdict = 'accepted'
       and type in ('permit.halted', 'permit.resumed') order by seq desc limit 1`,
      [permitId],
      sourceRow,
    );
    if (last?.source !== OWN_SOURCE) return;
    const id = `resumed-${++this.#resumed}`;
    const body = new TextEncoder().encode(JSON.stringify({ id, type: "permit.resumed", permitId, data: {} }));
    const serial = RESUMED_SERIALS + this.#resumed;
    this.broker.publish({ serial, routingKey: "permit.resumed", messageId: id, body });
  }

  /** An operator agrees to leave out what uploads hold beside files and folders. */
  async acceptUploads(permitId: string): Promise<void> {
    const { serving } = this;
    if (serving === undefined) return;
    const keys = await this.timeline.during(() => serving.acceptUploads(permitId));
    for (const key of keys) this.accepted.add(`${permitId} ${key}`);
  }

  /** What the judge saw and nobody else is to blame for. */
  violations(): Violation[] {
    return this.judge.violations().filter(({ permitId, atMs }) =>
      !this.#sabotages.some((sabotage) =>
        sabotage.permitId === permitId && atMs >= sabotage.fromMs && atMs <= this.#excusedUntilMs(sabotage)
      )
    );
  }

  /** Nothing is recorded on a full disk, and what is not recorded is not done (invariant 6): the halt comes with the space. */
  #excusedUntilMs({ fromMs, untilMs }: { fromMs: number; untilMs: number }): number {
    return this.#full.reduce(
      (end, full) =>
        full.fromMs <= end && full.untilMs >= fromMs ? Math.max(end, full.untilMs + AFTER_SABOTAGE_MS) : end,
      untilMs,
    );
  }

  /** No byte is left for so long. */
  fillDisk(lastsMs: number): void {
    const fromMs = this.timeline.now();
    this.disk.isFull = true;
    this.#full.push({ fromMs, untilMs: fromMs + lastsMs });
    this.timeline.at(lastsMs, () => this.disk.isFull = false);
  }

  /** Counts the jobs, verdicts and steps that there are. */
  async note(): Promise<void> {
    const rows = await this.store.read(
      `select 'job ' || kind || ' ' || state as what, count(*) as count from jobs group by 1
       union all select 'verdict ' || verdict, count(*) from events group by 1
       union all select 'step ' || kind || ' ' || outcome, count(*) from steps group by 1`,
      [],
      countRow,
    );
    for (const { what, count } of rows) this.transitions[what] = Math.max(this.transitions[what] ?? 0, count);
  }

  /** Ends everything in good order. */
  async end(): Promise<void> {
    this.#isEnding = true;
    const stopping = Promise.all(this.processes.filter(({ life }) => life.isAlive).map((one) => one.stop()));
    let isStopped = false;
    stopping.then(() => isStopped = true, (thrown) => {
      this.failure ??= thrown;
      isStopped = true;
    });
    await this.timeline.run(this.timeline.now() + STOP_MAX_MS, () => isStopped);
    if (!isStopped) this.failure ??= new Error("the service did not stop");
    this.judge.close();
    await this.#reader?.close();
  }

  /** A second service is nobody's to start again. */
  async #restart(died: Process, wasSecond: boolean): Promise<void> {
    this.#keep(`${died.bootEpoch} is dead\n`);
    try {
      await died.release();
      const random = this.parts.random.fork(died.bootEpoch);
      for (let isUp = wasSecond; !isUp && !this.#isEnding;) {
        await this.timeline.sleep(random.between(RESTART_MIN_MS, RESTART_MAX_MS));
        if (!this.#isEnding) isUp = await this.#tryBoot();
      }
    } catch (thrown) {
      this.failure ??= thrown;
    }
  }

  /** False: it ended again at once, as a service does whose disk is full. */
  async #tryBoot(): Promise<boolean> {
    try {
      await this.timeline.during(() => this.boot());
      return true;
    } catch (thrown) {
      if (thrown instanceof Fault) {
        this.#keep(`the service did not start: ${thrown.message}\n`);
        return false;
      }
      throw thrown;
    }
  }

  #keep(line: string): void {
    this.log.push(line);
    if (this.log.length > LOG_MAX) this.log.splice(0, LOG_MAX / 2);
  }

  /** Invariant 6: no audit row, no action. Looked up on the disk at the moment that the request leaves. */
  async #assertRecorded(permitId: string, action: Action): Promise<void> {
    const rows = await this.store.read(
      `select steps.target as target from steps join jobs on jobs.id = steps.job_id
       join audit on audit.job_id = jobs.id and audit.target = steps.target
         and audit.action = 'step.' || steps.kind and audit.outcome = 'intended'
       where jobs.permit_id = ? and steps.kind = ? and steps.outcome = 'running' limit 1`,
      [permitId, action.kind],
      stepRow,
    );
    if (rows.length === 0) this.unrecorded.push(`${action.kind} of ${permitId}`);
  }
}

/** A service that is asked to stop does so within this time. */
const STOP_MAX_MS = 600_000;
