/** What is known of the canaries: asked in the background, one control pod at a time, remembered in memory. */
import { toFault } from "../../core/fault.ts";
import { areCanariesFresh, CANARIES_ALIVE_MIN } from "../../core/isolation.ts";
import type { ObservedCanaries } from "../../core/observed.ts";
import { askControl, type ControlAnswer, type ControlParts, resumeControl } from "./control.ts";

/** Between two control pods while too few canaries answer: what is down is not tried without pause. */
const PAUSE_MS = 5_000;
/** So often before the asking ends; whoever still waits asks again. */
const ROUNDS_MAX = 12;
/** Instances whose gates an answer speaks for. A proof follows within seconds, so the newest matter. */
const AFTER_MAX = 1_000;
/** Permits that are told of an answer; those beyond look again by themselves. */
const WAITERS_MAX = 1_000;

/** An answer, and the instances whose gates had ended before it was asked for. */
export interface CanariesAnswer extends ControlAnswer {
  after: string[];
  /** Counts the askings: an answer of a higher one was asked for later. */
  round: number;
}

/** One per driver. Its clock, client and script come with `parts`. */
export class Canaries {
  readonly #closing = new AbortController();
  readonly #permits = new Set<string>();
  readonly #listeners = new Set<(permitId: string) => void>();
  #answer: CanariesAnswer | null = null;
  /** Uids that wait for the next asking to begin. */
  #wanted: Set<string> | null = null;
  /** Those that the present one is for. */
  #current: string[] = [];
  #detail: string | null = null;
  #rounds = 0;
  /** What an earlier service asked is looked for once, and serves nobody who wants an answer that is asked for from now on. */
  #mayResume = true;
  #nameservers: string[] = [];
  #running: Promise<void> | null = null;
  #answered = Promise.withResolvers<void>();

  constructor(private readonly parts: ControlParts) {}

  /**
   * Lets the canaries be asked, at once or after the present asking. `after`: pods that are through their gates. Returns
   * at once; `permitId` hears of the answer.
   */
  ask(after: readonly string[], permitId: string): void {
    if (this.#closing.signal.aborted) return;
    this.#remember(permitId);
    this.#wanted = new Set([...this.#wanted ?? [], ...after]);
    this.#running ??= this.#run();
  }

  /** What an observation of a permit says of the canaries; while they are being asked the permit hears of the answer. */
  observed(permitId: string): ObservedCanaries {
    const isAsking = this.#running !== null;
    if (isAsking) this.#remember(permitId);
    const answer = this.#answer;
    return {
      asking: isAsking
        ? { detail: this.#detail, after: [...new Set([...this.#current, ...this.#wanted ?? []])] }
        : null,
      answer: answer === null ? null : {
        askedAtMs: answer.askedAtMs,
        alive: answer.evidence.alive,
        silent: answer.evidence.silent,
        after: answer.after,
      },
    };
  }

  /** The newest answer; null: none since the service began. */
  get answer(): CanariesAnswer | null {
    return this.#answer;
  }

  /** The newest answer when it is fresh and enough canaries were alive; null: a start may not rely on it. */
  get fresh(): CanariesAnswer | null {
    const atMs = this.parts.clock.now();
    return areCanariesFresh({ canaries: this.observed(""), atMs }) ? this.#answer : null;
  }

  /** An answer that is asked for from now on, alive enough or not; null: none came within `limitMs`. */
  async next(limitMs: number, signal: AbortSignal): Promise<CanariesAnswer | null> {
    const least = this.#rounds + 1;
    const { clock } = this.parts;
    const endMs = clock.now() + limitMs;
    this.#mayResume = false;
    this.ask([], "");
    const over = AbortSignal.any([signal, this.#closing.signal]);
    while (!over.aborted && clock.now() < endMs) {
      if (this.#answer !== null && this.#answer.round >= least) return this.#answer;
      const enough = new AbortController();
      await Promise.race([
        this.#answered.promise,
        clock.sleep(endMs - clock.now(), AbortSignal.any([over, enough.signal])),
      ]);
      enough.abort();
    }
    return null;
  }

  /** Tells `changed` of each permit that waited, when an answer has come; until aborted. */
  listen(changed: (permitId: string) => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#listeners.add(changed);
    signal.addEventListener("abort", () => this.#listeners.delete(changed), { once: true });
  }

  /** Ends the asking, and waits until nothing of it runs. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  #remember(permitId: string): void {
    if (permitId !== "" && this.#permits.size < WAITERS_MAX) this.#permits.add(permitId);
  }

  /** Until nobody wants an answer any more: each asking takes everybody who came before it. */
  async #run(): Promise<void> {
    const { signal } = this.#closing;
    await this.#resume(signal);
    for (let failures = 0; this.#wanted !== null && !signal.aborted;) {
      this.#current = [...new Set([...this.#current, ...this.#wanted])];
      this.#wanted = null;
      if (await this.#round(signal)) {
        this.#current = [];
        failures = 0;
        continue;
      }
      if (++failures === ROUNDS_MAX) break;
      this.#wanted ??= new Set();
      await this.parts.clock.sleep(PAUSE_MS, signal);
    }
    this.#current = [];
    this.#wanted = null;
    this.#detail = null;
    this.#running = null; // in the same turn: who asks from now on begins anew
  }

  /** Takes over what a service that has ended asked; whom that serves need not be asked for. */
  async #resume(signal: AbortSignal): Promise<void> {
    if (!this.#mayResume) return;
    try {
      const found = await resumeControl(this.parts, (detail) => this.#detail = detail, signal);
      this.#detail = null;
      if (found === null) return;
      this.#nameservers = found.nameservers;
      this.#answer = { ...found, round: this.#rounds };
      const left = [...this.#wanted ?? []].filter((uid) => !found.after.includes(uid));
      if (left.length === 0 && this.fresh !== null && this.#mayResume) this.#wanted = null;
      this.#tell();
    } catch (thrown) {
      if (!signal.aborted) this.#detail = toFault(thrown).message; // the asking that follows says the same, or it is over
    } finally {
      this.#mayResume = false;
    }
  }

  /** One asking. True: enough canaries are alive. */
  async #round(signal: AbortSignal): Promise<boolean> {
    const round = ++this.#rounds;
    try {
      const after = [...new Set([...this.#answer?.after ?? [], ...this.#current])].slice(-AFTER_MAX);
      const found = await askControl(
        this.parts,
        { nameservers: this.#nameservers, after, previous: this.#answer?.pod ?? null },
        (detail) => this.#detail = detail,
        signal,
      );
      this.#detail = null;
      this.#nameservers = found.nameservers;
      this.#answer = { ...found, after, round };
      this.#tell();
      return found.evidence.alive.length >= CANARIES_ALIVE_MIN;
    } catch (thrown) {
      if (!signal.aborted) this.#detail = toFault(thrown).message;
      return false;
    }
  }

  #tell(): void {
    this.#answered.resolve();
    this.#answered = Promise.withResolvers();
    const permits = [...this.#permits];
    this.#permits.clear();
    for (const listener of this.#listeners) for (const permitId of permits) listener(permitId);
  }
}
