/**
 * The driver's self-check, at the start and from then on: soon again while something failed, so that health tells when it
 * is mended, and now and then while all is well, because permissions and storage classes change under a running service.
 */
import type { Clock, Random } from "../core/clock.ts";
import type { CheckLine, Driver } from "../core/driver.ts";
import { jitteredMs } from "../core/retry.ts";
import type { Log } from "../log.ts";

/** What the checks said last. */
export interface SelfCheck {
  lines(): CheckLine[];
  /** Since when the worst of them is what it is, in epoch milliseconds. */
  sinceMs(): number;
  stop(): Promise<void>;
}

/** What it works with. */
export interface SelfCheckDeps {
  driver: Driver;
  clock: Clock;
  random: Random;
  log: Log;
}

/** The self-check asks a handful of questions; a platform that is away must not hold the start up longer. */
const CHECK_MS = 20_000;
/** Between two checks while one has failed; jittered. */
const FAILED_MS = 60_000;
/** Between two checks otherwise; jittered. */
const CALM_MS = 3_600_000;

const RANK: Record<CheckLine["result"], number> = { ok: 0, warning: 1, failed: 2 };

/** The worst result; `ok` where there are no lines. */
export function worstOf(lines: readonly CheckLine[]): CheckLine["result"] {
  return lines.reduce<CheckLine["result"]>(
    (worst, { result }) => RANK[result] > RANK[worst] ? result : worst,
    "ok",
  );
}

/** Checks once, which is waited for, and goes on in the background. Each line is told when it is new or has changed. */
export async function startSelfCheck({ driver, clock, random, log }: SelfCheckDeps): Promise<SelfCheck> {
  const stopping = new AbortController();
  const { signal } = stopping;
  let lines: CheckLine[] = [];
  let sinceMs = clock.now();

  async function check(): Promise<void> {
    const enough = new AbortController();
    const over = new AbortController();
    const limit = clock.sleep(CHECK_MS, AbortSignal.any([over.signal, signal])).then(() => enough.abort());
    const found = await driver.check(enough.signal);
    over.abort();
    await limit;
    if (signal.aborted) return;
    for (const line of found) if (!lines.some((known) => isSame(known, line))) tell(log, line);
    if (worstOf(found) !== worstOf(lines)) sinceMs = clock.now();
    lines = found;
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      const pauseMs = worstOf(lines) === "failed" ? FAILED_MS : CALM_MS;
      await clock.sleep(jitteredMs(pauseMs, random.next()), signal);
      if (!signal.aborted) await check();
    }
  }

  await check();
  const looping = loop();
  return {
    lines: () => lines,
    sinceMs: () => sinceMs,
    async stop(): Promise<void> {
      stopping.abort();
      await looping;
    },
  };
}

function isSame(known: CheckLine, { check, result, detail }: CheckLine): boolean {
  return known.check === check && known.result === result && known.detail === detail;
}

function tell(log: Log, { check, result, detail, advice }: CheckLine): void {
  const fields = { check, detail, ...(advice === "" ? {} : { advice }) };
  if (result === "ok") log.info("self-check: ok", fields);
  else log.warn(`self-check: ${result}`, fields);
}
