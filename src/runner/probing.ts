/**
 * Shows again, while workspaces with data run, that they are isolated (DESIGN 8): a probe beside each, now and then. A
 * way out halts the permit at once; what could not be shown is tried again soon, and is told in health.
 */
import type { Clock, Random } from "../core/clock.ts";
import type { Driver, Probe } from "../core/driver.ts";
import { toFault } from "../core/fault.ts";
import { jitteredMs } from "../core/retry.ts";
import type { Log } from "../log.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db } from "../store/db.ts";
import { type ProvenInstance, reachableProven, saveEvidence } from "../store/evidence.ts";
import type { Alarm } from "./breach.ts";

/** What probing works with. */
export interface ProbingDeps {
  db: Db;
  driver: Driver;
  clock: Clock;
  random: Random;
  log: Log;
  bootEpoch: string;
  alarm: Alarm;
  /** Between two probes of one workspace, in milliseconds; jittered. */
  intervalMs: number;
}

/** For /api/v1/health. */
export interface ProbingHealth {
  /** Workspaces whose isolation could not be shown when it was last tried, with why. */
  unknown: string[];
}

/** The repeated probes. */
export interface Probing {
  stop(): Promise<void>;
  health(): ProbingHealth;
}

/** Probes at once: each is a pod on the platform for some seconds, and none is in a hurry. */
const PARALLEL = 2;
/** Between two looks for workspaces whose time has come. */
const LOOK_MS = 10_000;
/** What could not be shown is tried again after this. */
const UNKNOWN_MS = 60_000;
/** A probe that takes longer shows nothing: its pod may take two minutes, and the control pods around it one each. */
const PROBE_MAX_MS = 240_000;

/** Starts probing; the first probe of a workspace comes one interval after it was last shown isolated. */
export function startProbing(deps: ProbingDeps): Probing {
  const { db, clock, log, random } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  const unknown = new Map<string, string>();
  const dueAtMs = new Map<string, number>();

  async function probe(target: ProvenInstance): Promise<void> {
    const { permitId, workspaceKey, instanceUid } = target;
    const name = `${permitId} ${workspaceKey}`;
    const found = await probeSafely(deps, target, signal);
    if (signal.aborted) return;
    // Soon, unless it comes to be on record.
    dueAtMs.set(instanceUid, clock.now() + UNKNOWN_MS);
    if (found.found === "unknown") {
      if (!unknown.has(name)) {
        log.warn("cannot show the isolation of a running workspace", {
          permit: permitId,
          workspace: workspaceKey,
          why: found.why,
        });
      }
      unknown.set(name, found.why);
      return;
    }
    unknown.delete(name);
    try {
      await record(deps, target, found);
      dueAtMs.set(instanceUid, clock.now() + deps.intervalMs);
    } finally {
      // Whatever could not be written: the halt comes first, and its alarm is kept until it is recorded.
      if (found.found === "breached") {
        await deps.alarm(permitId, workspaceKey, `a probe beside it reached ${found.reached.join(", ")}`);
      }
    }
  }

  /** What one workspace's probe could not write is that workspace's: the others are probed all the same. */
  async function probeOrTell(target: ProvenInstance): Promise<void> {
    try {
      await probe(target);
    } catch (thrown) {
      if (signal.aborted) return;
      const { permitId, workspaceKey } = target;
      log.error("cannot record what a probe found; it is probed again", {
        permit: permitId,
        workspace: workspaceKey,
        error: toFault(thrown).message,
      });
    }
  }

  async function look(): Promise<void> {
    const running = await reachableProven(db);
    const uids = new Set(running.map(({ instanceUid }) => instanceUid));
    for (const uid of dueAtMs.keys()) if (!uids.has(uid)) dueAtMs.delete(uid);
    const names = new Set(running.map(({ permitId, workspaceKey }) => `${permitId} ${workspaceKey}`));
    for (const name of unknown.keys()) if (!names.has(name)) unknown.delete(name);
    const queue = running.filter(({ instanceUid, provenAtMs }) => {
      const known = dueAtMs.get(instanceUid);
      const due = known ?? provenAtMs + jitteredMs(deps.intervalMs, random.next());
      if (known === undefined) dueAtMs.set(instanceUid, due);
      return due <= clock.now();
    });
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined && !signal.aborted; next = queue.shift()) {
        await probeOrTell(next);
      }
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL, queue.length) }, work));
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(LOOK_MS, signal);
      if (signal.aborted) return;
      try {
        await look();
      } catch (thrown) {
        if (!signal.aborted) {
          log.warn("cannot look for workspaces to probe", { error: toFault(thrown).message });
        }
      }
    }
  }

  const looping = loop();
  return {
    health: () => ({ unknown: [...unknown].map(([name, why]) => `${name}: ${why}`) }),
    async stop(): Promise<void> {
      stopping.abort();
      await looping;
    },
  };
}

/** A Fault says no more than that nothing was shown. */
async function probeSafely(
  { driver, clock }: ProbingDeps,
  { permitId, workspaceKey, instanceUid }: ProvenInstance,
  signal: AbortSignal,
): Promise<Probe> {
  const over = new AbortController(), enough = new AbortController();
  const limit = clock.sleep(PROBE_MAX_MS, AbortSignal.any([over.signal, signal])).then(() => enough.abort());
  try {
    const within = AbortSignal.any([signal, enough.signal]);
    return await driver.probe({ workspaceKey, instanceUid }, { permitId, signal: within });
  } catch (thrown) {
    return { found: "unknown", why: toFault(thrown).message };
  } finally {
    over.abort();
    await limit;
  }
}

/** Evidence and audit row together; a breach is on record before its permit is halted. */
async function record(
  { db, clock, bootEpoch }: ProbingDeps,
  { permitId, workspaceKey, instanceUid }: ProvenInstance,
  found: Exclude<Probe, { found: "unknown" }>,
): Promise<void> {
  const atMs = clock.now();
  await db.write(async (tx) => {
    if (found.found === "isolated") {
      await saveEvidence(tx, { permitId, workspaceKey, instanceUid, atMs, evidence: found.evidence });
    }
    await appendAudit(tx, [{
      atMs,
      permitId,
      eventSeq: null,
      jobId: null,
      actor: { kind: "service", id: bootEpoch },
      action: "isolation.probed",
      target: workspaceKey,
      outcome: found.found === "isolated" ? "done" : "failed",
      reason: found.found === "isolated" ? null : `reached ${found.reached.join(", ")}`,
      requestId: null,
    }]);
  });
}
