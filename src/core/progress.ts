/** How far a job is, from its steps and from how long such steps took before (DESIGN 6). */
import type { StepRecord } from "./job.ts";
import type { StepKind } from "./step.ts";

/** Progress for people and machines. */
export interface Progress {
  done: number;
  total: number;
  /** 0 to 100, whole. */
  percent: number;
  /** Milliseconds that the rest took before; null: no history for some of it. */
  estimateMs: number | null;
}

/**
 * `remaining` are the kinds of the steps still planned, the running one included; `medianMs` is the history.
 * A step that already runs counts with what is left of its median.
 */
export function progressOf(
  counts: { done: number; total: number },
  remaining: StepKind[],
  running: Pick<StepRecord, "kind" | "startedAtMs">[],
  medianMs: ReadonlyMap<StepKind, number>,
  nowMs: number,
): Progress {
  const total = Math.max(counts.total, counts.done);
  const percent = total === 0 ? 100 : Math.floor(100 * counts.done / total);
  const parts = [
    ...remaining.map((kind) => medianMs.get(kind) ?? null),
    ...running.map(({ kind, startedAtMs }) => {
      const median = medianMs.get(kind);
      return median === undefined ? null : Math.max(0, median - (nowMs - startedAtMs));
    }),
  ];
  let estimateMs: number | null = 0;
  for (const part of parts) estimateMs = estimateMs === null || part === null ? null : estimateMs + part;
  return { done: counts.done, total, percent, estimateMs };
}
