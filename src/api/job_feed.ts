/** Tells open streams that a permit's job may have changed, and bounds how many streams there are. */
import type { Clock } from "../core/clock.ts";

/** Streams at a time: each holds a connection and reads the database when its permit changes. */
export const STREAMS_MAX = 64;

/** One open stream's place. */
export interface FeedSeat {
  /** Resolves at the next change of its permit, after `ms`, or when the feed closes; never rejects. */
  wait(ms: number): Promise<void>;
  /** The feed has closed, or the seat was left: the stream should end. */
  readonly signal: AbortSignal;
  leave(): void;
}

/** Where changes are told and streams sit. */
export interface JobFeed {
  /** A change of one of the permit's jobs was committed. Cheap; may be told too often. */
  changed(permitId: string): void;
  /** A seat, or null when all {@link STREAMS_MAX} are taken or the feed has closed. Who sits must leave. */
  sit(permitId: string): FeedSeat | null;
  /** Ends all streams; to be called before the listeners stop. */
  close(): void;
}

/** A feed on the given clock. */
export function createJobFeed(clock: Clock): JobFeed {
  const closing = new AbortController();
  const seats = new Map<string, Set<() => void>>();
  let taken = 0;

  function sit(permitId: string): FeedSeat | null {
    if (taken >= STREAMS_MAX || closing.signal.aborted) return null;
    taken++;
    const ended = new AbortController();
    const end = (): void => ended.abort();
    closing.signal.addEventListener("abort", end, { once: true });
    let hasChanged = false;
    let wake: (() => void) | null = null;
    const told = (): void => {
      hasChanged = true;
      wake?.();
    };
    const group = seats.get(permitId) ?? new Set();
    seats.set(permitId, group.add(told));
    let isSeated = true;
    return {
      signal: ended.signal,
      async wait(ms: number): Promise<void> {
        if (!hasChanged && !ended.signal.aborted) {
          const woken = new AbortController();
          wake = (): void => woken.abort();
          ended.signal.addEventListener("abort", wake, { once: true });
          await clock.sleep(ms, woken.signal);
          ended.signal.removeEventListener("abort", wake);
          wake = null;
        }
        hasChanged = false;
      },
      leave(): void {
        if (!isSeated) return;
        isSeated = false;
        taken--;
        group.delete(told);
        if (group.size === 0) seats.delete(permitId);
        closing.signal.removeEventListener("abort", end);
        end();
      },
    };
  }

  return {
    changed(permitId: string): void {
      for (const told of seats.get(permitId) ?? []) told();
    },
    sit,
    close: () => closing.abort(),
  };
}
