/**
 * Counts the steps of a job: done, and done plus those that the newest plan still has. Plans foresee the whole way, so
 * that the total of the first one is that of the last one, unless somebody or something comes in between.
 */
import { isCounted } from "../core/progress.ts";
import type { Step } from "../core/step.ts";

/** Steps of a job; `done` never exceeds `total`. */
export interface Progress {
  done: number;
  total: number;
}

/** The count while an attempt runs. */
export interface Tally {
  /** A new plan: what it has is still to be done, also where it was done before. */
  planned(steps: Step[]): void;
  applied(ids: string[]): void;
  progress(): Progress;
}

/** What earlier attempts of the job told, so that a retry or a restart goes on counting where they ended. */
export interface ToldBefore {
  /** Ids of steps done. */
  done: ReadonlySet<string>;
  /** The total that the job's row has; 0: nothing was told yet. */
  total: number;
}

/** The count of a first attempt begins with {@link NOTHING_TOLD}. */
export const NOTHING_TOLD: ToldBefore = { done: new Set(), total: 0 };

/**
 * The total that was told stays: a crash loses which steps were carried out last, and may leave more or less to do than was
 * foreseen; the difference is taken from, or added to, what is said to be done.
 */
export function createTally(before: ToldBefore): Tally {
  const done = new Set([...before.done].filter(isCounted));
  let ahead = new Set<string>();
  let shift: number | null = before.total === 0 ? 0 : null;
  const behind = (): number => [...done].filter((id) => !ahead.has(id)).length;
  return {
    planned(steps: Step[]): void {
      ahead = new Set(steps.map(({ id }) => id).filter(isCounted));
      shift ??= Math.max(before.total - behind() - ahead.size, -behind());
    },
    applied(ids: string[]): void {
      for (const id of ids.filter(isCounted)) {
        ahead.delete(id);
        done.add(id);
      }
    },
    progress(): Progress {
      const passed = behind() + (shift ?? 0);
      return { done: passed, total: passed + ahead.size };
    },
  };
}
