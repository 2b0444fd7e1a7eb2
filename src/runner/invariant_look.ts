/** What a look at a permit says of the invariants: kept for status and health, told once in log and audit (DESIGN 5). */
import type { Clock } from "../core/clock.ts";
import { type GuardContext, guardedOf } from "../core/guarded.ts";
import { type Breach, breachesOf, describeBreach } from "../core/invariants.ts";
import type { Observed } from "../core/observed.ts";
import type { Log } from "../log.ts";
import { appendAudit } from "../store/audit.ts";
import { isNews, keepBreaches } from "../store/breaches.ts";
import type { Db, Tx } from "../store/db.ts";

/** What it works with. */
export interface InvariantLookDeps {
  db: Db;
  clock: Clock;
  log: Log;
  bootEpoch: string;
}

/** Audit rows of one look at most; the log has the others. */
const AUDITED_MAX = 20;

/**
 * Keeps what the observation breaks in the place of what the look before found, and tells what is new; where that is the
 * same, nothing is written. `isStill` judges in the same transaction whether the observation still speaks for the permit;
 * false: nothing is kept. Errors of the store leave as Fault.
 */
export async function noteBroken(
  { db, clock, log, bootEpoch }: InvariantLookDeps,
  observed: Observed,
  context: GuardContext,
  isStill: (tx: Tx) => Promise<boolean>,
): Promise<void> {
  const { permitId } = observed;
  const broken = breachesOf(guardedOf(observed, context));
  if (!await isNews(db, permitId, broken)) return;
  const fresh = await db.write(async (tx) => {
    if (!await isStill(tx)) return [];
    const nowMs = clock.now();
    const fresh = await keepBreaches(tx, permitId, broken, nowMs);
    const rows = fresh.slice(0, AUDITED_MAX).map((breach) => rowOf(breach, permitId, bootEpoch, nowMs));
    await appendAudit(tx, rows);
    return fresh;
  });
  for (const breach of fresh) {
    const { invariant, target } = breach;
    log.error("an invariant is broken", {
      permit: permitId,
      invariant,
      target,
      found: describeBreach(breach),
    });
  }
}

function rowOf(
  breach: Breach,
  permitId: string,
  bootEpoch: string,
  atMs: number,
): Parameters<typeof appendAudit>[1][number] {
  return {
    atMs,
    permitId,
    eventSeq: null,
    jobId: null,
    actor: { kind: "service", id: bootEpoch },
    action: "invariant.broken",
    target: breach.target,
    outcome: "failed",
    reason: describeBreach(breach),
    requestId: null,
  };
}
