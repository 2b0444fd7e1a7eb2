/** The watch: tells of changes, and wakes the cluster when something is due, because nobody else may look just then. */
import type { Clock } from "../../core/clock.ts";
import type { Whose } from "../../core/driver.ts";
import { permitName } from "../../core/names.ts";
import type { LabCluster } from "./cluster.ts";

/** Calls `changed` for each permit whose objects changed, until aborted; never rejects. */
export async function watchCluster(
  cluster: LabCluster,
  clock: Clock,
  changed: (permitId: string, whose: Whose) => void,
  signal: AbortSignal,
): Promise<void> {
  const pending = new Set<string>();
  let wake = (): void => {};
  const release = cluster.onChange((_world, permitIds) => {
    for (const permitId of permitIds) pending.add(permitId);
    wake();
  });
  try {
    while (!signal.aborted) {
      const woken = Promise.withResolvers<void>();
      wake = woken.resolve;
      cluster.advance();
      const told = [...pending];
      pending.clear();
      for (const permitId of told) {
        changed(permitId, hasForeignPolicy(cluster, permitId) ? "foreign" : "ours");
      }
      if (told.length > 0) continue;
      await nextMoment(cluster, clock, woken.promise, signal);
    }
  } finally {
    release();
  }
}

function hasForeignPolicy(cluster: LabCluster, permitId: string): boolean {
  const policies = cluster.read(({ state }) => state.scopes[permitName(permitId)]?.policies ?? {});
  return Object.values(policies).some(({ owned }) => !owned);
}

/** Ends when the cluster's next event is due, when it was changed, or when the watch is to end. */
async function nextMoment(
  cluster: LabCluster,
  clock: Clock,
  woken: Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const dueMs = cluster.nextDueMs();
  const over = new AbortController();
  const aborted = Promise.withResolvers<void>();
  const abort = (): void => aborted.resolve();
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  const due = dueMs === null ? [] : [clock.sleep(Math.max(0, dueMs - clock.now()), over.signal)];
  await Promise.race([woken, aborted.promise, ...due]);
  signal.removeEventListener("abort", abort);
  over.abort();
  await Promise.all(due);
}
