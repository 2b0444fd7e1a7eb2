/**
 * Ends permits whose time is over, and warns before: by the clock alone, without an event and without the broker. What an
 * expired permit should be, `desire` knows by the time it is given; this puts the end on record and queues the job that
 * cuts at that very moment, ahead of all that give. After a downtime it is the first thing that a start does.
 */
import type { AuditEntry } from "../core/audit.ts";
import type { Clock } from "../core/clock.ts";
import { expiryMs, expiryStep } from "../core/expiry.ts";
import { toFault } from "../core/fault.ts";
import { JOB_PRIORITY } from "../core/job.ts";
import type { Permit } from "../core/permit.ts";
import type { Log } from "../log.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db, Tx } from "../store/db.ts";
import { dueExpiries, keepExpiry, nextExpiry, noteWarning, rearmExpiries } from "../store/expiry.ts";
import { enqueueJob, openJob } from "../store/jobs.ts";
import { appendOutbox } from "../store/outbox.ts";
import { getPermit } from "../store/permits.ts";
import { type Bell, CLAIM_LOOP } from "./bell.ts";

/** What expiry works with. */
export interface ExpiryDeps {
  db: Db;
  clock: Clock;
  bell: Bell;
  log: Log;
  bootEpoch: string;
  /** How many days before the end `permit.expiring` is told, each once for a date. */
  warnDays: readonly number[];
  /** Called after a permit's rows changed. */
  changed(permitId: string): void;
}

/** The watch over permits' dates. */
export interface Expiry {
  /** A date may have changed; cheap. */
  wake(): void;
  stop(): Promise<void>;
}

/** Permits of one transaction: some 10 ms, in which nothing else runs. */
const BATCH = 50;
/** A machine that slept, or whose clock was set, is noticed within this time: sleeps do not heed the wall clock. */
const LOOK_MAX_MS = 30_000;
/** While no permit has a date that is still to come; an event with one wakes. */
const IDLE_MS = 3_600_000;
/** Between two looks while events come in. */
const LOOK_PAUSE_MS = 20;
/** After a store that refused. */
const STORE_PAUSE_MS = 1_000;

/** Ends what expired meanwhile, then starts watching. A store that refuses is tried again in the background. */
export async function startExpiry(deps: ExpiryDeps): Promise<Expiry> {
  const { db, clock, log, warnDays } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  let alarm = new AbortController();
  let isWoken = false;
  let isArmed = false;

  /** Everything due now, in batches; then how long to wait, in milliseconds. */
  async function look(): Promise<number> {
    if (!isArmed) {
      await db.write((tx) => rearmExpiries(tx, warnDays));
      isArmed = true;
    }
    while (!signal.aborted && (await dueExpiries(db, clock.now(), 1)).length > 0) await endDue(deps);
    const nextMs = await nextExpiry(db);
    return nextMs === null ? IDLE_MS : Math.min(LOOK_MAX_MS, Math.max(0, nextMs - clock.now()));
  }

  async function lookSafely(): Promise<number> {
    try {
      return await look();
    } catch (thrown) {
      if (!signal.aborted) {
        log.error("cannot look for permits whose time is over", { error: toFault(thrown).message });
      }
      return STORE_PAUSE_MS;
    }
  }

  async function loop(pauseMs: number): Promise<void> {
    const stop = (): void => alarm.abort();
    signal.addEventListener("abort", stop, { once: true });
    for (let restMs = pauseMs; !signal.aborted; restMs = await lookSafely()) {
      if (!isWoken) await clock.sleep(restMs, alarm.signal);
      alarm = new AbortController();
      // A stop that came before the new alarm would not be heard.
      if (signal.aborted) break;
      if (isWoken) await clock.sleep(LOOK_PAUSE_MS, alarm.signal);
      isWoken = false;
    }
    signal.removeEventListener("abort", stop);
  }

  const looping = loop(await lookSafely());
  return {
    wake(): void {
      isWoken = true;
      alarm.abort();
    },
    async stop(): Promise<void> {
      stopping.abort();
      await looping;
    },
  };
}

