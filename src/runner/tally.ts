/**
 * Counts the steps of a job: done, and done plus those that the newest plan still has. Plans foresee the whole way, so
 * that the total of the first one is that of the last one, unless somebody or something comes in between.
 */
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

/** `doneBefore`: steps of earlier attempts of the job, so that a retry goes on counting where the last one ended. */
export function createTally(doneBefore: ReadonlySet<string>): Tally {
  const done = new Set([...doneBefore].filter(isCounted));
  let ahead = new Set<string>();
  const progress = (): Progress => {
    const behind = [...done].filter((id) => !ahead.has(id)).length;
    return { done: behind, total: behind + ahead.size };
  };
  return {
    planned(steps: Step[]): void {
      ahead = new Set(steps.map(({ id }) => id).filter(isCounted));
    },
    applied(ids: string[]): void {
      for (const id of ids.filter(isCounted)) {
        ahead.delete(id);
        done.add(id);
      }
    },
    progress,
  };
}

/**
 * What is waited for is nothing that the job does; and whether a claim is ever bound, so that it can be retained, is the
 * platform's to say: also claims that an earlier phase left behind may be.
 */
function isCounted(id: string): boolean {
  return !id.startsWith("await-") && !id.startsWith("retain-volume ");
}
