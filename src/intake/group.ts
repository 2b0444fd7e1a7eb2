/**
 * Groups whatever comes in while a commit runs into the next one: one durable transaction for many deliveries, and no
 * artificial delay for one (DESIGN 3). Every way in goes through here, in the order of arrival.
 */
import type { Clock } from "../core/clock.ts";
import { Fault, toFault } from "../core/fault.ts";
import type { Log } from "../log.ts";
import type { Db } from "../store/db.ts";
import { markAcked, markAllAcked } from "../store/events.ts";
import { acceptBatch, type AcceptRules } from "./accept.ts";
import type { Delivery, Receipt } from "./delivery.ts";
import { tellVerdict } from "./verdict_line.ts";

/** A receipt, or why nothing of this delivery was kept. */
export type Outcome = { receipt: Receipt } | { fault: Fault };

/** The one door to the inbox. */
export interface Intake {
  /** Records deliveries in their order, as soon as possible. Never rejects: each has an outcome, in the same order. */
  submit(deliveries: readonly Delivery[]): Promise<Outcome[]>;
  /** Notes with the next commit that the broker has the acknowledgements of these events. */
  noteAcked(seqs: readonly number[]): void;
  /** The same of all without an id up to `seq`. */
  noteAllAcked(seq: number): void;
  /** Resolves once everything submitted and noted so far is settled. */
  drain(): Promise<void>;
}

/** What an intake works with. */
export interface IntakeDeps {
  db: Db;
  rules: AcceptRules;
  clock: Clock;
  /** Gets a line per recorded event, after its commit. */
  log: Log;
  /** Called after a commit with the permits whose wish may have changed; must not throw. */
  onAccepted(permitIds: string[]): void;
}

/** 128 events are about 40 ms of a commit during which nothing else runs (libSQL is synchronous). */
const GROUP_COUNT_MAX = 128;
/** Bodies of one transaction; one larger delivery makes a group of its own. */
const GROUP_BYTES_MAX = 8 * 1024 * 1024;
/** Beyond, callers are refused: the disk cannot keep up. */
const QUEUE_MAX = 10_000;

interface Waiting {
  delivery: Delivery;
  settle(outcome: Outcome): void;
}

/**
 * Whether the store as a whole is in the way, so that every delivery would fail alike: away, forbidden, or damaged
 * (a stalled `internal` fault). Messages then wait for a person instead of filling the dead letters.
 */
export function isStoreFault({ reason, disposition }: Fault): boolean {
  return reason === "unavailable" || reason === "denied" ||
    (reason === "internal" && disposition === "stalled");
}

/** Opens the door. There must be one per database. */
export function createIntake(deps: IntakeDeps): Intake {
  return new GroupingIntake(deps);
}

class GroupingIntake implements Intake {
  readonly #deps: IntakeDeps;
  readonly #queue: Waiting[] = [];
  #acked: number[] = [];
  #allAcked = 0;
  /** How many at the head of the queue are to be committed one by one. */
  #alone = 0;
  #running: Promise<void> | null = null;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  submit(deliveries: readonly Delivery[]): Promise<Outcome[]> {
    const outcomes = deliveries.map((delivery) => {
      if (this.#queue.length >= QUEUE_MAX) return Promise.resolve({ fault: overloaded() });
      return new Promise<Outcome>((settle) => this.#queue.push({ delivery, settle }));
    });
    this.#wake();
    return Promise.all(outcomes);
  }

  noteAcked(seqs: readonly number[]): void {
    this.#acked.push(...seqs);
    if (seqs.length > 0) this.#wake();
  }

  noteAllAcked(seq: number): void {
    this.#allAcked = Math.max(this.#allAcked, seq);
    if (seq > 0) this.#wake();
  }

  async drain(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  #wake(): void {
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // A microtask later: whoever hands over many deliveries at once has done so by then.
    await Promise.resolve();
    while (this.#queue.length > 0 || this.#acked.length > 0 || this.#allAcked > 0) {
      await this.#commit(this.#takeGroup());
    }
    // In the same turn as the last look at the queue: whoever comes now starts anew.
    this.#running = null;
  }

  #takeGroup(): Waiting[] {
    if (this.#alone > 0) {
      this.#alone--;
      return this.#queue.splice(0, 1);
    }
    let bytes = 0;
    const end = this.#queue.findIndex(({ delivery }, index) => {
      bytes += delivery.raw.body.byteLength;
      return index > 0 && (index >= GROUP_COUNT_MAX || bytes > GROUP_BYTES_MAX);
    });
    return this.#queue.splice(0, end < 0 ? this.#queue.length : end);
  }

  /** Never throws. A group that fails for one of its members' sake is repeated one by one. */
  async #commit(group: Waiting[]): Promise<void> {
    const acked = this.#acked.splice(0);
    const allAcked = this.#allAcked;
    this.#allAcked = 0;
    const { clock } = this.#deps;
    try {
      const receipts = await this.#deps.db.write(async (tx) => {
        const nowMs = clock.now();
        if (allAcked > 0) await markAllAcked(tx, allAcked, nowMs);
        await markAcked(tx, acked, nowMs);
        return await acceptBatch(tx, group.map(({ delivery }) => delivery), this.#deps.rules, nowMs);
      });
      this.#announce(group, receipts);
    } catch (thrown) {
      const fault = toFault(thrown);
      if (isStoreFault(fault)) return this.#refuse(group, fault);
      if (group.length <= 1) return group[0]?.settle({ fault });
      this.noteAcked(acked);
      this.noteAllAcked(allAcked);
      // At the head of the queue again, one at a time: should the store go away meanwhile, the rest fails with it.
      this.#queue.unshift(...group);
      this.#alone = group.length;
    }
  }

  /**
   * Those behind fail too, so that whoever tries again keeps the order. The notes of the failed commit are lost, which
   * is safe: a row may absorb one redelivery too many until a later session has lasted.
   */
  #refuse(group: Waiting[], fault: Fault): void {
    this.#alone = 0;
    for (const { settle } of [...group, ...this.#queue.splice(0)]) settle({ fault });
  }

  #announce(group: Waiting[], receipts: Receipt[]): void {
    const accepted = receipts.filter(({ verdict }) => verdict === "accepted").map(({ permitId }) => permitId);
    const permitIds = [...new Set(accepted.filter((permitId) => permitId !== null))];
    if (permitIds.length > 0) this.#deps.onAccepted(permitIds);
    for (const [index, { delivery, settle }] of group.entries()) {
      const receipt = receipts[index];
      if (receipt === undefined) continue;
      tellVerdict(this.#deps.log, delivery, receipt);
      settle({ receipt });
    }
  }
}

function overloaded(): Fault {
  return new Fault(
    "retry",
    "unavailable",
    `Cannot record the event: ${QUEUE_MAX} wait for the disk already`,
    {
      advice: "Send it again later, and look at the speed of the disk under state.directory",
      retryAfterMs: 1000,
    },
  );
}
