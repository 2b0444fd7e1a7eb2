/** A simulated site: one cluster, one broker, one disk, and the processes of the service on it, one after the other. */
import { OWN_SOURCE } from "../../src/core/event.ts";
import { z } from "zod";
import type { Config } from "../../src/config/schema.ts";
import { Fault } from "../../src/core/fault.ts";
import type { PhaseSet } from "../../src/core/phase.ts";
import type { Action } from "../../src/core/step.ts";
import { LabCluster } from "../../src/drivers/lab/cluster.ts";
import { LabJudge } from "../../src/drivers/lab/judge.ts";
import { LabOperator } from "../../src/drivers/lab/operator.ts";
import { DEFAULT_LAB_SETTINGS, type LabSettings } from "../../src/drivers/lab/settings.ts";
import { type Db, openDb } from "../../src/store/db.ts";
import { BrokerServer } from "./broker.ts";
import type { Disk } from "./disk.ts";
import type { Faults } from "./faults.ts";
import { Hindrance } from "./hindrance.ts";
import { Dead } from "./life.ts";
import { type Process, startProcess } from "./process.ts";
import type { SeededRandom } from "../seeded_random.ts";
import { Timeline } from "./timeline.ts";
import { Vigilance } from "./vigilance.ts";
import { type Broken, Witness } from "./witness.ts";

/** Serials of messages that no history has begin here. */
const RESUMED_SERIALS = 1_000_000;
/** Lines of the processes' logs that are kept for a report. */
const LOG_MAX = 4_000;
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
  readonly witness: Witness;
  readonly hindrance = new Hindrance();
  readonly vigilance: Vigilance;
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
  /** Permits in which somebody keeps a way open: nobody resumes them meanwhile. */
  readonly sabotaged = new Map<string, number>();
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
    this.witness = new Witness(this.cluster, (permitId) => this.deleted.has(permitId));
    this.vigilance = new Vigilance({
      timeline: this.timeline,
      cluster: this.cluster,
      witness: this.witness,
      hindrance: this.hindrance,
      store: () => this.store,
      isAble: () => this.serving?.life.isAlive === true && !this.disk.isFull,
    });
    parts.faults.told = (kind) => this.hindrance.struck(kind, this.timeline.now());
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
    this.vigilance.begin();
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
      learning: this.vigilance,
      brokerFor: (life) => this.broker.clientOf(life),
      write: (line) => this.#keep(line),
    });
    this.#reader ??= await openDb({ path: `${config.state.directory}/wps.db`, readOnly: true });
    this.processes.push(process);
    this.hindrance.until(this.timeline.now());
    const again = (): void => void this.#restart(process, isSecond);
    if (process.life.isDead) again();
    else process.life.onDeath(again);
    return process;
  }

  /** How often each transition was seen: of permits, jobs, verdicts and steps. */
  readonly transitions: Record<string, number> = {};

  /** An operator looks after a permit that the service itself has halted, and lets it go on. */
  async resumeBreached(permitId: string): Promise<void> {
    if ((this.sabotaged.get(permitId) ?? 0) > 0) return;
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

  /** What the witness saw and nobody else is to blame for, and what the lab's own judge alone saw. */
  violations(): Pick<Broken, "invariant" | "permitId" | "text" | "fromMs">[] {
    const alone = this.judge.violations().filter(({ invariant, target, atMs }) => {
      const uid = target.match(/\(([^()]+)\)$/)?.[1] ?? "";
      return !this.witness.saw(invariant, uid, atMs);
    });
    return [
      ...this.witness.found.filter(({ isExcused }) => !isExcused),
      ...alone.map(({ invariant, permitId, target, message, atMs }) => ({
        invariant,
        permitId,
        text: `${target} ${message}`,
        fromMs: atMs,
      })),
    ];
  }

  /** An operator cancels what is being done for a permit, where that is a person's to cancel. */
  async cancel(permitId: string): Promise<void> {
    await this.serving?.cancel(permitId).catch(ignoreFault);
  }

  /** An operator takes up again what was cancelled, if it is still the permit's last wish. */
  async retry(permitId: string): Promise<void> {
    await this.serving?.retryCancelled(permitId).catch(ignoreFault);
  }

  /** No byte is left for so long. */
  fillDisk(lastsMs: number): void {
    this.disk.isFull = true;
    this.timeline.at(lastsMs, () => {
      this.disk.isFull = false;
      this.hindrance.until(this.timeline.now());
    });
  }

  /** Counts the jobs, verdicts, events, steps and turns from one status to another that there are. */
  async note(): Promise<void> {
    const rows = await this.store.read(
      `select 'job ' || kind || ' ' || state as what, count(*) as count from jobs group by 1
       union all select 'verdict ' || verdict, count(*) from events group by 1
       union all select 'event ' || type, count(*) from events where verdict = 'accepted' group by 1
       union all select 'permit expired', count(*) from audit where action = 'permit.expired' having count(*) > 0
       union all select 'second ingress', count(*) from permits where ingress_batch > 1 having count(*) > 0
       union all select 'step ' || kind || ' ' || outcome, count(*) from steps group by 1
       union all select 'phase ' || earlier || ' > ' || status, 1 from (
         select status, lag(status) over (partition by permit_id order by seq) as earlier from (
           select permit_id, seq, coalesce(body ->> '$.data.status', body ->> '$.status') as status from (
             select permit_id, seq, cast(body as text) as body from events where verdict = 'accepted'))
         where status is not null) where earlier is not null group by 1`,
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
    this.vigilance.end();
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

/** The operator is told, and may try again. */
function ignoreFault(thrown: unknown): void {
  if (!(thrown instanceof Fault) && !(thrown instanceof Dead)) throw thrown;
}

/** A service that is asked to stop does so within this time. */
const STOP_MAX_MS = 600_000;
