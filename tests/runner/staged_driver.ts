/** A driver in a test's hands: it remembers what was asked, and can hold an action until the test lets it go. */
import type {
  ApplyContext,
  ApplyResult,
  CheckLine,
  Driver,
  Probe,
  ProbeContext,
  Whose,
} from "../../src/core/driver.ts";
import type { Observed } from "../../src/core/observed.ts";
import type { Action } from "../../src/core/step.ts";
import type { FakeClock } from "../fake_clock.ts";

/** An action as it was asked for. */
export interface Asked {
  permitId: string;
  kind: Action["kind"];
  /** A workspace's, volume's or task's key; "permit" otherwise. */
  target: string;
  action: Action;
  atMs: number;
  /** Aborts when whoever asked gives up. */
  signal: AbortSignal;
}

/** What a test may do before an action or observation reaches the platform; a Fault thrown is the platform's answer. */
export type Before = (asked: Asked) => Promise<void> | void;

/** See the file's comment. */
export class StagedDriver implements Driver {
  readonly name = "staged";
  readonly asked: Asked[] = [];
  /** Workspaces beside which was probed, in order. */
  readonly probed: string[] = [];
  /** How often each permit was observed. */
  readonly observed = new Map<string, number>();
  /** With which priority was observed, in order. */
  readonly looks: (number | undefined)[] = [];
  before: Before = () => {};
  /** Called when the platform has acknowledged; a Fault thrown loses the answer. */
  after: Before = () => {};
  beforeObserve: (permitId: string, signal: AbortSignal) => Promise<void> | void = () => {};
  /** Most actions of different permits under way at once. */
  permitsAtOnce = 0;
  readonly #driver: Driver;
  readonly #clock: FakeClock;
  readonly #underWay = new Map<string, number>();
  #held: PromiseWithResolvers<void> | null = null;
  #waiting = 0;

  constructor(driver: Driver, clock: FakeClock) {
    this.#driver = driver;
    this.#clock = clock;
  }

  /** From now on actions that `which` says yes to wait; {@link open} lets them go. */
  hold(which: (asked: Asked) => boolean = () => true): void {
    const held = this.#held = Promise.withResolvers<void>();
    this.before = async (asked) => {
      if (!which(asked)) return;
      this.#waiting++;
      await held.promise.finally(() => this.#waiting--);
    };
  }

  /** Actions that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Lets held actions go, and holds no more. */
  open(): void {
    this.#held?.resolve();
    this.#held = null;
    this.before = () => {};
  }

  /** Lets held actions fail, and holds no more. */
  failHeld(why: Error): void {
    this.#held?.reject(why);
    this.#held = null;
    this.before = () => {};
  }

  /** Sends an action that somebody asked for before, as a request does that was long on its way. */
  async late({ permitId, action }: Asked): Promise<ApplyResult> {
    const secret = (): Promise<string> => Promise.resolve("secret");
    const { signal } = new AbortController();
    return await this.#driver.apply(action, { permitId, signal, password: secret, hostKey: secret });
  }

  /** Kinds and targets asked for, in order. */
  kinds(permitId?: string): string[] {
    return this.asked.filter((asked) => permitId === undefined || asked.permitId === permitId)
      .map(({ kind, target }) => `${kind} ${target}`);
  }

  /** See {@link Driver}. */
  async observe(permitId: string, signal: AbortSignal, priority?: number): Promise<Observed> {
    this.looks.push(priority);
    this.observed.set(permitId, (this.observed.get(permitId) ?? 0) + 1);
    await this.beforeObserve(permitId, signal);
    return await this.#driver.observe(permitId, signal);
  }

  /** See {@link Driver}. */
  async apply(action: Action, context: ApplyContext): Promise<ApplyResult> {
    const { permitId } = context;
    const { signal } = context;
    const asked = {
      permitId,
      kind: action.kind,
      target: targetOf(action),
      action,
      atMs: this.#clock.now(),
      signal,
    };
    this.asked.push(asked);
    this.#underWay.set(permitId, (this.#underWay.get(permitId) ?? 0) + 1);
    this.permitsAtOnce = Math.max(this.permitsAtOnce, this.#underWay.size);
    try {
      await this.before(asked);
      const result = await this.#driver.apply(action, {
        ...context,
        // Cryptography works outside of JavaScript: time must not fly meanwhile.
        password: (key, rotate) => this.#clock.during(context.password(key, rotate)),
        hostKey: (holder) => this.#clock.during(context.hostKey(holder)),
      });
      await this.after(asked);
      return result;
    } finally {
      const left = (this.#underWay.get(permitId) ?? 1) - 1;
      if (left === 0) this.#underWay.delete(permitId);
      else this.#underWay.set(permitId, left);
    }
  }

  /** See {@link Driver}. */
  async probe(
    target: { workspaceKey: string; instanceUid: string },
    context: ProbeContext,
  ): Promise<Probe> {
    this.probed.push(target.workspaceKey);
    return await this.#driver.probe(target, context);
  }

  /** See {@link Driver}. */
  watch(changed: (permitId: string, whose: Whose) => void, signal: AbortSignal): Promise<void> {
    return this.#driver.watch(changed, signal);
  }

  /** See {@link Driver}. */
  check(signal: AbortSignal): Promise<CheckLine[]> {
    return this.#driver.check(signal);
  }

  /** See {@link Driver}. */
  list(signal: AbortSignal): Promise<string[]> {
    return this.#driver.list(signal);
  }

  /** See {@link Driver}. */
  close(): Promise<void> {
    return this.#driver.close();
  }
}

function targetOf(action: Action): string {
  if ("workspace" in action) return action.workspace.key;
  if ("volume" in action) return action.volume.key;
  if (action.kind === "ask-canaries") return action.after.length === 0 ? "before-start" : "after-gate";
  if (action.kind === "consolidate") return action.consolidation.fromKey;
  return action.kind === "remove-task" ? action.task.key : "permit";
}
