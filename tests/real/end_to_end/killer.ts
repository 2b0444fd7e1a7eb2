/** SIGKILL at random moments, and a restart at once, until it is told to stop. */
import type { Random } from "../../../src/core/clock.ts";
import type { LogEntry, ServiceProcess } from "./service_process.ts";

/** One kill in four hits a process that still starts. */
const EARLY = 0.25, EARLY_MS = 1_500;
/** The others come so long after it serves at most, most of them much sooner. */
const LATE_MS = 6_000;

/** A killer at work. */
export interface Killer {
  readonly kills: number;
  /** When each new process was started, in epoch milliseconds. */
  readonly starts: number[];
  /** Lets the present process live, once it serves. */
  stop(): Promise<void>;
}

/** Starts killing. `random` decides the moments. */
export function startKiller(service: ServiceProcess, random: Pick<Random, "next">): Killer {
  const starts: number[] = [];
  const stopping = new AbortController();
  const killing = (async () => {
    while (!stopping.signal.aborted) {
      const [chance, moment] = [random.next(), random.next()];
      if (chance > EARLY) await service.serves();
      await pause(chance > EARLY ? moment ** 2 * LATE_MS : moment * EARLY_MS, stopping.signal);
      if (stopping.signal.aborted) break;
      await service.kill();
      starts.push(Date.now());
      await service.spawn();
    }
  })();
  killing.catch(() => {}); // whoever stops the killer hears of it
  return {
    starts,
    get kills() {
      return starts.length;
    },
    async stop(): Promise<void> {
      stopping.abort();
      await killing;
      await service.serves();
    },
  };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}

/** A restart that found jobs open and went on with them. */
export interface Resumption {
  /** From the new process's start, and from the moment it had its store, to the first attempt. */
  sinceStartMs: number;
  sinceReadyMs: number;
}

/** What a log says of the restarts; those that were killed before they could go on are left out. */
export function resumptions(log: LogEntry[], starts: number[]): Resumption[] {
  return starts.flatMap((startMs, index) => {
    const endMs = starts[index + 1] ?? Infinity;
    const own = log.map((entry) => ({ ...entry, atMs: Date.parse(entry.time) }))
      .filter(({ atMs }) => atMs >= startMs && atMs < endMs);
    const ready = own.find(({ message }) => message === "jobs resumed after a restart");
    const begun = own.find(({ message }) => message === "attempt begins");
    if (ready === undefined || begun === undefined) return [];
    return [{ sinceStartMs: begun.atMs - startMs, sinceReadyMs: begun.atMs - ready.atMs }];
  });
}
