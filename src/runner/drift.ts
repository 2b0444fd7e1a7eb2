/**
 * The drift pass: compares observed with desired for every permit without an open job, records what differs and
 * queues a repair (DESIGN 6); beside an open job it only looks for a way out. Also how a failed job is tried again, at a
 * slow pace. A change that the platform tells of is looked at within seconds: an evicted pod must be proven anew or
 * stopped (DESIGN 8).
 *
 * Two kinds of repair. Access that must not stand is cut at once, by an urgent job that gives nothing. Everything
 * else queues behind all users' jobs, and not at all while the permit's last wish stands cancelled by a person: what
 * was cancelled stays so until the next event, `wps jobs retry` or `wps drift --repair`.
 */
import type { Whose } from "../core/driver.ts";
import { toFault } from "../core/fault.ts";
import type { Permit } from "../core/permit.ts";
import { jitteredMs } from "../core/retry.ts";
import type { Plan } from "../core/step.ts";
import type { Db } from "../store/db.ts";
import { listPermits } from "../store/permits.ts";
import { destroyAgain, differs, type LookDeps, lookForDrift } from "./drift_look.ts";
import { startNotices } from "./notices.ts";

/** What the pass works with. */
export type DriftDeps = LookDeps;

/** The periodic pass. */
export interface Drift {
  /** Something of the permit, or beside it, changed on the platform. Cheap, may be told too often. */
  notice(permitId: string, whose?: Whose): void;
  /** A job has cut what the permit must not have: what it lacks now is looked at soon. */
  followUp(permitId: string): void;
  stop(): Promise<void>;
  health(): DriftHealth;
}

/** For /api/v1/health. */
export interface DriftHealth {
  lastPassAtMs: number | null;
  /** Permits that differed from their wish in the last pass. */
  differing: number;
  /** Permits that WPS does not know and that have objects. */
  orphans: string[];
}

/** Permits read at a time. */
const PAGE = 100;
/** Names of orphans kept for health; the log has them all. */
const ORPHANS_MAX = 50;

/** Starts both; the first pass begins after one interval, because a start resumes open jobs first. */
export function startDrift(deps: DriftDeps): Drift {
  const stopping = new AbortController();
  const { signal } = stopping;
  const passing = startPasses(deps, signal);
  const noticing = startNotices(
    deps,
    (permitId, occasion) => lookForDrift(deps, permitId, occasion, signal),
    signal,
  );
  return {
    notice: (permitId, whose = "ours") => noticing.notice(permitId, whose === "ours" ? "calmly" : "at once"),
    followUp: (permitId) => noticing.notice(permitId, "soon"),
    async stop(): Promise<void> {
      stopping.abort();
      await Promise.all([passing.done, noticing.done]);
    },
    health: passing.health,
  };
}

/** Null: it could not be looked at, which is told in the log. */
async function lookSafely(deps: DriftDeps, permitId: string, signal: AbortSignal): Promise<Plan | null> {
  try {
    return await lookForDrift(deps, permitId, "pass", signal);
  } catch (thrown) {
    if (!signal.aborted) {
      deps.log.warn("cannot look for drift", { permit: permitId, error: toFault(thrown).message });
    }
    return null;
  }
}

function startPasses(deps: DriftDeps, signal: AbortSignal): { done: Promise<void>; health(): DriftHealth } {
  const { clock, random, intervalMs, log } = deps;
  let health: DriftHealth = { lastPassAtMs: null, differing: 0, orphans: [] };
  const interval = (): number => jitteredMs(intervalMs, random.next());

  /** Spreads the permits over the interval, so that a pass is no burst. */
  async function pass(): Promise<void> {
    const permits = (await knownPermits(deps.db)).filter(({ deletion }) => deletion !== "done");
    const pauseMs = Math.ceil(interval() / (permits.length + 1));
    let differing = 0;
    for (const { permitId } of permits) {
      await clock.sleep(pauseMs, signal);
      if (signal.aborted) return;
      const plan = await lookSafely(deps, permitId, signal);
      if (plan !== null && differs(plan)) differing++;
    }
    await clock.sleep(pauseMs, signal);
    if (signal.aborted) return;
    // Read after the list: a permit that came meanwhile is no orphan.
    const found = await deps.driver.list(signal);
    const known = new Set(
      (await knownPermits(deps.db)).filter(({ deletion }) => deletion !== "done").map(({ permitId }) =>
        permitId
      ),
    );
    const orphans: string[] = [];
    for (const permit of found.filter((permitId) => !known.has(permitId))) {
      const known = await destroyAgain(deps, permit);
      if (known === "queued") {
        log.warn("objects of a deleted permit appeared again; they are destroyed", { permit });
      }
      if (known !== "unknown") continue;
      log.warn("objects of a permit that WPS does not know", { permit });
      orphans.push(permit);
    }
    health = { lastPassAtMs: clock.now(), differing, orphans: orphans.slice(0, ORPHANS_MAX) };
  }

  async function loop(): Promise<void> {
    await clock.sleep(interval(), signal);
    while (!signal.aborted) {
      try {
        await pass();
      } catch (thrown) {
        if (signal.aborted) return;
        log.warn("drift pass broken off", { error: toFault(thrown).message });
        await clock.sleep(interval(), signal);
      }
    }
  }

  return { done: loop(), health: () => health };
}

async function knownPermits(db: Db): Promise<Permit[]> {
  const permits: Permit[] = [];
  for (let cursor: string | null = null;;) {
    const page: { items: Permit[]; next: string | null } = await listPermits(db, {}, { cursor, limit: PAGE });
    permits.push(...page.items);
    if (page.next === null) return permits;
    cursor = page.next;
  }
}
