/** The shortest history that still fails: kinds of faults and messages are left out as long as it does. */
import type { FaultKind } from "./faults.ts";
import { nameOf, type RunResult, type RunSpec } from "./run.ts";

/** Runs that a search may take; each is a second at worst. */
const RUNS_MAX = 300;

/** What a failure is like: shrinking must not wander off to another one. */
export function kindOf(failure: string): string {
  return failure.replace(/permit-\d+|job \d+|\([^)]*\)|\d+/g, "").split(":").slice(0, 2).join(":").slice(
    0,
    40,
  );
}

/** The smallest spec found that fails in the same way; `play` runs one. */
export async function shrink(
  spec: RunSpec,
  failed: RunResult,
  play: (spec: RunSpec) => Promise<RunResult>,
): Promise<{ spec: RunSpec; result: RunResult; runs: number }> {
  const kinds = new Set(failed.failures.map(kindOf));
  let best = { spec, result: failed };
  let runs = 0;
  const attempt = async (candidate: RunSpec): Promise<boolean> => {
    if (++runs > RUNS_MAX) return false;
    const result = await play(candidate);
    if (!result.failures.some((failure) => kinds.has(kindOf(failure)))) return false;
    best = { spec: candidate, result };
    return true;
  };
  for (const permitId of new Set(failed.history.map((message) => message.permitId))) {
    const all = failed.history.filter((message) => message.permitId === permitId).map(nameOf);
    await attempt({ ...best.spec, without: new Set([...best.spec.without, ...all]) });
  }
  for (let before = -1; before !== sizeOf(best.spec, best.result);) {
    before = sizeOf(best.spec, best.result);
    for (const kind of best.result.kinds) {
      await attempt({ ...best.spec, faults: without(best.spec.faults, kind) });
    }
    for (const name of new Set(best.result.history.map(nameOf))) {
      await attempt({ ...best.spec, without: new Set([...best.spec.without, name]) });
    }
  }
  return { ...best, runs };
}

function sizeOf({ faults }: RunSpec, { history }: RunResult): number {
  return faults.size * 1_000 + history.length;
}

function without(kinds: ReadonlySet<FaultKind>, kind: FaultKind): Set<FaultKind> {
  return new Set([...kinds].filter((each) => each !== kind));
}