/** One batch, in one transaction; bells ring after it. */
async function endDue(deps: ExpiryDeps): Promise<void> {
  const { db, clock, bell, log } = deps;
  const nowMs = clock.now();
  const followed = await db.write(async (tx) => {
    const followed: Followed[] = [];
    for (const permitId of await dueExpiries(tx, nowMs, BATCH)) {
      followed.push(...await followDate(tx, deps, permitId, nowMs));
    }
    return followed;
  });
  for (const { permitId, expiresAt, days } of followed) {
    if (days !== null) log.warn("the permit's time ends soon", { permit: permitId, expiresAt, days });
  }
  const ended = followed.filter(({ days }) => days === null).map(({ permitId }) => permitId);
  for (const permitId of ended) {
    log.warn("the permit's time is over: its access ends", { permit: permitId });
    bell.ring(permitId);
    deps.changed(permitId);
  }
  if (ended.length > 0) bell.ring(CLAIM_LOOP);
}

/** A permit that was warned of, so many days before its end, or ended: null. */
interface Followed {
  permitId: string;
  expiresAt: string | null;
  days: number | null;
}

/** Warns, or ends the permit; empty: neither was due. */
async function followDate(tx: Tx, deps: ExpiryDeps, permitId: string, nowMs: number): Promise<Followed[]> {
  const permit = await getPermit(tx, permitId);
  if (permit === null) return [];
  const { expires, warnings, nextAtMs } = expiryStep(permit, deps.warnDays, nowMs);
  await keepExpiry(tx, permitId, { expired: expires, dueAtMs: nextAtMs }, nowMs);
  const { expiresAt } = permit;
  if (expires) {
    await end(tx, deps, permit, nowMs);
    return [{ permitId, expiresAt, days: null }];
  }
  const days = await warn(tx, deps, permit, warnings, nowMs);
  return days === null ? [] : [{ permitId, expiresAt, days }];
}

/** One message for the nearest of the days that have come, which is returned; those before it are passed over for good. */
async function warn(
  tx: Tx,
  deps: ExpiryDeps,
  permit: Permit,
  warnings: readonly number[],
  nowMs: number,
): Promise<number | null> {
  const { permitId, expiresAt } = permit;
  if (expiresAt === null) return null;
  const [nearest] = warnings;
  let told: number | null = null;
  for (const days of warnings) {
    const isNew = await noteWarning(tx, { permitId, expiresAt, days }, nowMs);
    if (!isNew || days !== nearest) continue;
    await tell(tx, deps, permit, "permit.expiring", { days }, nowMs);
    told = days;
  }
  return told;
}

/**
 * On record, told, and held by a job as a halt does, with the place of a stop: it never gives up. A halted permit has such
 * a job already, and its halt outlasts this.
 */
async function end(tx: Tx, deps: ExpiryDeps, permit: Permit, nowMs: number): Promise<void> {
  const { permitId, version, halted } = permit;
  const open = await openJob(tx, permitId);
  // A date that had passed when its event came: that event's own job holds the permit.
  const isHeld = halted || (open?.kind === "halt" && open.version === version);
  const job = isHeld ? null : await enqueueJob(tx, {
    permitId,
    kind: "halt",
    priority: JOB_PRIORITY.stop,
    version,
    eventSeq: null,
    runAtMs: nowMs,
    nowMs,
  });
  await tell(tx, deps, permit, "permit.expired", { halted }, nowMs, job?.jobId ?? open?.id ?? null);
}

async function tell(
  tx: Tx,
  { bootEpoch }: ExpiryDeps,
  permit: Permit,
  action: "permit.expiring" | "permit.expired",
  more: Record<string, unknown>,
  nowMs: number,
  jobId: number | null = null,
): Promise<void> {
  const { permitId, expiresAt } = permit;
  const entry: AuditEntry = {
    atMs: nowMs,
    permitId,
    eventSeq: null,
    jobId,
    actor: { kind: "service", id: bootEpoch },
    action,
    target: permitId,
    outcome: action === "permit.expired" ? "intended" : "done",
    reason: `its time ends at ${expiresAt}`,
    requestId: null,
  };
  await appendAudit(tx, [entry]);
  const leftMs = Math.max(0, (expiryMs(permit) ?? nowMs) - nowMs);
  const payload = { permitId, expiresAt, secondsLeft: Math.floor(leftMs / 1_000), ...more };
  await appendOutbox(tx, [{ topic: "workspace.events", key: action, permitId, payload }], nowMs);
}
