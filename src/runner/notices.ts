/**
 * Changes that the platform told of, each looked at once within seconds (DESIGN 8). The platform tells each change once,
 * so a notice ends only with a look that came to its end: one that failed is put back as it was, and tried again.
 */
import type { Clock, Random } from "../core/clock.ts";
import { toFault } from "../core/fault.ts";
import { backoffMs } from "../core/retry.ts";
import type { Log } from "../log.ts";
import type { Occasion } from "./drift_look.ts";

/** What the notices work with. */
export interface NoticeDeps {
  clock: Clock;
  random: Random;
  log: Log;
}

/** `at once`: what is not WPS's may open a network. `soon`: after a burst. `calmly`: no oftener than its spacing. */
export type Hurry = "at once" | "soon" | "calmly";

/** Why a noticed permit is looked at. */
export type NoticedOccasion = Exclude<Occasion, "pass">;

/** Notices until they are looked at. */
export interface Notices {
  notice(permitId: string, how: Hurry): void;
  /** Settles when the signal has aborted and no look is under way. */
  done: Promise<void>;
}

/** From a change to the look: changes come in bursts, and a job that is about to end looks by itself. */
const NOTICE_MS = 2_000;
/** Between two looks at one permit because of changes: what somebody undoes again and again is not repaired faster. */
const NOTICE_SPACING_MS = 30_000;
/** Noticed permits remembered; beyond that the pass finds what changed. */
const NOTICED_MAX = 10_000;
/** Of the pauses after failed looks at one permit: the first is at least half of it, and they double up to the maximum. */
const RETRY_MS = 2_000;
/** A permit that cannot be looked at for hours costs a look in so many milliseconds: data may have a way out meanwhile. */
const RETRY_MAX_MS = 30_000;
/** After a failed look nothing, however new, leads to another one sooner. */
const RETRY_MIN_MS = RETRY_MS / 2;
/** Looks under way by occasion: a look that may end in a halt waits for no other, and those that fail take long. */
const LOOKS_MAX: Record<NoticedOccasion, number> = { foreign: 4, notice: 1 };
/** A day; nothing depends on it. */
const IDLE_MS = 86_400_000;

interface Noticed {
  occasion: NoticedOccasion;
  atMs: number;
}

/** Starts looking, until `signal` aborts. `look` throws if the permit could not be looked at, and heeds the signal. */
export function startNotices(
  { clock, random, log }: NoticeDeps,
  look: (permitId: string, occasion: NoticedOccasion) => Promise<unknown>,
  signal: AbortSignal,
): Notices {
  const noticed = new Map<string, Noticed>();
  const underWay = new Map<string, { occasion: NoticedOccasion; looking: Promise<void> }>();
  const lookedAtMs = new Map<string, number>();
  /** Permits whose last look failed. */
  const failed = new Map<string, { times: number; atMs: number }>();
  let alarm = new AbortController();

  /** Of several notices the most urgent occasion and the earliest time stand. */
  function add(permitId: string, { occasion, atMs }: Noticed): void {
    const known = noticed.get(permitId);
    const isForeign = occasion === "foreign" || known?.occasion === "foreign";
    const notBeforeMs = (failed.get(permitId)?.atMs ?? -Infinity) + RETRY_MIN_MS;
    noticed.set(permitId, {
      occasion: isForeign ? "foreign" : "notice",
      atMs: Math.max(notBeforeMs, Math.min(known?.atMs ?? Infinity, atMs)),
    });
    alarm.abort();
  }

  function notice(permitId: string, how: Hurry): void {
    if (!noticed.has(permitId) && noticed.size >= NOTICED_MAX) return;
    const nowMs = clock.now();
    if (how === "at once") return add(permitId, { occasion: "foreign", atMs: nowMs });
    const spacedMs = (lookedAtMs.get(permitId) ?? -Infinity) + NOTICE_SPACING_MS;
    const soonMs = nowMs + NOTICE_MS;
    add(permitId, { occasion: "notice", atMs: how === "soon" ? soonMs : Math.max(soonMs, spacedMs) });
  }

  async function lookNow(permitId: string, occasion: NoticedOccasion): Promise<void> {
    try {
      await look(permitId, occasion);
      failed.delete(permitId);
    } catch (thrown) {
      if (!signal.aborted) putBack(permitId, occasion, toFault(thrown).message);
    } finally {
      underWay.delete(permitId);
      alarm.abort();
    }
  }

  function putBack(permitId: string, occasion: NoticedOccasion, error: string): void {
    const nowMs = clock.now();
    const times = (failed.get(permitId)?.times ?? 0) + 1;
    failed.set(permitId, { times, atMs: nowMs });
    const limits = { backoffMs: RETRY_MS, backoffMaxMs: RETRY_MAX_MS };
    const pauseMs = backoffMs(times, limits, random.next(), null);
    add(permitId, { occasion, atMs: nowMs + pauseMs });
    const line = { permit: permitId, error, times };
    // Each drift pass that cannot look either tells so, too.
    if (times === 1) log.warn("cannot look at what changed; it is tried again until that succeeds", line);
    else log.debug("cannot look at what changed yet", line);
  }

  /** Those for which there is room, foreign ones first, each group in the order in which it was told. */
  function startable(): [permitId: string, Noticed][] {
    const room = (occasion: NoticedOccasion): boolean =>
      [...underWay.values()].filter((one) => one.occasion === occasion).length < LOOKS_MAX[occasion];
    const all = [...noticed].filter(([permitId]) => !underWay.has(permitId));
    return (["foreign", "notice"] as const).filter(room)
      .flatMap((occasion) => all.filter(([, one]) => one.occasion === occasion));
  }

  function startDue(): void {
    for (;;) {
      const next = startable().find(([, { atMs }]) => atMs <= clock.now());
      if (next === undefined) return;
      const [permitId, { occasion }] = next;
      noticed.delete(permitId);
      lookedAtMs.set(permitId, clock.now());
      // In the map before it begins: it takes itself out.
      const begin = Promise.withResolvers<void>();
      underWay.set(permitId, { occasion, looking: begin.promise.then(() => lookNow(permitId, occasion)) });
      begin.resolve();
    }
  }

  async function loop(): Promise<void> {
    const stop = (): void => alarm.abort();
    signal.addEventListener("abort", stop, { once: true });
    while (!signal.aborted) {
      alarm = new AbortController();
      startDue();
      for (const [permitId, atMs] of lookedAtMs) {
        if (atMs + NOTICE_SPACING_MS <= clock.now()) lookedAtMs.delete(permitId);
      }
      // Where there is no room, or nobody is noticed, the end of a look or a notice sounds the alarm.
      const nextMs = Math.min(...startable().map(([, { atMs }]) => atMs));
      await clock.sleep(Math.min(Math.max(0, nextMs - clock.now()), IDLE_MS), alarm.signal);
    }
    signal.removeEventListener("abort", stop);
    await Promise.all([...underWay.values()].map(({ looking }) => looking));
  }

  return { notice, done: loop() };
}
