/** The watch: tells of changes, and wakes the cluster when something is due, because nobody else may look just then. */
import type { Clock } from "../../core/clock.ts";
import type { Whose } from "../../core/driver.ts";
import { permitName } from "../../core/names.ts";
import type { LabCluster } from "./cluster.ts";

/**
 * Calls `changed` for each permit whose objects changed, until aborted; never rejects. As Kubernetes' watch it begins
 * with every permit there is, and `foreign` is only a change of a policy without WPS's mark: while such a one stands, what
 * else changes is ours.
 */
export async function watchCluster(
  cluster: LabCluster,
  clock: Clock,
  changed: (permitId: string, whose: Whose) => void,
  signal: AbortSignal,
): Promise<void> {
  const pending = new Set(permitsIn(cluster));
  const known = new Map<string, string>();
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
        const before = known.get(permitId) ?? NONE;
        const now = foreignPolicies(cluster, permitId);
        known.set(permitId, now);
        changed(permitId, now === before ? "ours" : "foreign");
      }
      if (told.length > 0) continue;
      await nextMoment(cluster, clock, woken.promise, signal);
    }
  } finally {
    release();
  }
}

/** No policies, as of {@link foreignPolicies}. */
const NONE = "[]";

/** The policies without WPS's mark and their versions, for comparison. */
function foreignPolicies(cluster: LabCluster, permitId: string): string {
  const policies = cluster.read(({ state }) => state.scopes[permitName(permitId)]?.policies ?? {});
  return JSON.stringify(
    Object.values(policies).filter(({ owned }) => !owned).map(({ uid, version }) => [uid, version]),
  );
}

function permitsIn(cluster: LabCluster): string[] {
  return cluster.read(({ state }) =>
    Object.values(state.scopes).filter(({ owned }) => owned).map(({ permitId }) => permitId)
  );
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
