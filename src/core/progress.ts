/** How far a job is, from the counts of its steps (DESIGN 6). How long the rest takes: store/job_history.ts. */

/** Progress for people and machines. */
export interface Progress {
  done: number;
  total: number;
  /** 0 to 100, whole. */
  percent: number;
}

/** Out: `total` never below `done`; `percent` is 100 only when all is done. */
export function progressOf(counts: { done: number; total: number }): Progress {
  const total = Math.max(counts.total, counts.done);
  return { done: counts.done, total, percent: total === 0 ? 100 : Math.floor(100 * counts.done / total) };
}

/**
 * Whether a step, by its id "start research/j.virtanen", is one of those that are counted. What is waited for is nothing that
 * the job does; and whether a claim is ever bound, so that it can be retained, is the platform's to say: also claims that an
 * earlier phase left behind may be.
 */
export function isCounted(id: string): boolean {
  return !id.startsWith("await-") && !id.startsWith("retain-volume ");
}
