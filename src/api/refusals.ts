/** Audits every refusal, bounded: a flood of them costs neither the disk nor the writers' turn. */
import type { AuditEntry } from "../core/audit.ts";
import type { Clock } from "../core/clock.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db } from "../store/db.ts";
import type { Refusal, RefusalSink } from "./caller.ts";

/** Between two groups of rows. Whoever is refused in a flood waits so long, which also slows guessing. */
const INTERVAL_MS = 1_000;
/** Rows of a group; what exceeds it is counted in one row more. With the interval: 2 million rows a day at most. */
const GROUP_MAX = 20;

interface Waiting {
  refusal: Refusal;
  atMs: number;
  resolve: () => void;
  reject: (thrown: unknown) => void;
}

/**
 * A sink that resolves once the refusal's row is committed. The first after a pause is written at once; `stopping`
 * ends the waits of a flood when the service stops. Rejects with the database's Fault.
 */
export function createRefusalAudit(db: Db, clock: Clock, stopping: AbortSignal): RefusalSink {
  let waiting: Waiting[] = [];
  let isWriting = false;

  async function drain(): Promise<void> {
    isWriting = true;
    while (waiting.length > 0) {
      const group = waiting;
      waiting = [];
      try {
        await db.write((tx) => appendAudit(tx, entriesOf(group)));
        for (const { resolve } of group) resolve();
      } catch (thrown) {
        for (const { reject } of group) reject(thrown);
      }
      await clock.sleep(INTERVAL_MS, stopping);
    }
    isWriting = false;
  }

  return (refusal) =>
    new Promise((resolve, reject) => {
      waiting.push({ refusal, atMs: clock.now(), resolve, reject });
      if (!isWriting) void drain();
    });
}

function entriesOf(group: Waiting[]): AuditEntry[] {
  const entries = group.slice(0, GROUP_MAX).map(({ refusal, atMs }) => entryOf(refusal, atMs));
  const [first, more] = [group[GROUP_MAX], group.length - GROUP_MAX];
  if (first === undefined) return entries;
  const rest = entryOf(first.refusal, first.atMs);
  return [...entries, { ...rest, target: "several", reason: `${more} more refusals within a second` }];
}

function entryOf({ actor, status, permission, target, requestId }: Refusal, atMs: number): AuditEntry {
  return {
    atMs,
    permitId: null,
    eventSeq: null,
    jobId: null,
    actor,
    action: "api.refused",
    target,
    outcome: "refused",
    reason: status === 401 ? `not known, ${permission} asked` : `lacks ${permission}`,
    requestId,
  };
}
