/**
 * What the service owes a permit in which data has a way out, or which is halted: to notice, to halt, to cut, each within
 * a time that follows from its own bounds. DESIGN 6 and 8.
 */
import { z } from "zod";
import type { LabCluster } from "../../src/drivers/lab/cluster.ts";
import type { LabScope } from "../../src/drivers/lab/objects.ts";
import type { Db } from "../../src/store/db.ts";
import type { Bound, Hindrance } from "./hindrance.ts";
import type { Life } from "./life.ts";
import type { Timeline } from "./timeline.ts";
import type { Witness } from "./witness.ts";

/** How often it is looked at. */
const CHECK_MS = 5_000;
/** From a breach that an answer of the platform showed to its halt: the alarm tries to record it each second. */
const RECORD: Bound = { quickMs: 10_000, slowMs: 60_000 };
/**
 * From a policy that exposes data to the halt, where the platform's watch told a process of it that still lives: 30 s
 * between two looks, 2 s before one, 40 s for a job at work to look again (its waits look every 5 s). After looks that
 * failed the next one comes within 30 s, and takes its time.
 */
const NOTICE: Bound = { quickMs: 80_000, slowMs: 80_000 + 40_000 };
/** Where none that lives was told: two drift passes of ten minutes, a tenth longer each, and a minute. */
const PASS_MS = 2 * 660_000 + 60_000;
const PASS: Bound = { quickMs: PASS_MS, slowMs: PASS_MS };
/** From a hole that no object shows to the halt: a probe each 15 minutes, a tenth longer, after one that showed nothing. */
const PROBE: Bound = { quickMs: 990_000 + 300_000, slowMs: 2 * 990_000 + 300_000 };
/** From a halt to its last pod gone, beside what the pods themselves take: an observation, two stretches, a wait's look. */
const CUT_QUICK_MS = 20_000;
/** A halt that failed is tried again after five minutes at most, and that may fail once more. */
const CUT_SLOW_MS = 2 * 300_000 + 60_000;

const permitRow = z.object({
  permitId: z.string(),
  halted: z.number(),
  deletion: z.string(),
  haltSeq: z.number(),
});
type PermitRow = z.output<typeof permitRow>;

/** What it looks at. */
export interface VigilanceParts {
  timeline: Timeline;
  cluster: LabCluster;
  witness: Witness;
  hindrance: Hindrance;
  store(): Db;
  /** Whether a service serves and its disk takes writes. */
  isAble(): boolean;
}

/** Something owed since an instant. */
interface Debt {
  sinceMs: number;
  /** It was complained about. */
  isTold: boolean;
}

/** The service's debts in one run. */
export class Vigilance {
  /** What it owed and did not do in time. */
  readonly failures: string[] = [];
  readonly #parts: VigilanceParts;
  readonly #seen: { permitId: string; seq: number; sinceMs: number; what: string; life: Life }[] = [];
  /** By permit: when a living process was told of what is not WPS's. */
  readonly #told = new Map<string, { atMs: number; life: Life }>();
  readonly #standing = new Map<string, Debt>();
  readonly #leaking = new Map<string, Debt>();
  readonly #halted = new Map<string, Debt>();
  #isOver = false;

  constructor(parts: VigilanceParts) {
    this.#parts = parts;
  }

