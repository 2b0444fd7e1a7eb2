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
