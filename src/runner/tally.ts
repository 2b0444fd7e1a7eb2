/** Counts the steps of a job: done, and done plus those that the newest plan still has. */
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
  const done = new Set(doneBefore);
  let ahead = new Set<string>();
  const progress = (): Progress => {
    const behind = [...done].filter((id) => !ahead.has(id)).length;
    return { done: behind, total: behind + ahead.size };
  };
  return {
    planned(steps: Step[]): void {
      // What is waited for is nothing that the job does.
      ahead = new Set(steps.filter(({ kind }) => !kind.startsWith("await-")).map(({ id }) => id));
    },
    applied(ids: string[]): void {
      for (const id of ids) {
        ahead.delete(id);
        done.add(id);
      }
    },
    progress,
  };
}
