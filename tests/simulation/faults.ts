/** What goes wrong in a run: which kinds, and how often, is itself drawn from the seed. */
import { SeededRandom } from "../seeded_random.ts";

/** Each kind with its highest rate: of requests, commits, messages, or of chances that people and machines get. */
const RATE_MAX = {
  // The process.
  "crash-before-write": 0.01,
  "crash-after-write": 0.01,
  "crash-in-transaction": 0.004,
  "crash-after-commit": 0.006,
  "crash-any-time": 0.3,
  "freeze": 0.3,
  "second-instance": 0.2,
  "clock-jump": 0.3,
  // Its disk.
  "store-full": 0.3,
  "commit-lost": 0.01,
  "commit-unknown": 0.01,
  // The platform's API.
  "lost-reply": 0.05,
  "timeout": 0.05,
  "conflict": 0.05,
  "throttled": 0.05,
  "server-error": 0.05,
  "slow-call": 0.05,
  "watch-gap": 0.5,
  // 410: a list's continuation, or the version from which a watch went on, is too old.
  "gone": 0.05,
  // The platform.
  "slow-pod": 0.5,
  "policy-late": 0.5,
  "policy-never": 0.2,
  "canaries-silent": 0.2,
  "stuck-pod": 0.2,
  "stuck-volume": 0.2,
  "node-lost": 0.2,
  // An image that cannot be had, until another template comes.
  "bad-image": 0.1,
  // Who sends data.
  "link-uploaded": 1,
  // People with rights in the cluster.
  "pod-deleted": 0.4,
  "policy-removed": 0.3,
  "claim-deleted": 0.3,
  "foreign-object": 0.2,
  "foreign-policy": 0.2,
  "guard-weakened": 0.1,
  "guard-removed": 0.1,
  // Out of a backup, or by a request that was very long under way.
  "namespace-restored": 0.3,
  // A node that forgets its rules: no object shows it.
  "node-leaks": 0.15,
  // People at the service itself: a job is cancelled, and later taken up again.
  "job-cancelled": 0.2,
  // The broker and who publishes.
  "broker-down": 0.3,
  "channel-lost": 0.1,
  "acknowledgement-lost": 0.2,
  "delivered-again": 0.5,
  "duplicate": 0.3,
  "conflicting": 0.2,
  "reordered": 0.2,
  "delayed": 0.2,
  "bad-message": 0.3,
} as const;

/** Where a crash can part what belongs together: around each request that changes something, and each commit. */
export type CrashPoint = "before a write" | "after a write" | "before a commit" | "after a commit";

/** One of the kinds. */
export type FaultKind = keyof typeof RATE_MAX;

/** All of them. */
export const FAULT_KINDS = Object.keys(RATE_MAX) as FaultKind[]; // the keys of a constant

/** A kind takes part in a run with this probability, so that each run has a mix of its own. */
const TAKES_PART = 0.5;

/** From a site where something is always going wrong to one where it seldom does: rates are spread over this factor. */
const RATE_SPREAD = 100;

/** The faults of one run. */
export class Faults {
  /** How often each kind struck. */
  readonly struck = new Map<FaultKind, number>();
  readonly #rates = new Map<FaultKind, number>();
  readonly #draws = new Map<FaultKind, SeededRandom>();
  #isOver = false;
  /** Told of each that strikes. */
  told: (kind: FaultKind) => void = () => {};

  /** `allowed`: kinds that may take part at all. */
  constructor(random: SeededRandom, allowed: ReadonlySet<FaultKind>) {
    for (const kind of FAULT_KINDS) {
      const own = random.fork(kind);
      const takesPart = own.chance(TAKES_PART);
      const rate = RATE_MAX[kind] * RATE_SPREAD ** -own.next();
      this.#draws.set(kind, own);
      if (takesPart && allowed.has(kind)) this.#rates.set(kind, rate);
    }
  }

  /** The kinds of this run's mix. */
  get kinds(): FaultKind[] {
    return [...this.#rates.keys()];
  }

  /** Whether it strikes at this chance; then it counts. */
  strikes(kind: FaultKind): boolean {
    const rate = this.#isOver ? undefined : this.#rates.get(kind);
    if (rate === undefined || !this.draw(kind).chance(rate)) return false;
    this.struck.set(kind, (this.struck.get(kind) ?? 0) + 1);
    this.told(kind);
    return true;
  }

  /** Whether the process dies at this very point; only where crashes are planned, see crashes.ts. */
  dies(_point: CrashPoint): boolean {
    return false;
  }

  /** The kind's own stream, for its particulars. */
  draw(kind: FaultKind): SeededRandom {
    const draw = this.#draws.get(kind);
    if (draw === undefined) throw new Error(`No such fault: ${kind}`);
    return draw;
  }

  /** From now on nothing goes wrong any more. */
  end(): void {
    this.#isOver = true;
  }
}
