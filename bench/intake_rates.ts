/** What the parts of the intake's bench share: rates in turns, and one event of the usual size. */
import { quantile, type Row, spread } from "./table.ts";

/** The heading of all intake figures. */
export const SECTION = "intake (events/s, FULL durability; × is the time of one against its floor)";
/** Measured in this many turns, all kinds in each, so that a busy machine slows all alike; the median counts. */
export const TURNS = 5;
/** The service's own group has at most as many. */
export const GROUP = 128;

/** Rates of one kind, one a turn. */
export class Rates {
  readonly #perSecond: number[] = [];

  /** Notes how fast `work` did `count` things. */
  async measure(count: number, work: () => Promise<void> | void): Promise<void> {
    const begin = performance.now();
    await work();
    this.#perSecond.push(count / (performance.now() - begin) * 1000);
  }

  /** Things per second. */
  get median(): number {
    return quantile(this.#perSecond, 0.5);
  }

  /** `floor`: what the same machine can do at all. */
  row(what: string, floor: Rates | null): Row {
    const ratio = floor === null ? null : floor.median / this.median;
    return { section: SECTION, what, value: spread(this.#perSecond, "/s", 0), ratio };
  }
}

/** A canonical event of about 600 bytes that names a whole team. */
export function eventBody(permitId: string, id: string): Record<string, unknown> {
  return {
    id,
    type: "permit.status.updated",
    permitId,
    data: {
      status: "ANALYSIS_ACTIVE",
      expiresAt: "2027-06-30T00:00:00Z",
      dataHolders: [{ id: "hospital-a", username: "hospital-a", allowedCidrs: ["203.0.113.7/32"] }],
      preprocessor: { username: "m.keller", uid: 21003 },
      reviewer: { username: "a.rossi", uid: 21004 },
      researchers: [{ username: "j.virtanen", uid: 21001, gid: 21001 }, {
        username: "l.maes",
        uid: 21002,
        gid: 21002,
      }],
    },
  };
}