  /** Looks from now on until {@link end}. */
  begin(): void {
    const { timeline } = this.#parts;
    const tick = async (): Promise<void> => {
      if (this.#isOver) return;
      await this.#check().catch((thrown) => this.failures.push(`the simulation broke off: ${thrown}`));
      timeline.at(CHECK_MS, () => void tick());
    };
    timeline.at(CHECK_MS, () => void tick());
  }

  /** Nothing is owed any more. */
  end(): void {
    this.#isOver = true;
  }

  /** An answer of the platform shows a process that lives that a permit's network is open where it must not be. */
  async sees(permitId: string, what: string, life: Life): Promise<void> {
    const row = (await this.#rows()).find((permit) => permit.permitId === permitId);
    if (row === undefined || isHeld(row) || this.#seen.some((debt) => debt.permitId === permitId)) return;
    const sinceMs = this.#parts.timeline.now();
    this.#seen.push({ permitId, seq: row.haltSeq, sinceMs, what, life });
  }

  /** The objects as a process that lives was given them let data out: the driver had to tell, too. */
  async shows(permitId: string, atMs: number, life: Life): Promise<void> {
    // What changed since then was not in the answer.
    const [name] = life.isAlive ? this.#parts.witness.letOut(permitId, atMs) : [];
    if (name !== undefined) await this.sees(permitId, `that no policy holds back pod ${name}`, life);
  }

  /** The platform's watch told a process of something that is not WPS's. */
  tells(permitId: string, life: Life): void {
    if (life.isAlive) this.#told.set(permitId, { atMs: this.#parts.timeline.now(), life });
  }

  async #check(): Promise<void> {
    const { timeline, hindrance, isAble, cluster } = this.#parts;
    const nowMs = timeline.now();
    if (!isAble()) hindrance.until(nowMs);
    const rows = await this.#rows();
    this.#checkSeen(rows, nowMs);
    const scopes = cluster.read(({ state }) => Object.values(state.scopes));
    for (const row of rows) {
      const scope = scopes.find(({ permitId }) => permitId === row.permitId);
      this.#checkStanding(row, nowMs);
      this.#checkLeak(row, scope, nowMs);
      this.#checkHalted(row, scope, nowMs);
    }
  }

  #checkSeen(rows: PermitRow[], nowMs: number): void {
    for (const debt of [...this.#seen]) {
      const row = rows.find(({ permitId }) => permitId === debt.permitId);
      const isPaid = row === undefined || isHeld(row) || row.haltSeq > debt.seq || debt.life.isDead;
      const late = isPaid ? null : this.#parts.hindrance.late(debt.sinceMs, nowMs, RECORD);
      if (late !== null) {
        this.failures.push(`no halt: ${debt.permitId}: ${debt.what} was seen, and ${late} it is not halted`);
      }
      if (isPaid || late !== null) this.#seen.splice(this.#seen.indexOf(debt), 1);
    }
  }

  /** A policy stands that lets data out, or what shut it in is gone. */
  #checkStanding(row: PermitRow, nowMs: number): void {
    const { permitId } = row;
    const { witness } = this.#parts;
    const open = new Set(witness.letOut(permitId, nowMs));
    const exposed = witness.exposed(permitId).filter(({ name }) => open.has(name));
    const owes = exposed.length > 0 && !isHeld(row);
    const debt = this.#owe(this.#standing, permitId, owes, nowMs);
    if (debt === null) return;
    const told = this.#told.get(permitId);
    const isTold = told !== undefined && told.atMs >= debt.sinceMs - CHECK_MS && !told.life.isDead;
    this.#complain(
      debt,
      nowMs,
      isTold ? NOTICE : PASS,
      (late) =>
        `no halt: ${permitId}: a policy lets out ${
          exposed[0]?.name
        }, which has data, and ${late} it is not halted`,
    );
  }

  /** A node lets data out, and no object shows it: only a probe can. */
  #checkLeak(row: PermitRow, scope: LabScope | undefined, nowMs: number): void {
    const { permitId } = row;
    const isOpen = scope !== undefined && Object.keys(scope.enforced).length === 0;
    const probed = this.#parts.witness.exposed(permitId).filter(({ isProbed }) => isProbed);
    const debt = this.#owe(this.#leaking, permitId, isOpen && probed.length > 0 && !isHeld(row), nowMs);
    if (debt === null) return;
    this.#complain(
      debt,
      nowMs,
      PROBE,
      (late) =>
        `no halt: ${permitId}: no rule holds back ${probed[0]?.name}, and ${late} no probe has told of it`,
    );
  }

  #checkHalted(row: PermitRow, scope: LabScope | undefined, nowMs: number): void {
    const { cluster, hindrance } = this.#parts;
    const { permitId } = row;
    const pods = Object.values(scope?.pods ?? {}).filter(({ phase, owned }) => phase === "running" && owned);
    const lost = cluster.read(({ state }) => state.nodes.filter(({ lostAtMs }) => lostAtMs !== null));
    if (lost.some(({ name }) => pods.some(({ node }) => node === name))) hindrance.until(nowMs);
    const debt = this.#owe(this.#halted, permitId, row.halted === 1 && pods.length > 0, nowMs);
    if (debt === null) return;
    const { stopMs, syncMs, latencyMs } = cluster.settings;
    const podsMs = stopMs + syncMs + 20 * latencyMs;
    const bound = { quickMs: podsMs + CUT_QUICK_MS, slowMs: podsMs + CUT_SLOW_MS };
    this.#complain(
      debt,
      nowMs,
      bound,
      (late) => `not cut: ${permitId} is halted, and ${late} pod ${pods[0]?.name} runs`,
    );
  }

  /** The debt, if there is one and nobody was told of it yet. */
  #owe(debts: Map<string, Debt>, permitId: string, owes: boolean, nowMs: number): Debt | null {
    if (!owes) {
      debts.delete(permitId);
      return null;
    }
    const debt = debts.get(permitId) ?? { sinceMs: nowMs, isTold: false };
    debts.set(permitId, debt);
    return debt.isTold ? null : debt;
  }

  #complain(debt: Debt, nowMs: number, bound: Bound, say: (late: string) => string): void {
    const late = this.#parts.hindrance.late(debt.sinceMs, nowMs, bound);
    if (late === null) return;
    debt.isTold = true;
    this.failures.push(say(late));
  }

  #rows(): Promise<PermitRow[]> {
    return this.#parts.store().read(
      `select permit_id as permitId, halted, deletion, coalesce((select max(seq) from events
         where events.permit_id = permits.permit_id and type = 'permit.halted' and verdict = 'accepted'), 0) as haltSeq
       from permits`,
      [],
      permitRow,
    );
  }
}

/** Nothing more is owed: it is halted already, or its deletion takes everything. */
function isHeld({ halted, deletion }: PermitRow): boolean {
  return halted === 1 || deletion !== "none";
}
